//! The command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lexopt::{Arg, Parser, ValueExt};
use ostler_bench::baseline::Baseline;
use ostler_bench::broadcast::BroadcastOptions;
use ostler_bench::demo::DemoOptions;
use ostler_bench::identity::Identity;
use ostler_bench::load::{LoadOptions, Mode, Target};
use ostler_bench::process::Peer;
use ostler_bench::soak::SoakOptions;
use ostler_bench::table::{Extra, TableOptions};
use ostler_bench::{Error, Result};

pub(crate) const HELP: &str = "\
ostler-bench: load generator, baseline servers, comparison table, soak and demo

  raw-epoll-echo --listen ADDRESS     the limit: echo on bare epoll
      --threads N (1)  --whole BYTES (receive that many before any are sent)
  raw-tls-echo --listen ADDRESS --certificate FILE --key FILE
                                      the limit for TLS: rustls on bare epoll
  raw-udp-echo --listen ADDRESS       the limit for datagrams: recvmmsg and sendmmsg
  raw-send-loop --listen ADDRESS      the limit for long messages: sends 64 MiB, whatever comes,
      --size BYTES (67108864)         in a loop, to one client at a time
  raw-sendfile-loop --listen ADDRESS  the same from a file, by sendfile
      --size BYTES (67108864)
  raw-relay --listen ADDRESS          the limit for waiting: one message at a time, four wake-ups
  raw-send-to-all --listen ADDRESS    the limit for broadcasts: sends what the first client says
      --listeners N (10000)           to each of so many in a loop
  tokio-echo --listen ADDRESS         echo on tokio's current_thread runtime
      All print `listening on URL` first and run until SIGTERM.

  load --target ADDRESS|URL           loads a server that echoes; fails if anything went wrong
      URL: tcp://ADDRESS, tls://ADDRESS (--trust CERTIFICATE), udp://ADDRESS, unix:///PATH,
           unixgram:///PATH
      --connections N (64)  --size BYTES (64)  --pipeline D (1; open loop 1024)
      --mode closed|open (closed)     --rate REQUESTS_PER_S (open loop)
      --duration_ms N (5000; with --requests 60000)  --requests N  --warmup_ms N (0)
      --timeout_ms N (10000)          --reconnect      --churn (a connection for each request)

  table                               compares servers with the raw echo; fails on a wrong byte, any
                                      error, or a server that does not start
      --rounds N (9)  --seconds S per measurement (1)  --connections N (64)
      --sizes BYTES,...|none (64,4096,65536)  --placement free|pinned|both (both)
      --extras NAME,...|none          rows beside the payloads, with 64 bytes, free (all):
                                      churn, depth-16, 1000-connections, 2+2 (reactors and
                                      workers), slow-handlers (1 % of 5 ms); length, length-4K
                                      and eof (framing; the reference is Ostler without), and
                                      length-1M (the reference is a raw echo of the whole);
                                      tls, tls-64K and udp (the reference is a raw echo of the
                                      same kind), idle-first (against session_hash); stream
                                      and sendfile (64 MiB to one client, against a loop; requests
                                      are MiB); base, base-4K and base-64K (BASE mode); task,
                                      task-4K and task-64K (through a task worker, called back,
                                      waited for, or beside an echo; the reference is the echo),
                                      task-kept (tasks that outlive the server, not synced and
                                      synced; the reference is tasks that do not); php, php-64K,
                                      php-task (the same in PHP, with --php; the reference is
                                      Ostler in Rust)
      --only NAME,...                 of raw, tokio, ostler and the --peer names; raw is always
                                      there
      --peer NAME=CMD                 another server; no shell; CMD prints `listening on ADDRESS`
                                      first, or has {port} in it, which becomes a free port
      --ostler PATH                   Ostler's instrument (ostler-echo beside this program)
      --php CMD                       the echo in PHP, for the rows php...: examples/php/echo.php
      --quick                         3 rounds of 0.3 s: to see that it works, not to decide by

  soak                                runs the long proofs under load and faults; fails if a target
                                      is missed
      --only NAME,...                 of reload, reload-kill, deploys, kill-redeliver-echo,
                                      kill-redeliver-2ms, kill-close, kill-master,
                                      kill-master-other-ids, kill-manager, storm, ports-reload,
                                      ports-kill (all kinds of ports at once),
                                      base-kill, base-reload, idle, idle-tls,
                                      tls-flood, non-readers, deaf-listeners,
                                      mostly-deaf, streams, tasks-redeliver,
                                      tasks-fail, tasks-askers
      --quick                         a few seconds each, with smaller targets
      --ostler PATH                   as above
      --examples DIRECTORY            the built examples (examples beside this program)

  broadcast                           one message to many listeners, against a loop around send
      --listeners N (10000)  --size BYTES (64)  --messages N (50)  --rounds N (7)
      --ostler PATH                   as above

  demo                                half a minute of crashes, reloads and deploys that no client
                                      notices
      --programs DIRECTORY            the versions that are deployed: demo-one, demo-two and
                                      demo-broken (beside this program)

  pinned CPU -- CMD..., unpinned -- CMD...
                                      run CMD in this process, on one CPU; it ends with its parent
";

/// The instrument's name; it is built beside this program.
const INSTRUMENT: &str = "ostler-echo";

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Serve { baseline: Baseline, listen: SocketAddr, identity: Option<Identity> },
    Load(LoadOptions),
    Table(TableOptions),
    Soak(SoakOptions),
    Broadcast(BroadcastOptions),
    Demo(DemoOptions),
    Launch { cpu: Option<usize>, command: Vec<String> },
}

fn usage(error: lexopt::Error) -> Error {
    Error::usage(error.to_string())
}

/// Parses the arguments after the program's name. `bench` is this program.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    bench: PathBuf,
) -> Result<Command> {
    let mut parser = Parser::from_args(arguments);
    let name = match parser.next().map_err(usage)? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(Arg::Value(name)) => name,
        Some(other) => return Err(usage(other.unexpected())),
    };
    let command = match name.to_str() {
        Some("raw-epoll-echo") => {
            serve(&mut parser, Baseline::RawEpoll { threads: 1, whole: None })
        }
        Some("raw-udp-echo") => serve(&mut parser, Baseline::RawUdp),
        Some("raw-relay") => serve(&mut parser, Baseline::RawRelay),
        Some("raw-send-loop") => serve(&mut parser, Baseline::RawSend { message_bytes: 64 << 20 }),
        Some("raw-sendfile-loop") => {
            serve(&mut parser, Baseline::RawSendfile { message_bytes: 64 << 20 })
        }
        Some("raw-tls-echo") => serve(&mut parser, Baseline::RawTls),
        Some("raw-send-to-all") => serve(&mut parser, Baseline::RawSendToAll { listeners: 10_000 }),
        Some("tokio-echo") => serve(&mut parser, Baseline::Tokio),
        Some("load") => load(&mut parser),
        Some("table") => table(&mut parser, bench),
        Some("soak") => soak(&mut parser, bench),
        Some("broadcast") => broadcast(&mut parser, bench),
        Some("demo") => demo(&mut parser, bench),
        Some("pinned") => launch(&mut parser, true),
        Some("unpinned") => launch(&mut parser, false),
        Some("help") => Ok(Command::Help),
        _ => Err(format!("unknown command {}", name.to_string_lossy()).into()),
    };
    command.map_err(usage)
}

type Parsed = std::result::Result<Command, lexopt::Error>;

fn serve(parser: &mut Parser, mut baseline: Baseline) -> Parsed {
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (mut certificate, mut key) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("listen") => listen = parser.value()?.parse()?,
            Arg::Long("certificate") if baseline == Baseline::RawTls => {
                certificate = Some(parser.value()?.into());
            }
            Arg::Long("key") if baseline == Baseline::RawTls => key = Some(parser.value()?.into()),
            Arg::Long("size") if matches!(baseline, Baseline::RawSend { .. }) => {
                baseline = Baseline::RawSend { message_bytes: parser.value()?.parse()? };
            }
            Arg::Long("size") if matches!(baseline, Baseline::RawSendfile { .. }) => {
                baseline = Baseline::RawSendfile { message_bytes: parser.value()?.parse()? };
            }
            Arg::Long("listeners") if matches!(baseline, Baseline::RawSendToAll { .. }) => {
                baseline = Baseline::RawSendToAll { listeners: parser.value()?.parse()? };
            }
            Arg::Long("threads") if matches!(baseline, Baseline::RawEpoll { .. }) => {
                let threads = parser.value()?.parse()?;
                if !(1..=256).contains(&threads) {
                    return Err("--threads: 1 to 256".into());
                }
                baseline = baseline.with_threads(threads);
            }
            Arg::Long("whole") if matches!(baseline, Baseline::RawEpoll { .. }) => {
                let size = parser.value()?.parse()?;
                if !(1..=64 << 20).contains(&size) {
                    return Err("--whole: 1 byte to 64 MiB".into());
                }
                baseline = baseline.with_whole(size);
            }
            other => return Err(other.unexpected()),
        }
    }
    let identity = certificate.zip(key);
    let identity = identity.map(|(certificate, key)| Identity { certificate, key });
    Ok(Command::Serve { baseline, listen, identity })
}

fn load(parser: &mut Parser) -> Parsed {
    let mut options = LoadOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    let (mut target, mut open, mut rate_per_s) = (None, None, None);
    let (mut pipeline, mut duration_ms) = (None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("target") => target = Some(parser.value()?.parse::<Target>()?),
            Arg::Long("trust") => options.trust = Some(parser.value()?.into()),
            Arg::Long("connections") => options.connections = parser.value()?.parse()?,
            Arg::Long("size") => options.size_bytes = parser.value()?.parse()?,
            Arg::Long("pipeline") => pipeline = Some(parser.value()?.parse()?),
            Arg::Long("mode") => {
                open = match parser.value()?.to_str() {
                    Some("closed") => Some(false),
                    Some("open") => Some(true),
                    _ => return Err("--mode is closed or open".into()),
                }
            }
            Arg::Long("rate") => rate_per_s = Some(parser.value()?.parse()?),
            Arg::Long("duration_ms") => duration_ms = Some(parser.value()?.parse()?),
            Arg::Long("requests") => options.requests = Some(parser.value()?.parse()?),
            Arg::Long("warmup_ms") => options.warmup_ms = parser.value()?.parse()?,
            Arg::Long("timeout_ms") => options.timeout_ms = parser.value()?.parse()?,
            Arg::Long("reconnect") => options.reconnect = true,
            Arg::Long("churn") => options.churn = true,
            other => return Err(other.unexpected()),
        }
    }
    options.target = target.ok_or("load needs --target ADDRESS or URL")?;
    options.mode = match (open, rate_per_s) {
        (None | Some(false), None) => Mode::Closed,
        (Some(true), Some(rate_per_s)) => Mode::Open { rate_per_s },
        (Some(true), None) => return Err("--mode open needs --rate".into()),
        (None | Some(false), Some(_)) => return Err("--rate needs --mode open".into()),
    };
    options.pipeline = pipeline.unwrap_or(if open == Some(true) { 1024 } else { 1 });
    let default_ms = if options.requests.is_some() { 60_000 } else { 5_000 };
    options.duration_ms = duration_ms.unwrap_or(default_ms);
    Ok(Command::Load(options))
}

fn table(parser: &mut Parser, bench: PathBuf) -> Parsed {
    let mut instrument = bench.with_file_name(INSTRUMENT);
    let (mut rounds, mut seconds, mut quick) = (None, None, false);
    let (mut connections, mut sizes_bytes) = (64, vec![64, 4096, 65_536]);
    let (mut free, mut pinned) = (true, true);
    let mut extras = Extra::ALL.to_vec();
    let (mut only, mut more, mut php) = (None, Vec::new(), None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Arg::Long("seconds") => seconds = Some(parser.value()?.parse()?),
            Arg::Long("connections") => connections = parser.value()?.parse()?,
            Arg::Long("sizes") => {
                let list = parser.value()?.string()?;
                let sizes = list.split(',').filter(|size| *size != "none");
                let sizes = sizes.map(|size| size.trim().parse());
                sizes_bytes = sizes
                    .collect::<std::result::Result<_, _>>()
                    .map_err(|_| format!("--sizes {list}: expected BYTES,BYTES,..."))?;
            }
            Arg::Long("placement") => {
                (free, pinned) = match parser.value()?.to_str() {
                    Some("free") => (true, false),
                    Some("pinned") => (false, true),
                    Some("both") => (true, true),
                    _ => return Err("--placement is free, pinned or both".into()),
                }
            }
            Arg::Long("extras") => extras = parse_extras(&parser.value()?.string()?)?,
            Arg::Long("only") => only = Some(parser.value()?.string()?),
            Arg::Long("peer") => {
                let peer = Peer::parse(&parser.value()?.string()?);
                more.push(peer.map_err(|error| error.to_string())?);
            }
            Arg::Long("ostler") => instrument = parser.value()?.into(),
            Arg::Long("php") => {
                let peer = Peer::parse(&format!("php={}", parser.value()?.string()?));
                php = Some(peer.map_err(|error| error.to_string())?);
            }
            Arg::Long("quick") => quick = true,
            other => return Err(other.unexpected()),
        }
    }
    let seconds: f64 = seconds.unwrap_or(if quick { 0.3 } else { 1.0 });
    if !(0.01..=3600.0).contains(&seconds) {
        return Err("--seconds: 0.01 to 3600".into());
    }
    let mut peers = vec![Peer::raw_epoll(&bench), Peer::tokio(&bench), Peer::ostler(&instrument)];
    peers.extend(more);
    Ok(Command::Table(TableOptions {
        peers: select(peers, only.as_deref())?,
        bench,
        instrument,
        php,
        sizes_bytes,
        extras,
        rounds: rounds.unwrap_or(if quick { 3 } else { 9 }),
        duration_ms: (seconds * 1000.0) as u64,
        warmup_ms: if quick { 100 } else { 300 },
        connections,
        free,
        pinned,
    }))
}

fn parse_extras(list: &str) -> std::result::Result<Vec<Extra>, lexopt::Error> {
    let known = |name: &str| Extra::ALL.into_iter().find(|extra| extra.name() == name);
    let names = list.split(',').map(str::trim).filter(|name| *name != "none");
    names
        .map(|name| {
            let names = Extra::ALL.map(Extra::name).join(", ");
            known(name)
                .ok_or_else(|| format!("--extras: no row `{name}`; there are {names}").into())
        })
        .collect()
}

/// Keeps the named peers, and the first one, which is the reference.
fn select(peers: Vec<Peer>, only: Option<&str>) -> std::result::Result<Vec<Peer>, lexopt::Error> {
    let names: Vec<&str> = peers.iter().map(|peer| peer.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(**name)) {
        return Err(format!("two peers are called {twice}").into());
    }
    let Some(only) = only else { return Ok(peers) };
    let wanted: Vec<&str> = only.split(',').map(str::trim).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
        return Err(format!("--only: no peer `{unknown}`; there are {}", names.join(", ")).into());
    }
    let reference = names.first().copied().unwrap_or_default().to_owned();
    let kept = |peer: &Peer| peer.name == reference || wanted.contains(&peer.name.as_str());
    Ok(peers.iter().filter(|peer| kept(peer)).cloned().collect())
}

fn soak(parser: &mut Parser, bench: PathBuf) -> Parsed {
    let instrument = bench.with_file_name(INSTRUMENT);
    let examples = bench.with_file_name("examples");
    let mut options = SoakOptions { bench, instrument, examples, only: Vec::new(), quick: false };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("only") => {
                let list = parser.value()?.string()?;
                options.only.extend(list.split(',').map(|name| name.trim().to_owned()));
            }
            Arg::Long("quick") => options.quick = true,
            Arg::Long("ostler") => options.instrument = parser.value()?.into(),
            Arg::Long("examples") => options.examples = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    options.validate().map_err(|error| error.to_string())?;
    Ok(Command::Soak(options))
}

fn broadcast(parser: &mut Parser, bench: PathBuf) -> Parsed {
    let instrument = bench.with_file_name(INSTRUMENT);
    let mut options = BroadcastOptions {
        bench,
        instrument,
        listeners: 10_000,
        size_bytes: 64,
        messages: 50,
        rounds: 7,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("listeners") => options.listeners = parser.value()?.parse()?,
            Arg::Long("size") => options.size_bytes = parser.value()?.parse()?,
            Arg::Long("messages") => options.messages = parser.value()?.parse()?,
            Arg::Long("rounds") => options.rounds = parser.value()?.parse()?,
            Arg::Long("ostler") => options.instrument = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Broadcast(options))
}

fn demo(parser: &mut Parser, bench: PathBuf) -> Parsed {
    let programs = bench.parent().unwrap_or(Path::new(".")).to_owned();
    let mut options = DemoOptions { bench, programs };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("programs") => options.programs = parser.value()?.into(),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Demo(options))
}

fn launch(parser: &mut Parser, pinned: bool) -> Parsed {
    let cpu = if pinned { Some(parser.value()?.parse()?) } else { None };
    let rest = parser.raw_args()?;
    let mut words = rest.map(|word| word.into_string());
    let words: std::result::Result<Vec<String>, OsString> = words.by_ref().collect();
    let mut command = words.map_err(lexopt::Error::NonUnicodeValue)?;
    if command.first().is_some_and(|word| word == "--") {
        command.remove(0);
    }
    if command.is_empty() {
        return Err("no command to run after `--`".into());
    }
    Ok(Command::Launch { cpu, command })
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
