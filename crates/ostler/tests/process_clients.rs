//! The examples that speak Redis and MQTT, to the programs that speak them, where those are
//! installed, and always to a client that sends the same bytes.
#![allow(clippy::panic, clippy::expect_used)] // a test that cannot go on

mod talk;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Output, Stdio};

use ostler_testkit::{Client, ServerBuilder, Signal, TestError, TestResult, TestServer};
use talk::ask_resp;

/// Seconds after which a program is ended that should have ended by itself.
const PATIENCE: &str = "60";

fn cache() -> ServerBuilder {
    TestServer::example("cache")
}

fn broker() -> ServerBuilder {
    TestServer::example("broker")
}

/// The program with these arguments behind the server's address; `None` where it is not installed.
fn client_program(server: &TestServer, name: &str, arguments: &[&str]) -> Option<Command> {
    if Command::new(name).arg("--help").output().is_err() {
        eprintln!("SKIPPED: `{name}` is not installed here");
        return None;
    }
    let port = server.address().port().to_string();
    let mut command = Command::new("timeout");
    command.args([PATIENCE, name, "-h", "127.0.0.1", "-p", &port]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

fn run(mut command: Command, input: &[u8]) -> TestResult<String> {
    let mut child = command.spawn()?;
    child.stdin.take().expect("it is a pipe").write_all(input)?;
    let Output { status, stdout, stderr } = child.wait_with_output()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() {
        return Ok(stdout.into_owned());
    }
    Err(TestError::new(format!("{command:?}: {status}: {stdout}{stderr}")))
}

#[test]
fn the_cache_answers_as_redis_does() -> TestResult {
    let server = cache().start()?;
    let mut client = server.connect()?;
    ask_resp(&mut client, &["PING"], "+PONG\r\n")?;
    ask_resp(&mut client, &["set", "key", "a\r\nb"], "+OK\r\n")?;
    ask_resp(&mut client, &["GET", "key"], "$4\r\na\r\nb\r\n")?;
    ask_resp(&mut client, &["GET", "nothing"], "$-1\r\n")?;
    ask_resp(&mut client, &["INCR", "count"], ":1\r\n")?;
    ask_resp(&mut client, &["INCR", "count"], ":2\r\n")?;
    ask_resp(&mut client, &["INCR", "key"], "-ERR value is not an integer or out of range\r\n")?;
    ask_resp(&mut client, &["DBSIZE"], ":2\r\n")?;
    ask_resp(&mut client, &["DEL", "key", "nothing", "count"], ":2\r\n")?;
    ask_resp(&mut client, &["COMMAND", "DOCS"], "*0\r\n")?;
    // Inline, an empty line, and several in one segment.
    client.send(b"PING hello\r\n\r\nPING\r\n*1\r\n$4\r\nPING\r\n")?;
    client.expect(b"$5\r\nhello\r\n+PONG\r\n+PONG\r\n")?;
    ask_resp(&mut client, &["QUIT"], "+OK\r\n")?;
    client.expect_eof()?;
    server.stop()
}

#[test]
fn redis_cli_talks_to_the_cache() -> TestResult {
    let server = cache().start()?;
    let long = "v".repeat(1_000_000);
    for (arguments, input, expected) in [
        (&["PING"][..], "", "PONG\n"),
        (&["SET", "key", "two words"], "", "OK\n"),
        (&["GET", "key"], "", "two words\n"),
        (&["INCR", "count"], "", "1\n"),
        (&["DEL", "key", "count"], "", "2\n"),
        (&["-x", "SET", "long"], long.as_str(), "OK\n"),
        (&["GET", "long"], "", &format!("{long}\n")),
        // Commands of a session, one after the other.
        (&[], "SET a 1\nINCR a\nGET a\nQUIT\n", "OK\n2\n2\n"),
    ] {
        let Some(command) = client_program(&server, "redis-cli", arguments) else { break };
        let answer = run(command, input.as_bytes())?;
        assert!(answer.starts_with(expected), "{arguments:?}: {answer:?}");
    }
    server.stop()
}

#[test]
fn redis_benchmark_finds_no_fault_in_the_cache() -> TestResult {
    let server = cache().set("reactors", 2).start()?;
    for depth in ["1", "16"] {
        let load = ["-q", "-n", "4000", "-c", "16", "-d", "100", "-t", "ping,set,get,incr"];
        let arguments = [&load[..], &["-P", depth]].concat();
        let Some(command) = client_program(&server, "redis-benchmark", &arguments) else { break };
        let report = run(command, b"")?;
        let rows = report.matches("requests per second").count();
        assert!(rows >= 5 && !report.contains("rror"), "{report}");
    }
    server.stop()
}

/// CONNECT of MQTT 3.1.1 with a clean session, 60 s and this one letter as the client's name.
fn connect(server: &TestServer, name: u8) -> TestResult<Client> {
    let mut client = server.connect()?;
    client.send(&[b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01".as_slice(), &[name]].concat())?;
    client.expect(b"\x20\x02\0\0")?;
    Ok(client)
}

#[test]
fn the_broker_publishes_to_those_whose_filter_matches() -> TestResult {
    let server = broker().start()?;
    let (mut home, mut doors) = (connect(&server, b'h')?, connect(&server, b'd')?);
    home.send(b"\x82\x0b\0\x01\0\x06home/#\0")?;
    home.expect(b"\x90\x03\0\x01\0")?;
    // A filter that is none is refused, and the one beside it stands.
    doors.send(b"\x82\x10\0\x02\0\x06+/door\0\0\x02#a\0")?;
    doors.expect(b"\x90\x04\0\x02\0\x80")?;
    let mut publisher = connect(&server, b'p')?;
    publisher.send(b"\x30\x10\0\x09home/roof!leak")?;
    publisher.send(b"\x32\x0f\0\x09home/door\0\x07hi")?;
    publisher.expect(b"\x40\x02\0\x07")?;
    home.expect(b"\x30\x10\0\x09home/roof!leak\x30\x0d\0\x09home/doorhi")?;
    doors.expect(b"\x30\x0d\0\x09home/doorhi")?;
    publisher.send(b"\xc0\0")?;
    publisher.expect(b"\xd0\0")?;
    // Subscribers survive the worker that they told.
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    home.send(b"\xa2\x0a\0\x03\0\x06home/#")?;
    home.expect(b"\xb0\x02\0\x03")?;
    publisher.send(b"\x31\x0d\0\x09home/doorno")?;
    doors.expect(b"\x30\x0d\0\x09home/doorno")?;
    // Retained: who comes later has it at once, with the flag that says so.
    home.send(b"\x82\x06\0\x04\0\x01#\0")?;
    home.expect(b"\x90\x03\0\x04\0\x31\x0d\0\x09home/doorno")?;
    for mut client in [home, doors, publisher] {
        client.send(b"\xe0\0")?;
        client.expect_closed()?;
    }
    server.stop()
}

#[test]
fn the_broker_ends_sessions_that_break_the_protocol() -> TestResult {
    let server = broker()
        .expect_log("the first packet is CONNECT")
        .expect_log("a packet ends too early")
        .expect_log("a topic has no wildcards")
        .expect_log("quality 2 is not served")
        .expect_log("a broker gets no packet of kind")
        .start()?;
    let mut other = connect(&server, b'o')?;
    let mut stranger = server.connect()?;
    stranger.send(b"\x30\x03\0\x01a")?;
    stranger.expect_closed()?;
    let mut old = server.connect()?;
    old.send(b"\x10\x0f\0\x06MQIsdp\x03\x02\0\x3c\0\x01o")?;
    old.expect(b"\x20\x02\0\x01")?;
    old.expect_closed()?;
    for wrong in
        [&b"\x30\x02\0\x09"[..], b"\x30\x03\0\x01#", b"\x34\x05\0\x01a\0\x01", b"\x90\x02\0\x01"]
    {
        let mut client = connect(&server, b'w')?;
        client.send(wrong)?;
        client.expect_closed()?;
        other.send(b"\xc0\0")?;
        other.expect(b"\xd0\0")?;
    }
    drop(other);
    server.stop()
}

#[test]
fn mosquitto_subscribes_and_publishes_at_the_broker() -> TestResult {
    let server = broker().start()?;
    let publish = |message: &str, more: &[&str]| -> TestResult<bool> {
        let arguments = [&["-t", "home/door", "-m", message], more].concat();
        let command = client_program(&server, "mosquitto_pub", &arguments);
        command.map(|command| run(command, b"")).transpose().map(|done| done.is_some())
    };
    if publish("open", &["-r", "-q", "1"])? {
        let arguments = ["-t", "home/+", "-v", "-C", "3"];
        let command = client_program(&server, "mosquitto_sub", &arguments);
        let mut subscriber = command.expect("it comes with mosquitto_pub").spawn()?;
        let mut lines = BufReader::new(subscriber.stdout.take().expect("it is a pipe")).lines();
        let mut line = || lines.next().transpose().map(Option::unwrap_or_default);
        // The retained one has come: it has subscribed.
        assert_eq!(line()?, "home/door open");
        publish("shut", &[])?;
        assert_eq!(line()?, "home/door shut");
        let long = "x".repeat(100_000);
        publish(&long, &["-q", "1"])?;
        assert_eq!(line()?, format!("home/door {long}"));
        assert!(subscriber.wait()?.success());
    }
    server.stop()
}

#[test]
fn workers_that_would_know_different_things_are_refused() -> TestResult {
    for server in [cache(), broker()] {
        let (code, text) = server.set("workers", 2).start_expecting_failure()?;
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("set workers = 1"), "{text}");
    }
    Ok(())
}
