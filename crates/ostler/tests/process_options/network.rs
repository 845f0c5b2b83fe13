//! Network.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ostler_testkit::{TestResult, TestServer};

use crate::Effect;
use crate::talk::{Scratch, Talk, probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("listen", listen_is_where_clients_connect),
    ("unix_mode", unix_mode_says_who_may_connect_to_a_path),
    ("backlog", backlog_is_how_many_wait_while_nobody_accepts),
    ("proxy_protocol", proxy_protocol_names_the_client_of_a_connection),
    ("proxy_protocol_from", proxy_protocol_from_says_whose_word_counts),
    ("max_connections", max_connections_are_open_at_once),
    ("session_ids", session_ids_are_sequential_or_begin_anywhere),
    ("start_session_id", start_session_id_is_before_the_first),
];

#[test]
fn listen_is_where_clients_connect() -> TestResult {
    for address in ["127.0.0.2:0", "127.0.0.3:0"] {
        let server = TestServer::echo().set("listen", address).start()?;
        assert_eq!(format!("{}:0", server.address().ip()), address);
        let mut client = server.connect()?;
        client.send(b"here")?;
        client.expect(b"here")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn unix_mode_says_who_may_connect_to_a_path() -> TestResult {
    let scratch = Scratch::new("unixmode")?;
    for (given, expected) in [(None, 0o600), (Some("0660"), 0o660), (Some("0666"), 0o666)] {
        let path = scratch.path("socket");
        let mode = given.map(|mode| format!(",unix_mode={mode}")).unwrap_or_default();
        let port = format!("local=unix://{}{mode}", path.display());
        let server = TestServer::echo().args(["--port", &port]).start()?;
        server.port_url("local")?;
        assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, expected);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn proxy_protocol_names_the_client_of_a_connection() -> TestResult {
    let header = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443";
    for (mode, from, answer) in [("off", "", "unknown"), ("required", "127.0.0.1", "192.0.2.1")] {
        let server =
            probe().set("proxy_protocol", mode).set("proxy_protocol_from", from).start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(format!("{header}\r\ninfo\n").as_bytes())?;
        let said = talk.line()?;
        assert!(said.contains(answer), "{mode}: {said}");
        server.stop()?;
    }
    let (code, text) = probe().set("proxy_protocol", "required").start_expecting_failure()?;
    assert!(code == 2 && text.contains("needs `proxy_protocol_from`"), "{code}: {text}");
    let (code, text) = probe().set("proxy_protocol", "optional").start_expecting_failure()?;
    assert!(code == 2 && text.contains("it is one of `off`, `required`"), "{code}: {text}");
    Ok(())
}

#[test]
fn proxy_protocol_from_says_whose_word_counts() -> TestResult {
    for (from, trusted) in [
        ("127.0.0.1", true),
        ("192.0.2.0/24,127.0.0.0/8", true),
        ("192.0.2.0/24 ::1", false),
        ("127.0.0.2", false),
    ] {
        let server =
            probe().set("proxy_protocol", "required").set("proxy_protocol_from", from).start()?;
        let header = b"PROXY UNKNOWN\r\necho it is me\n";
        if trusted {
            let mut client = server.connect()?;
            client.send(header)?;
            client.expect(b"it is me\n")?;
        } else {
            // It may be reset before the client knows that it is connected, or has sent anything.
            if let Ok(mut client) = server.connect() {
                let _ = client.send(header);
                client.expect_closed()?;
            }
            server.wait_for_log("a connection from none of proxy_protocol_from, closed")?;
        }
        let ended = server.stop_and_report()?;
        let lines = ended.log().lines_with("headers of proxies awaited=1");
        let expected = if trusted { "read=1" } else { "read=0 untrusted=1" };
        assert!(lines.len() == 1 && lines[0].ends_with(expected), "{from}: {lines:?}");
    }
    Ok(())
}

/// A name is looked up by the system's resolver, and the server listens at what that answers. A
/// machine that knows no `localhost` is as good for this: then the server has to say which name it
/// cannot find.
#[test]
fn listen_takes_a_name() -> TestResult {
    use std::net::ToSocketAddrs as _;
    let builder = TestServer::echo().set("listen", "localhost:0");
    let Ok(known) = ("localhost", 0).to_socket_addrs() else {
        let (code, text) = builder.start_expecting_failure()?;
        assert_eq!(code, 3, "{text}");
        assert!(text.contains("localhost"), "{text}");
        return Ok(());
    };
    let server = builder.start()?;
    assert!(known.into_iter().any(|known| known.ip() == server.address().ip()));
    let mut client = server.connect()?;
    client.send(b"here")?;
    client.expect(b"here")?;
    server.stop()
}

/// How many of 40 connections are made while the master stands still.
fn connects_while_stopped(backlog: u16) -> TestResult<usize> {
    let server = TestServer::echo().set("backlog", backlog).start()?;
    let mut client = server.connect()?;
    client.send(b"x")?;
    client.expect(b"x")?;
    server.master().stop()?;
    let address = server.address();
    let patience = Duration::from_millis(100);
    let attempts = (0..40).map(|_| TcpStream::connect_timeout(&address, patience));
    // The first that is not taken fills nothing any more: the others would only wait as long.
    let made: Vec<TcpStream> = attempts.map_while(Result::ok).collect();
    server.master().cont()?;
    drop(client);
    let count = made.len();
    drop(made);
    server.stop()?;
    Ok(count)
}

#[test]
fn backlog_is_how_many_wait_while_nobody_accepts() -> TestResult {
    let few = connects_while_stopped(4)?;
    assert!((4..=8).contains(&few), "{few}");
    assert_eq!(connects_while_stopped(64)?, 40);
    Ok(())
}

#[test]
fn a_backlog_that_the_kernel_shortens_is_told() -> TestResult {
    let longest = std::fs::read_to_string("/proc/sys/net/core/somaxconn")?;
    let server =
        TestServer::echo().set("backlog", 65_535).expect_log("backlog is lowered").start()?;
    let mut client = server.connect()?;
    client.send(b"x")?;
    client.expect(b"x")?;
    if longest.trim().parse::<u32>().is_ok_and(|longest| longest < 65_535) {
        let line = server.wait_for_log("backlog is lowered")?;
        assert!(line.contains(&format!("wanted=65535 backlog={}", longest.trim())), "{line}");
    }
    server.stop()
}

#[test]
fn max_connections_are_open_at_once() -> TestResult {
    let server = probe().set("max_connections", 2).expect_log("all places are taken").start()?;
    let (mut one, mut two) = (Talk::new(&server)?, Talk::new(&server)?);
    assert_eq!(one.ask("echo 1")?, "1");
    assert_eq!(two.ask("echo 2")?, "2");
    let mut three = Talk::new(&server)?;
    three.say("echo 3")?;
    server.wait_for_log("all places are taken")?;
    three.expect_silence();
    drop(one);
    three.expect("3");
    server.stop()
}

/// The ids of `count` sessions that are open at once, in the order of their connecting.
fn ids(server: &TestServer, count: usize) -> TestResult<Vec<u64>> {
    let mut talks = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..count {
        let mut talk = Talk::new(server)?;
        ids.push(talk.number("id")?);
        talks.push(talk);
    }
    Ok(ids)
}

#[test]
fn session_ids_are_sequential_or_begin_anywhere() -> TestResult {
    let server = probe().set("session_ids", "sequential").set("reactors", 2).start()?;
    // Two reactors have them by turns: there is one counter all the same.
    assert_eq!(ids(&server, 5)?, [1, 2, 3, 4, 5]);
    assert_eq!(ids(&server, 2)?, [6, 7], "a number is not used again");
    server.stop()?;
    let mut starts = Vec::new();
    for _ in 0..2 {
        let server = probe().set("session_ids", "random_start").start()?;
        let ids = ids(&server, 3)?;
        assert_eq!(ids, [ids[0], ids[0] + 1, ids[0] + 2]);
        starts.push(ids[0]);
        server.stop()?;
    }
    // Two numbers below 2^48.
    assert_ne!(starts[0], starts[1]);
    Ok(())
}

#[test]
fn start_session_id_is_before_the_first() -> TestResult {
    let highest = 1_u64 << 48;
    for before in [41, highest] {
        let server =
            probe().set("session_ids", "sequential").set("start_session_id", before).start()?;
        let first = before + 1;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.number("id")?, first);
        // Numbers of sessions that never were, are over, or will be: nobody is reached by them.
        let over = ids(&server, 1)?[0];
        assert_eq!(over, first + 1);
        for id in [0, before, first + 2, first + (1 << 20), first | 1 << 53, u64::MAX] {
            assert_eq!(talk.ask(&format!("infoof {id}"))?, "none", "{id}");
        }
        assert_eq!(talk.ask(&format!("infoof {first}"))?, "some");
        server.stop()?;
    }
    Ok(())
}
