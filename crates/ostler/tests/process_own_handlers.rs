//! Ports that have a handler of their own, in real processes: lives, deaths, reloads.
#![allow(clippy::panic)] // a test that cannot go on

mod talk;

use std::net::UdpSocket;

use ostler_testkit::{DEADLINE, ServerBuilder, Signal, TestResult, TestServer, wait_until};
use talk::{Scratch, Talk, small_probe};

const ADMIN: &str = "admin=tcp://127.0.0.1:0";

/// A probe with a second one at the port `admin`, and a journal of both.
fn with_admin(builder: ServerBuilder, scratch: &Scratch) -> ServerBuilder {
    builder.args(["--own", ADMIN]).env("PROBE_JOURNAL", scratch.path("journal"))
}

/// The lines of the journal, without the ids of sessions.
fn journal(scratch: &Scratch) -> Vec<String> {
    let lines = scratch.lines("journal");
    let is_word = |word: &&str| word.parse::<u64>().is_err();
    lines
        .iter()
        .map(|line| line.split_whitespace().filter(is_word).collect::<Vec<_>>().join(" "))
        .collect()
}

/// Waits until the journal has so many lines that end like this.
fn wait_for(scratch: &Scratch, end: &str, times: usize) -> TestResult {
    wait_until(&format!("{times} times {end:?} in the journal"), || {
        journal(scratch).iter().filter(|line| line.ends_with(end)).count() >= times
    })
}

fn both(server: &TestServer) -> TestResult<[Talk; 2]> {
    let main = server.port_url("main")?;
    assert!(main.starts_with("tcp://"), "{main}");
    Ok([Talk::new(server)?, Talk::with(server.connect_to("admin")?)])
}

#[test]
fn the_handler_of_a_port_has_the_life_of_the_worker_and_the_events_of_the_port() -> TestResult {
    for mode in ["process", "base"] {
        let scratch = Scratch::new("own-life")?;
        let builder = with_admin(small_probe().set("mode", mode), &scratch);
        let server = builder.start()?;
        let [mut main, mut admin] = both(&server)?;
        assert_eq!(admin.ask("echo to admin")?, "to admin");
        drop(admin);
        wait_for(&scratch, "close info gone peer peer", 1)?;
        assert_eq!(main.ask("echo to main")?, "to main");
        main.say("after 0 a timer")?;
        main.expect("a timer");
        drop(main);
        wait_for(&scratch, "close info gone peer peer", 2)?;
        server.stop()?;
        let (own, rest): (Vec<_>, Vec<_>) =
            journal(&scratch).into_iter().partition(|line| line.starts_with("admin "));
        let events = ["start", "connect", "receive", "close info gone peer peer", "exit", "stop"];
        assert_eq!(own, events.map(|event| format!("admin w0.1 {event}")), "{mode}");
        let events =
            ["start", "connect", "receive", "receive", "close info gone peer peer", "exit", "stop"];
        assert_eq!(rest, events.map(|event| format!("w0.1 {event}")), "{mode}");
    }
    Ok(())
}

#[test]
fn datagrams_go_to_the_handler_of_their_port() -> TestResult {
    let scratch = Scratch::new("own-datagrams")?;
    let server =
        with_admin(small_probe(), &scratch).args(["--own", "dgram=udp://127.0.0.1:0"]).start()?;
    let url = server.port_url("dgram")?;
    let peer = UdpSocket::bind("127.0.0.1:0")?;
    peer.set_read_timeout(Some(DEADLINE))?;
    peer.send_to(b"who", url.trim_start_matches("udp://"))?;
    let mut buffer = [0; 64];
    let (len, _) = peer.recv_from(&mut buffer)?;
    let me = peer.local_addr()?.to_string();
    assert_eq!(buffer.get(..len), Some(me.as_bytes()));
    server.stop()?;
    let packets = journal(&scratch).into_iter().filter(|line| line.ends_with("packet"));
    assert_eq!(packets.collect::<Vec<_>>(), ["dgram w0.1 packet"]);
    Ok(())
}

/// The death is one of the worker, as ever: both handlers are made anew, the session of the package
/// is settled by the policy, the other one goes on.
#[test]
fn a_panic_in_it_ends_its_worker_and_the_successor_has_both_handlers() -> TestResult {
    let scratch = Scratch::new("own-panic")?;
    let server = with_admin(small_probe(), &scratch)
        .env("RUST_BACKTRACE", "0")
        .expect_log("told to panic")
        .expect_log("worker died")
        .start()?;
    let [mut main, mut admin] = both(&server)?;
    assert_eq!(main.ask("echo before")?, "before");
    assert_eq!(admin.ask("echo before")?, "before");
    admin.say("panic in the port")?;
    admin.expect_closed();
    assert_eq!(main.ask("echo after")?, "after");
    let mut admin = Talk::with(server.connect_to("admin")?);
    assert_eq!(admin.ask("echo after")?, "after");
    wait_for(&scratch, "w0.2 start", 2)?;
    server.stop()?;
    let lines = scratch.lines("journal");
    assert!(lines.contains(&"admin w0.2 start".to_owned()), "{lines:?}");
    Ok(())
}

#[test]
fn a_reload_makes_it_anew_and_a_failing_callback_of_it_ends_its_session_alone() -> TestResult {
    let scratch = Scratch::new("own-reload")?;
    let server = with_admin(small_probe(), &scratch)
        .expect_log("a callback failed, its session is closed")
        .start()?;
    let [mut main, mut admin] = both(&server)?;
    let mut failing = Talk::with(server.connect_to("admin")?);
    failing.say("fail no such table")?;
    failing.expect("sent before it failed");
    failing.expect_eof();
    assert_eq!(admin.ask("echo still here")?, "still here");
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    assert!(admin.ask("whoami")?.starts_with("w0.2 "));
    assert!(main.ask("whoami")?.starts_with("w0.2 "));
    wait_for(&scratch, "w0.1 stop", 2)?;
    server.stop()?;
    let lines = scratch.lines("journal");
    let stops = |line: &&String| line.ends_with("w0.1 exit") || line.ends_with("w0.1 stop");
    let stops: Vec<&String> = lines.iter().filter(stops).collect();
    assert_eq!(stops, ["admin w0.1 exit", "w0.1 exit", "admin w0.1 stop", "w0.1 stop"]);
    Ok(())
}
