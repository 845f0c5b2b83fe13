//! Probe: a line server whose commands exercise the whole interface, for the process tests.
//!
//! ```text
//! probe [--set NAME=VALUE | --own PORT=URL]...
//! ```
//!
//! One line is one command (`framing = eof`, delimiter `\n`), each answer is one line unless said
//! otherwise. With `PROBE_JOURNAL=FILE` every callback appends a line to that file. A port that is
//! named with `--own` has a probe for itself, whose lines there begin with the port's name. The
//! commands that begin with `hostile` write nonsense into this process's own lanes and then wait to
//! be killed for it.

#![allow(clippy::panic)] // told to

mod deferred;
mod files;
mod flow;
mod groups;
mod hostile;
mod memory;
mod outputs;
mod process;
mod requests;
mod sessions;
mod states;
mod timers;
mod words;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use ostler::{
    CloseReason, Deferred, Error, Exit, Handler, KeepAlive, Outcome, Package, Packet, PacketPeer,
    Server, Session, TimerId, Worker,
};
use ostler_shm::layout::Sizes;
use words::{Arguments, Call, outcome, say, wait_for_file};

struct Probe {
    /// The port that has it for itself and a space, or nothing.
    port: String,
    /// Packages are pieces of a stream of lines.
    is_stream: bool,
    /// At most one line of a package is used.
    one_by_one: bool,
    journal: Option<File>,
    sizes: Sizes,
    tokens: RefCell<Vec<KeepAlive>>,
    deferred: Rc<RefCell<Vec<Deferred>>>,
    timers: RefCell<Vec<TimerId>>,
}

/// Carries a command of one topic out; `false`: it is of another one.
type Topic = fn(&Probe, &mut Call<'_>, &str) -> bool;

const TOPICS: [Topic; 11] = [
    groups::run,
    outputs::run,
    sessions::run,
    states::run,
    flow::run,
    process::run,
    requests::run,
    deferred::run,
    files::run,
    timers::run,
    hostile::run,
];

impl Probe {
    fn new(port: &str, sizes: Sizes, is_stream: bool) -> Self {
        let journal = std::env::var_os("PROBE_JOURNAL")
            .and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
        Self {
            port: port.to_owned(),
            is_stream,
            one_by_one: std::env::var_os("PROBE_ONE_BY_ONE").is_some(),
            journal,
            sizes,
            tokens: RefCell::default(),
            deferred: Rc::default(),
            timers: RefCell::default(),
        }
    }

    fn note(&self, worker: &Worker, what: impl AsRef<str>) {
        if let Some(mut journal) = self.journal.as_ref() {
            let (slot, generation) = (worker.slot(), worker.generation());
            let line = format!("{}w{slot}.{generation} {}\n", self.port, what.as_ref());
            let _ = journal.write_all(line.as_bytes());
        }
    }

    /// Uses the whole lines of a package.
    fn on_stream(&mut self, worker: &Worker, session: &Session, package: &Package) {
        let mut used = 0;
        while let Some(rest) = package.get(used..)
            && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
        {
            let head = rest.get(..end.min(512)).unwrap_or(rest);
            used += end + 1;
            // Before the command, which may defer the package.
            package.consume(used);
            self.command(worker, session, package, &String::from_utf8_lossy(head));
            if self.one_by_one {
                break;
            }
        }
        package.consume(used);
        if package.is_last() {
            self.note(worker, format!("last {} {}", session.id(), package.len() - used));
            say(session, format!("last {}", package.len() - used));
        }
    }

    fn command(&self, worker: &Worker, session: &Session, package: &Package, line: &str) {
        let mut arguments = Arguments(line);
        let word = arguments.word();
        let mut call = Call { worker, session, package, arguments };
        if !TOPICS.iter().any(|run| run(self, &mut call, word)) {
            call.say(format!("unknown {word}"));
        }
    }
}

impl Handler for Probe {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        self.note(worker, "start");
        let hang = std::env::var_os("PROBE_HANG_START_IF_EXISTS");
        while hang.as_ref().is_some_and(|path| std::path::Path::new(path).exists()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        match std::env::var_os("PROBE_FAIL_START_IF_EXISTS") {
            Some(path) if std::path::Path::new(&path).exists() => Err("told to fail".into()),
            _ => Ok(()),
        }
    }

    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        self.note(worker, format!("connect {}", session.id()));
        if let Some(tls) = session.tls() {
            self.note(worker, sessions::describe(session.id(), &tls));
        }
        if let Some(path) = std::env::var_os("PROBE_HOLD_CONNECT_UNTIL") {
            wait_for_file(path);
        }
        if let Some(user) = std::env::var("PROBE_BIND").ok().and_then(|user| user.parse().ok()) {
            session.bind(user)?;
        }
        if let Some(path) = std::env::var_os("PROBE_CONFIRM_IF_EXISTS")
            && std::path::Path::new(&path).exists()
        {
            session.confirm()?;
        }
        if std::env::var_os("PROBE_GREET").is_some() {
            say(session, "hello");
        }
        Ok(())
    }

    /// `PATH TEXT` sends the text there, anything else is answered with the name of its sender.
    fn on_packet(&mut self, worker: &Worker, packet: &Packet) -> Outcome {
        self.note(worker, "packet");
        let text = String::from_utf8_lossy(packet);
        let Some((path, text)) = text.split_once(' ') else {
            return Ok(packet.reply(packet.peer().to_string().as_bytes())?);
        };
        let peer = PacketPeer::unix(path).ok_or("no path of a unix socket")?;
        Ok(worker.send_to(packet.port().id(), &peer, text.as_bytes())?)
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        if self.journal.is_some() {
            self.note(worker, format!("receive {} {}", session.id(), package.len()));
        }
        if self.is_stream {
            self.on_stream(worker, session, package);
            return Ok(());
        }
        // Commands are at the front; the rest of a long line is only weighed.
        let head = package.get(..512).unwrap_or(package);
        let line = String::from_utf8_lossy(head);
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        if let Some(why) = line.strip_prefix("fail ") {
            say(session, "sent before it failed");
            return Err(why.into());
        }
        self.command(worker, session, package, &line);
        Ok(())
    }

    fn on_buffer_full(&mut self, worker: &Worker, session: &Session) -> Outcome {
        self.note(worker, format!("full {}", session.id()));
        Ok(())
    }

    fn on_buffer_empty(&mut self, worker: &Worker, session: &Session) -> Outcome {
        self.note(worker, format!("empty {}", session.id()));
        Ok(())
    }

    fn on_close(&mut self, worker: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        let state = String::from_utf8_lossy(&session.state()).into_owned();
        let info = if session.info().is_some() { "info" } else { "noinfo" };
        let sent = session.send(b"too late\n");
        let why = sent.err().and_then(|error| error.gone_because()).unwrap_or("-");
        let (sent, reason) = (outcome(sent), reason.name());
        self.note(worker, format!("close {} {info} {sent} {why} {reason} {state}", session.id()));
        Ok(())
    }

    fn on_worker_exit(&mut self, worker: &Worker) {
        self.note(worker, "exit");
        self.tokens.borrow_mut().clear();
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        self.note(worker, "stop");
    }
}

fn serve() -> ostler::Result<()> {
    // The engine says what there is to say of a panic in one line; the default hook would add some
    // more.
    std::panic::set_hook(Box::new(|_| {}));
    let mut builder = Server::builder()
        .set("framing", "eof")
        .set("package_eof", "\\n")
        .set("listen", "127.0.0.1:0");
    // For the hostile commands, which are given both.
    let mut sizes = Sizes { reactors: 1, lane_size: 64 * 1024 };
    let (mut is_stream, mut own) = (false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let pair = arguments.next();
        let pair = pair.as_deref().and_then(|pair| pair.split_once('='));
        match (argument.as_str(), pair) {
            ("--own", Some((port, url))) => {
                own.push((port.to_owned(), url.to_owned()));
                continue;
            }
            ("--set", Some((name, value))) => {
                match name {
                    "framing" => is_stream = value == "stream",
                    "reactors" => sizes.reactors = value.parse().unwrap_or(1),
                    "lane_size" => sizes.lane_size = value.parse().unwrap_or(64 * 1024),
                    _ => {}
                }
                builder = builder.set(name, value);
            }
            _ => return Err(Error::usage("usage: probe [--set NAME=VALUE | --own PORT=URL]...")),
        }
    }
    for (port, url) in own {
        let name = format!("{port} ");
        builder = builder
            .port(&port, &url, |port| port.handler(move |_| Probe::new(&name, sizes, is_stream)));
    }
    // What all processes share that are forked from this one.
    if let Some(size) = std::env::var("PROBE_PRELOAD").ok().and_then(|size| size.parse().ok()) {
        process::take_memory(size);
    }
    let server = builder.bind()?;
    let server = match std::env::var_os("PROBE_RUN_WHEN_EXISTS") {
        // Is known before it serves.
        Some(path) => {
            println!("listening on {}", server.local_address());
            wait_for_file(path);
            server
        }
        None => server.on_listening(say_ports),
    };
    server.run(move |_| match std::env::var_os("PROBE_FAIL_MAKE_IF_EXISTS") {
        Some(path) if std::path::Path::new(&path).exists() => Err("told not to be made"),
        _ => Ok(Probe::new("", sizes, is_stream)),
    })
}

/// One line for each port that was named; a server without names says its address.
fn say_ports(ports: &ostler::Ports) {
    if ports.is_only_main() {
        return println!("listening on {ports}");
    }
    for port in ports.iter() {
        println!("listening on {port} ({})", port.name());
    }
}

fn main() -> Exit {
    serve().into()
}
