//! What one address may have and do: the same in one process and in many that serve clients.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
#[path = "talk/mod.rs"]
mod talk;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, ServerBuilder, TestError, TestResult, TestServer, wait_until};
use support::wait_serving;
use talk::Talk;

const MODES: [&str; 2] = ["process", "base"];

fn probe(mode: &str, workers: u16) -> ServerBuilder {
    TestServer::example("probe").set("mode", mode).set("workers", workers).set("framing", "line")
}

/// How many of a rate may have been served at most since a moment at which nothing was used.
fn most(rate: u64, since: Instant) -> u64 {
    rate + since.elapsed().as_secs_f64().mul_add(rate as f64, 1.0) as u64
}

/// A client that is served, and by which worker.
fn served(server: &TestServer) -> TestResult<(Talk, String)> {
    let mut talk = Talk::new(server)?;
    let answer = talk.ask("whoami")?;
    match answer.split_once(' ') {
        Some((worker, pid)) if worker.starts_with('w') => Ok((talk, pid.to_owned())),
        _ => Err(TestError::new(format!("answered {answer:?}"))),
    }
}

#[test]
fn connections_of_an_address_are_counted_over_all_workers() -> TestResult {
    const MOST: usize = 6;
    for mode in MODES {
        let server = probe(mode, 3).set("max_connections_per_address", MOST).start()?;
        let mut inside: Vec<_> = (0..MOST).map(|_| served(&server)).collect::<TestResult<_>>()?;
        for _ in 0..20 {
            assert!(served(&server).is_err(), "{mode}: one more");
        }
        for (talk, _) in &mut inside {
            assert_eq!(talk.ask("echo still")?, "still");
        }
        inside.pop();
        wait_until("the place of who has left", || {
            inside.extend(served(&server));
            inside.len() == MOST
        })?;
        let books = server.stop_and_report()?.books()?;
        assert!(books.detail("refused_address_full") >= 20, "{mode}: {books}");
    }
    Ok(())
}

#[test]
fn the_places_of_a_dead_worker_are_free_again_and_no_others() -> TestResult {
    const MOST: usize = 12;
    let server = probe("base", 3).set("max_connections_per_address", MOST);
    let server = server.expect_log("died").start()?;
    let mut inside = Vec::new();
    while inside.len() < MOST {
        inside.push(served(&server)?);
    }
    let workers: BTreeSet<_> = inside.iter().map(|(_, pid)| pid.clone()).collect();
    let victim = workers.first().ok_or_else(|| TestError::new("nobody serves"))?.clone();
    let process = server.workers().into_iter().find(|one| one.pid().to_string() == victim);
    assert!(process.is_some_and(|process| process.kill()));
    inside.retain(|(_, pid)| *pid != victim);
    wait_serving(&server, 3)?;
    let stay = inside.len();
    wait_until("the places of the dead worker", || {
        inside.extend(served(&server));
        inside.len() == MOST
    })?;
    assert!(served(&server).is_err(), "one more than may be");
    for (talk, _) in inside.iter_mut().take(stay) {
        assert_eq!(talk.ask("echo still")?, "still");
    }
    server.stop()
}

#[test]
fn connections_of_an_address_in_a_second_are_counted_over_all_workers() -> TestResult {
    for mode in MODES {
        for refusal in ["close", "reset", r"bytes:-OFTEN\r\n", r"answer:-OFTEN\r\n"] {
            let server = probe(mode, 2).set("connection_rate_per_address", 2);
            let server = server.set("refusal", refusal).start()?;
            let (begin, mut inside) = (Instant::now(), 0);
            let refused = loop {
                // Who is reset may see it here already, or with its first words.
                let Ok(mut talk) = Talk::new(&server) else { break "an end".to_owned() };
                let _ = talk.say("echo inside");
                match talk.line() {
                    Ok(line) if line == "inside" => inside += 1,
                    Ok(line) => break line,
                    Err(_) => break "an end".to_owned(),
                }
                assert!(inside <= most(2, begin), "{mode}: {inside}");
            };
            let expected = if refusal.contains("OFTEN") { "-OFTEN\r" } else { "an end" };
            assert_eq!(refused, expected, "{mode} {refusal}");
            wait_until("one is served again", || served(&server).is_ok())?;
            let books = server.stop_and_report()?.books()?;
            assert!(books.detail("refused_connection_rate") >= 1, "{mode}: {books}");
            assert_eq!(books.detail("refused_address_full"), 0, "{mode}: {books}");
        }
    }
    Ok(())
}

/// Each answer is that to the package in its place, or the refusal of that one.
fn numbered_answers(talk: &mut Talk, count: u64) -> TestResult<u64> {
    let mut answered = 0;
    for number in 0..count {
        match talk.line()? {
            line if line == number.to_string() => answered += 1,
            line => assert_eq!(line, "-SLOWER", "the answer to {number}"),
        }
    }
    Ok(answered)
}

#[test]
fn packages_of_an_address_are_counted_over_all_its_sessions_and_answered_in_order() -> TestResult {
    const EACH: u64 = 30;
    for mode in MODES {
        let server = probe(mode, 2).set("package_rate_per_address", 20);
        let server = server.set("refusal", r"answer:-SLOWER\n").start()?;
        let begin = Instant::now();
        let mut talks = (0..4).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
        let all: String = (0..EACH).map(|number| format!("echo {number}\n")).collect();
        talks.iter_mut().try_for_each(|talk| talk.client.send(all.as_bytes()))?;
        let answered = talks.iter_mut().map(|talk| numbered_answers(talk, EACH));
        let answered: u64 = answered.sum::<TestResult<u64>>()?;
        // Two processes may look at the same moment for the last one.
        assert!((20..=most(20, begin) + 2).contains(&answered), "{mode}: {answered}");
        for talk in &mut talks {
            wait_until("it is served again", || {
                talk.ask("echo on").is_ok_and(|line| line == "on")
            })?;
        }
        drop(talks);
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.refused, books.detail("refused_package_rate"), "{mode}: {books}");
        assert!(books.refused >= 4 * EACH - answered, "{mode}: {books}");
    }
    Ok(())
}

#[test]
fn a_session_beyond_the_rate_of_its_address_ends_behind_its_answers() -> TestResult {
    for framing in ["line", "stream", "raw"] {
        let server = probe("process", 1).set("framing", framing);
        let server = server.set("package_rate_per_address", 5);
        let server = server.set("refusal", r"bytes:-SLOWER\r\n").start()?;
        let (mut talk, mut answered, begin) = (Talk::new(&server)?, 0, Instant::now());
        let end = loop {
            match talk.ask("echo on")?.as_str() {
                "on" => answered += 1,
                other => break other.to_owned(),
            }
            assert!(begin.elapsed() < DEADLINE, "{framing}: never refused");
        };
        assert_eq!(end, "-SLOWER\r", "{framing}");
        assert!((5..=most(5, begin)).contains(&answered), "{framing}: {answered}");
        talk.expect_closed();
        // Another session of the address may be beyond it too, and is told so.
        let books = server.stop_and_report()?.books()?;
        let counted = ["refused_package_rate", "closed_overloaded"].map(|name| books.detail(name));
        assert_eq!(counted, [1; 2], "{framing}: {books}");
    }
    Ok(())
}

#[test]
fn who_only_leaves_is_not_refused() -> TestResult {
    let server = probe("process", 1).set("framing", "stream");
    let server = server.set("package_rate_per_address", 1).start()?;
    let mut talks = (0..3).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
    assert_eq!(talks[0].ask("echo the only one")?, "the only one");
    for talk in &mut talks {
        talk.client.half_close()?;
    }
    talks.into_iter().for_each(Talk::expect_eof);
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("closed_peer"), books.detail("closed_overloaded")), (3, 0), "{books}");
    Ok(())
}

#[test]
fn datagrams_of_an_address_beyond_its_rate_are_dropped() -> TestResult {
    const SENT: u64 = 50;
    for mode in MODES {
        let server = TestServer::echo().set("mode", mode).set("workers", 2);
        let port = "udp=udp://127.0.0.1:0,package_rate_per_address=10";
        let server = server.args(["--port", port]).start()?;
        let url = server.port_url("udp")?;
        let address = url.trim_start_matches("udp://").to_owned();
        let begin = Instant::now();
        // Several peers of one address.
        let peers = (0..5).map(|_| UdpSocket::bind("127.0.0.1:0").map_err(TestError::from));
        let peers = peers.collect::<TestResult<Vec<_>>>()?;
        for number in 0..SENT {
            peers[number as usize % 5].send_to(b"12345678", &address)?;
        }
        let mut answered = 0;
        for peer in &peers {
            peer.set_read_timeout(Some(Duration::from_millis(500)))?;
            while peer.recv(&mut [0; 64]).is_ok() {
                answered += 1;
            }
        }
        assert!((10..=most(10, begin) + 2).contains(&answered), "{mode}: {answered}");
        let ended = server.stop_and_report()?;
        let books = ostler_testkit::DatagramBooks::of_log(ended.log())?;
        assert_eq!(books.get("dropped_package_rate"), SENT - answered, "{mode}: {books:?}");
    }
    Ok(())
}
