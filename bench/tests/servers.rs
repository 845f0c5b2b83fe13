//! Starting and stopping servers, and the table over two of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panicking, in its helpers too"
)]

use std::path::Path;
use std::process::Command;

use ostler_bench::Error;
use ostler_bench::process::{Peer, Server, allowed_cpus};
use ostler_bench::table::{Extra, TableOptions, run};

fn bench() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ostler-bench"))
}

fn reason(command: &str) -> String {
    match Server::start(&Peer::parse(&format!("x={command}")).unwrap(), bench(), None) {
        Err(Error::Start { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_does_not_start_says_why() {
    assert!(reason("/no/such/server --x").contains("there is no /no/such/server"));
    assert!(reason("no-such-program-anywhere").contains("cannot run no-such-program-anywhere"));
    let text = reason("sh -c 'echo broken config >&2; exit 3'");
    assert!(text.contains("exit status: 3") && text.contains("broken config"), "{text}");
    assert!(reason("echo hello").contains("`hello`"));
    let text = reason("sh -c 'exit 4' {port}");
    assert!(text.contains("exit status: 4"), "{text}");
}

#[test]
fn a_server_with_a_given_port_is_reached() {
    let command = format!("x={} raw-epoll-echo --listen 127.0.0.1:{{port}}", bench().display());
    let server = Server::start(&Peer::parse(&command).unwrap(), bench(), None).unwrap();
    std::net::TcpStream::connect(server.target().socket_address().unwrap()).unwrap();
    assert!(!server.stop(5_000).unwrap().forced);
}

#[test]
fn a_pinned_server_has_one_cpu() {
    let cpu = *allowed_cpus().unwrap().last().unwrap();
    let server = Server::start(&Peer::tokio(bench()), bench(), Some(cpu)).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    assert!(status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")), "{status}");
}

#[test]
fn nothing_survives_a_stop() {
    let script = "sleep 60 & echo $! >&2; echo listening on 127.0.0.1:1; wait";
    let peer = Peer::parse(&format!("x=sh -c '{script}'")).unwrap();
    let server = Server::start(&peer, bench(), None).unwrap();
    let end = server.stop(5_000).unwrap();
    assert_eq!((end.forced, end.survivors), (false, 1));
    assert!(!Path::new(&format!("/proc/{}", end.stderr)).exists() || is_zombie(&end.stderr));

    let peer = Peer::parse(
        "x=sh -c \"trap '' TERM; echo listening on 127.0.0.1:1; while :; do sleep 0.1; done\"",
    );
    let server = Server::start(&peer.unwrap(), bench(), None).unwrap();
    assert!(server.stop(100).unwrap().forced);
}

fn is_zombie(pid: &str) -> bool {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(2);
    while std::time::Instant::now() < limit {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => {}
            _ => return true,
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    false
}

fn table(peers: Vec<Peer>) -> TableOptions {
    TableOptions {
        bench: bench().to_owned(),
        peers,
        instrument: "/no/such/instrument".into(),
        php: None,
        sizes_bytes: vec![64, 65_536],
        extras: vec![Extra::Churn, Extra::Depth16, Extra::TwoByTwo],
        rounds: 2,
        duration_ms: 50,
        warmup_ms: 20,
        connections: 8,
        free: true,
        pinned: allowed_cpus().unwrap().len() > 1,
    }
}

#[test]
fn the_table_has_a_row_for_each_combination() {
    let options = table(vec![Peer::raw_epoll(bench()), Peer::tokio(bench())]);
    let mut progress = Vec::new();
    let outcome = run(&options, &mut progress).unwrap();
    assert_eq!(outcome.faults, Vec::<String>::new());
    let placements = if options.pinned { 2 } else { 1 };
    // Without Ostler among the peers there is no row of its two by two.
    let cases = 2 * placements + 2;
    assert_eq!(outcome.rows.len(), cases * 2);
    for row in &outcome.rows {
        assert!(row.requests_per_s.min > 100.0 && row.cpu_us.min > 0.1, "{row:?}");
        assert!(row.peer != "raw" || row.cpu_ratio.max == 1.0, "{row:?}");
    }
    assert_eq!(String::from_utf8(progress).unwrap().lines().count(), cases * 2 * 2);
}

#[test]
fn the_program_fails_when_a_peer_is_missing_or_an_echo_is_wrong() {
    let run = |arguments: &[&str]| Command::new(bench()).args(arguments).output().unwrap();
    let output = run(&["table", "--quick", "--ostler", "/no/such/echo"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no /no/such/echo"));
    let output = run(&["load", "--target", "127.0.0.1:1", "--requests", "1"]);
    assert_eq!(output.status.code(), Some(1));
}
