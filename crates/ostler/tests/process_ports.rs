//! Several ports of one server: each has its name, its address and its own options.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use ostler_testkit::{Client, DEADLINE, Signal, TestResult, TestServer};
use support::{echo, round_trip};

/// An echo with a second port, `lines`, that has options of its own.
fn two_ports() -> ostler_testkit::ServerBuilder {
    echo(1, 1).set("framing", "raw").args([
        "--port",
        "lines=tcp://127.0.0.1:0,framing=line,package_max_length=64,crash_policy=drop",
    ])
}

#[test]
fn each_port_says_where_it_is_and_has_options_of_its_own() -> TestResult {
    let server = two_ports().start()?;
    let main = server.port_url("main")?;
    let lines = server.port_url("lines")?;
    assert_eq!(
        server.output(),
        [format!("listening on {main} (main)"), format!("listening on {lines} (lines)")]
    );
    server.wait_for_log(&format!("listening on {lines} "))?;
    // Half a line is a package of the raw port, and none of the other.
    let mut raw = server.connect()?;
    round_trip(&mut raw, "half")?;
    let mut line = server.connect_to("lines")?;
    line.send(b"half a li")?;
    round_trip(&mut raw, "more")?;
    line.send(b"ne\n")?;
    line.expect(b"half a line\n")?;
    // Too long for the line port only.
    let long = "x".repeat(65);
    round_trip(&mut raw, &long)?;
    line.send(long.as_bytes())?;
    line.expect_closed()?;
    round_trip(&mut raw, "still here")?;
    server.stop()
}

#[test]
fn each_port_settles_a_death_by_its_own_policy() -> TestResult {
    let server = echo(1, 1)
        .set("framing", "line")
        .handler("crash_on:boom")
        .args(["--port", "patient=tcp://127.0.0.1:0,crash_policy=drop"])
        .expect_log("died")
        .start()?;
    let mut closes = server.connect()?;
    let mut drops = server.connect_to("patient")?;
    for client in [&mut closes, &mut drops] {
        round_trip(client, "before\n")?;
    }
    closes.send(b"boom\n")?;
    closes.expect_closed()?;
    drops.send(b"boom\n")?;
    round_trip(&mut drops, "after\n")?;
    server.stop()
}

#[test]
fn each_port_reads_refuses_and_limits_by_its_own_figures() -> TestResult {
    let server = echo(1, 1)
        .set("framing", "line")
        .handler("big_reply:4096")
        .args(["--port", "small=tcp://127.0.0.1:0,max_send_bytes=1K"])
        .expect_log("a callback failed")
        .start()?;
    let mut main = server.connect()?;
    main.send(b"x\n")?;
    assert_eq!(main.read_exactly(4096)?.len(), 4096);
    // A send that is too long is a failure of the handler, which ends its session.
    let mut small = server.connect_to("small")?;
    small.send(b"x\n")?;
    small.expect_closed()?;
    main.send(b"x\n")?;
    assert_eq!(main.read_exactly(4096)?.len(), 4096);
    server.stop()
}

#[test]
fn a_drain_closes_every_listener_and_the_next_server_has_the_same_ports() -> TestResult {
    let server = two_ports().start()?;
    let (main, lines) = (server.address(), server.port_url("lines")?);
    let mut talking = server.connect_to("lines")?;
    round_trip(&mut talking, "hello\n")?;
    server.master().signal(Signal::TERM);
    talking.expect_closed()?;
    server.wait_end()?;
    let lines = lines.trim_start_matches("tcp://").to_owned();
    // Addresses of which connections linger are free for the next server.
    let again = echo(1, 1)
        .set("listen", main)
        .args(["--port", &format!("lines={lines},framing=line")])
        .start()?;
    let mut client = again.connect_to("lines")?;
    round_trip(&mut client, "hello again\n")?;
    again.stop()
}

#[test]
fn one_port_that_cannot_be_opened_leaves_none_open() -> TestResult {
    let held = TcpListener::bind("127.0.0.1:0")?;
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let (code, text) = TestServer::echo()
        .set("listen", free)
        .args(["--port", &format!("held={}", held.local_addr()?)])
        .start_expecting_failure()?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains(&held.local_addr()?.to_string()) && text.contains("in use"), "{text}");
    assert!(Client::connect(free).is_err(), "the first listener was closed");
    Ok(())
}

#[test]
fn a_limit_of_connections_counts_all_ports_and_rests_all_of_them() -> TestResult {
    let server =
        two_ports().set("max_connections", 2).expect_log("all places are taken").start()?;
    let mut one = server.connect()?;
    let mut two = server.connect_to("lines")?;
    round_trip(&mut one, "one")?;
    round_trip(&mut two, "two\n")?;
    // Both wait in the kernel until a place is free.
    let mut three = server.connect()?;
    let mut four = server.connect_to("lines")?;
    three.send(b"three")?;
    four.send(b"four\n")?;
    server.wait_for_log("all places are taken")?;
    drop(one);
    drop(two);
    three.expect(b"three")?;
    four.expect(b"four\n")?;
    server.stop()
}

#[test]
fn wrong_ports_are_told_with_what_to_write() -> TestResult {
    for (port, words) in [
        ("8080", "write `--port NAME=URL"),
        ("a=tcp://*:80", "`0.0.0.0:80`"),
        ("a=tpc://h:80", "did you mean `tcp://`?"),
        ("a=unixgram://run/x", "absolute path"),
        ("a=h:80,framng=line", "did you mean `port.a.framing`?"),
        ("a=h:80,workers=2", "an option of the whole server, not of the port `a`"),
        ("a=h:80,send_queue_low=8M", "port `a`: `send_queue_low` (8M) must not be above"),
        ("a=127.0.0.1:9501", "the ports `main` and `a` listen at the same place"),
        ("A=h:80", "a port cannot be called `A`"),
    ] {
        let server = TestServer::echo().set("listen", "127.0.0.1:9501");
        let (code, text) = server.args(["--port", port]).start_expecting_failure()?;
        assert_eq!(code, 2, "{port}: {text}");
        assert!(text.contains(words), "{port}: {text}");
    }
    Ok(())
}

/// Sends something to a unix socket and expects it back.
fn unix_round_trip(path: &Path, text: &str) -> TestResult {
    let mut client = UnixStream::connect(path)?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer)?;
    assert_eq!(answer, text.as_bytes());
    client.shutdown(std::net::Shutdown::Write)?;
    assert_eq!(client.read(&mut answer)?, 0, "the server ends its side too");
    Ok(())
}

/// A directory of one test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> TestResult<Self> {
        let name = format!("ports-test-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_unix_port_serves_beside_others_and_its_file_goes_when_it_drains() -> TestResult {
    let scratch = Scratch::new("serves")?;
    let path = scratch.0.join("echo.sock");
    let port = format!("local=unix://{},unix_mode=0660,framing=line", path.display());
    let server = echo(2, 1).args(["--port", &port]).start()?;
    assert_eq!(server.port_url("local")?, format!("unix://{}", path.display()));
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o660);
    unix_round_trip(&path, "over a file\n")?;
    round_trip(&mut server.connect()?, "over tcp")?;
    unix_round_trip(&path, &format!("{}\n", "long ".repeat(50_000)))?;
    server.stop()?;
    assert!(!path.exists(), "its file is gone");
    Ok(())
}

#[test]
fn a_unix_path_of_a_server_that_was_killed_is_taken_over_and_a_live_one_is_not() -> TestResult {
    let scratch = Scratch::new("killed")?;
    let path = scratch.0.join("echo.sock");
    let url = format!("unix://{}", path.display());
    let start = || echo(1, 1).args(["--port".to_owned(), format!("local={url}")]);
    let killed = start().start()?;
    killed.port_url("local")?;
    // While it lives nobody else gets the path, and it is served on.
    let (code, text) = start().beside_others().start_expecting_failure()?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains(&url) && text.contains("another program listens there"), "{text}");
    unix_round_trip(&path, "still here")?;
    let master = killed.master();
    master.signal(Signal::KILL);
    master.wait_gone(DEADLINE)?;
    killed.abandon();
    assert!(path.exists(), "nobody has taken it away");
    let next = start().start()?;
    next.port_url("local")?;
    unix_round_trip(&path, "taken over")?;
    next.stop()?;
    assert!(!path.exists());
    std::fs::write(&path, "precious")?;
    let (code, text) = start().start_expecting_failure()?;
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("a file that is no socket"), "{text}");
    assert_eq!(std::fs::read(&path)?, b"precious");
    Ok(())
}

#[test]
fn a_unix_path_without_room_or_directory_is_told() -> TestResult {
    for (path, code, words) in [
        (format!("/{}", "x".repeat(107)), 2, "at most 107 bytes, this one has 108"),
        ("/no/such/directory/s".to_owned(), 3, "there is no directory /no/such/directory"),
        ("/s,unix_mode=660".to_owned(), 2, "`0660`"),
    ] {
        let server = TestServer::echo().args(["--port".to_owned(), format!("a=unix://{path}")]);
        let (found, text) = server.start_expecting_failure()?;
        assert_eq!(found, code, "{text}");
        assert!(text.contains(words), "{text}");
    }
    Ok(())
}
