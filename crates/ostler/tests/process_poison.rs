//! Packages that kill the workers that run them: which it was is found, it is kept, and it is held
//! against whoever sent it.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod support;
mod talk;

use std::net::UdpSocket;
use std::path::PathBuf;

use ostler_testkit::{ServerBuilder, Signal, TestError, TestResult, TestServer, wait_until};
use support::echo;
use talk::{Scratch, Talk, probe, small_probe};

fn tolerant(builder: ServerBuilder) -> ServerBuilder {
    ["worker died", "panicked", "killed its worker", "workers die often"]
        .into_iter()
        .fold(builder, ServerBuilder::expect_log)
}

fn quarantined(builder: ServerBuilder, scratch: &Scratch) -> ServerBuilder {
    tolerant(builder).set("quarantine_dir", scratch.at().display())
}

/// The packages that are kept, each with its description.
fn kept(scratch: &Scratch) -> TestResult<Vec<(Vec<u8>, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(scratch.at())? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            // Written behind the bytes.
            let description = path.with_extension("json");
            wait_until("a description", || description.exists())?;
            found.push((std::fs::read(&path)?, std::fs::read_to_string(description)?));
        }
    }
    found.sort();
    Ok(found)
}

fn wait_kept(scratch: &Scratch, description: &str) -> TestResult<(Vec<u8>, String)> {
    let mut all = Vec::new();
    wait_until("a package that is kept", || {
        all = kept(scratch).unwrap_or_default();
        all.iter().any(|(_, text)| text.contains(description))
    })?;
    let found = all.into_iter().find(|(_, text)| text.contains(description));
    found.ok_or_else(|| TestError::new("it was there a moment ago"))
}

#[test]
fn a_package_that_kills_its_worker_is_kept_with_what_is_known_of_it() -> TestResult {
    for (word, cause) in [
        ("abort", "aborted (SIGABRT)"),
        ("panic for once", "panicked: told to panic: for once"),
        ("exit 3", "exited with code 3"),
    ] {
        let scratch = Scratch::new("poison")?;
        let server = quarantined(probe(), &scratch).start()?;
        let mut talk = Talk::new(&server)?;
        let session = talk.number("id")?;
        talk.say(word)?;
        talk.expect_closed();
        let (bytes, text) = wait_kept(&scratch, cause)?;
        assert_eq!(bytes, format!("{word}\n").as_bytes());
        for part in [
            format!("\"session\":{session},\"peer\":\"127.0.0.1:"),
            "\"callback\":\"on_receive\"".to_owned(),
            "\"port\":\"main\"".to_owned(),
            "\"attempt\":1".to_owned(),
            "\"count\":1}".to_owned(),
        ] {
            assert!(text.contains(&part), "{part} is not in {text}");
        }
        server.wait_for_log("a package that killed its worker is kept")?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_package_that_is_given_again_is_one_file_and_a_count() -> TestResult {
    let scratch = Scratch::new("again")?;
    let server = quarantined(probe(), &scratch).set("crash_policy", "redeliver:2").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("abort")?;
    talk.expect_closed();
    let (_, text) = wait_kept(&scratch, "\"count\":3}")?;
    assert!(text.contains("\"attempt\":3"), "{text}");
    assert_eq!(kept(&scratch)?.len(), 1);
    server.stop()
}

/// Others have packages at the same worker: of another session, unfinished, and some that wait.
#[test]
fn bystanders_are_not_taken_for_it() -> TestResult {
    let scratch = Scratch::new("bystanders")?;
    let builder = small_probe().set("reactors", 2).set("crash_policy", "redeliver:1");
    let server = quarantined(builder, &scratch).start()?;
    let mut others: Vec<Talk> =
        (0..4).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
    let mut deferring = Talk::new(&server)?;
    deferring.say("defer 300 later")?;
    for talk in &mut others {
        talk.expect_answer("echo before", "before")?;
    }
    let mut talk = Talk::new(&server)?;
    talk.say("abort")?;
    others.iter_mut().try_for_each(|talk| talk.say("echo waits"))?;
    talk.expect_closed();
    wait_kept(&scratch, "\"count\":2}")?;
    others.iter_mut().for_each(|talk| talk.expect("waits"));
    assert_eq!(kept(&scratch)?.len(), 1);
    drop((others, deferring));
    server.stop()
}

#[test]
fn who_was_killed_from_outside_was_killed_by_no_package() -> TestResult {
    let scratch = Scratch::new("outside")?;
    let journal = Scratch::new("journal")?;
    let server = quarantined(small_probe(), &scratch)
        .set("worker_deaths_per_address", 1)
        .env("PROBE_JOURNAL", journal.path("journal"))
        .start()?;
    for round in 1..=3 {
        let mut talk = Talk::new(&server)?;
        talk.say("spin")?;
        journal.wait_received(round)?;
        // As an operator or the kernel would, and as a bug would look like.
        server.worker(0).signal(if round == 3 { Signal::ABORT } else { Signal::KILL });
        talk.expect_closed();
    }
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("refused_address_deaths"), 0, "{books}");
    assert_eq!(kept(&scratch)?, Vec::new());
    Ok(())
}

/// A package that runs for too long costs a worker too, but that may be anybody's fault.
#[test]
fn a_late_package_is_kept_and_held_against_nobody() -> TestResult {
    let scratch = Scratch::new("late")?;
    let server = quarantined(probe(), &scratch)
        .set("worker_deaths_per_address", 1)
        .set("request_deadline_ms", 100)
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("spin")?;
    talk.expect_closed();
    let (bytes, _) = wait_kept(&scratch, "request deadline of 100 ms")?;
    assert_eq!(bytes, b"spin\n");
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    server.stop()
}

#[test]
fn a_datagram_is_kept_without_its_address() -> TestResult {
    let scratch = Scratch::new("datagram")?;
    let server = quarantined(echo(2, 1), &scratch)
        .args(["--port", "dgram=udp://127.0.0.1:0"])
        .handler("crash_on:boom")
        .start()?;
    let url = server.port_url("dgram")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(b"boom!", url.trim_start_matches("udp://"))?;
    let peer = format!("\"peer\":\"{}\",\"port\":\"dgram\"", socket.local_addr()?);
    let (bytes, text) = wait_kept(&scratch, &peer)?;
    assert_eq!(bytes, b"boom!", "{text}");
    server.stop()
}

/// One in several parts, which lies in no ring as one record.
#[test]
fn a_long_package_is_kept_as_a_whole() -> TestResult {
    let scratch = Scratch::new("long")?;
    let server = quarantined(probe(), &scratch).start()?;
    let mut talk = Talk::new(&server)?;
    let line = format!("abort {}", "x".repeat(700_000));
    talk.say(&line)?;
    talk.expect_closed();
    let (bytes, _) = wait_kept(&scratch, "aborted")?;
    assert!(bytes == format!("{line}\n").as_bytes(), "{} bytes", bytes.len());
    server.stop()
}

// ---- a directory that does not work -------------------------------------------------------------

#[test]
fn a_directory_that_cannot_be_used_is_told_at_the_start() -> TestResult {
    let scratch = Scratch::new("unusable")?;
    scratch.make("a file")?;
    for wrong in [scratch.path("missing"), scratch.path("a file"), "/proc".into()] {
        let builder = probe().set("quarantine_dir", wrong.display());
        let (code, text) = builder.start_expecting_failure()?;
        assert!(code != 0 && text.contains("`quarantine_dir`"), "{code} {text}");
        assert!(text.contains("make this directory"), "{text}");
    }
    Ok(())
}

#[test]
fn a_directory_that_vanishes_costs_packages_and_nothing_else() -> TestResult {
    let scratch = Scratch::new("vanishes")?;
    let server = quarantined(small_probe(), &scratch).start()?;
    std::fs::remove_dir_all(scratch.at())?;
    let mut talk = Talk::new(&server)?;
    talk.say("abort")?;
    talk.expect_closed();
    server.wait_for_log("cannot be written to quarantine_dir")?;
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    let ended = server.stop_and_report()?;
    let told = ended.log().lines_with("packages that killed their workers kept=0 not_kept=1");
    assert_eq!(told.len(), 1, "{}", ended.log().tail());
    Ok(())
}

// ---- addresses ----------------------------------------------------------------------------------

/// A client of the address that a proxy names.
fn of(server: &TestServer, address: &str) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    talk.client.send(format!("PROXY TCP4 {address} 192.0.2.9 1 2\r\n").as_bytes())?;
    talk.expect_answer("echo served", "served")?;
    Ok(talk)
}

#[test]
fn an_address_that_costs_too_many_workers_is_refused_and_no_other() -> TestResult {
    const BAD: &str = "192.0.2.1";
    let server = tolerant(probe())
        .set("worker_deaths_per_address", 2)
        .set("proxy_protocol", "required")
        .set("proxy_protocol_from", "127.0.0.1")
        .start()?;
    let (mut neighbour, its_other) = (of(&server, "192.0.2.2")?, of(&server, BAD)?);
    for _ in 0..2 {
        let mut talk = of(&server, BAD)?;
        talk.say("abort")?;
        talk.expect_closed();
    }
    // Also what it has open.
    its_other.expect_closed();
    assert!(of(&server, BAD).is_err(), "it is let in");
    assert_eq!(neighbour.ask("echo served")?, "served");
    of(&server, "192.0.2.2")?;
    server.wait_for_log("have killed worker_deaths_per_address")?;
    drop(neighbour);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("refused_address_deaths"), 1, "{books}");
    assert_eq!(books.detail("closed_address_deaths"), 1, "{books}");
    Ok(())
}

/// What clients do that a proxy does not name is not held against its address, which may have
/// clients of its own, and what those do is not held against them.
#[test]
fn workers_that_unnamed_clients_kill_are_not_held_against_their_proxy() -> TestResult {
    let server = tolerant(small_probe())
        .set("worker_deaths_per_address", 1)
        .set("port.behind.listen", "tcp://127.0.0.1:0")
        .set("port.behind.proxy_protocol", "required")
        .set("port.behind.proxy_protocol_from", "127.0.0.1")
        .start()?;
    let behind = |client: &str| -> TestResult<Talk> {
        let mut talk = Talk::with(server.connect_to("behind")?);
        talk.client.send(format!("PROXY {client}\r\n").as_bytes())?;
        talk.expect_answer("echo in", "in")?;
        Ok(talk)
    };
    let kill = |mut talk: Talk| -> TestResult {
        talk.say("abort")?;
        talk.expect_closed();
        Ok(())
    };
    let mut own = Talk::new(&server)?;
    own.expect_answer("echo before", "before")?;
    kill(behind("UNKNOWN")?)?;
    // Deaths are judged in their order: when this one was, the other was.
    kill(behind("TCP4 192.0.2.1 192.0.2.9 1 2")?)?;
    wait_until("an address that is refused", || behind("TCP4 192.0.2.1 192.0.2.9 1 2").is_err())?;
    own.expect_answer("echo still there", "still there")?;
    let (mut unnamed, named) = (behind("UNKNOWN")?, behind("TCP4 127.0.0.1 192.0.2.9 1 2")?);
    kill(Talk::new(&server)?)?;
    own.expect_closed();
    named.expect_closed();
    unnamed.expect_answer("echo still there", "still there")?;
    drop(unnamed);
    server.stop()
}

/// Packages that go round without closing their session cost their address each of their deaths.
#[test]
fn a_package_that_kills_again_and_again_counts_each_time() -> TestResult {
    let server = tolerant(probe())
        .set("crash_policy", "redeliver:50")
        .set("worker_deaths_per_address", 3)
        .start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("abort")?;
    talk.expect_closed();
    let refused = Talk::new(&server).and_then(|mut talk| talk.ask("echo served"));
    assert!(refused.is_err(), "it is let in");
    let books = server.stop_and_report()?.books()?;
    // It is given again before the verdict on the death before is known, but not 50 times.
    assert!((3..50).contains(&books.detail("redelivered")), "{books}");
    assert_eq!(books.detail("closed_address_deaths"), 1, "{books}");
    Ok(())
}
