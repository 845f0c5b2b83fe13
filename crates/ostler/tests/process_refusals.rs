//! Clients that are refused, are told so, and stay: `refusal = answer:`, whatever they are refused
//! for.
#![allow(clippy::panic)] // a test that cannot go on

mod encrypted;
#[path = "talk/mod.rs"]
mod talk;

use std::sync::Arc;

use encrypted::{Authority, NAME, TlsClient, showing};
use ostler_testkit::{ServerBuilder, TestResult, TestServer};
use talk::{Scratch, Talk, probe, small_probe};

const ANSWER: &str = r"answer:-BUSY\n";

fn answering(scratch: &Scratch) -> ServerBuilder {
    small_probe()
        .set("prefetch_us", 0)
        .set("refusal", ANSWER)
        .env("PROBE_JOURNAL", scratch.path("journal"))
}

/// The one worker is busy with something that this client has asked, until the file `go` is made.
fn busy(server: &TestServer, scratch: &Scratch) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    keep_busy(scratch, |line| talk.say(line))?;
    Ok(talk)
}

fn keep_busy(scratch: &Scratch, say: impl FnOnce(&str) -> TestResult) -> TestResult {
    let before = scratch.received();
    say(&format!("until {} done", scratch.path("go").display()))?;
    scratch.wait_received(before + 1)
}

#[test]
fn who_has_waited_for_too_long_is_answered_and_stays() -> TestResult {
    let scratch = Scratch::new("wait")?;
    let server = answering(&scratch).set("queue_wait_max_ms", 1_000).start()?;
    let mut waits = Talk::new(&server)?;
    waits.expect_answer("echo served", "served")?;
    let mut first = busy(&server, &scratch)?;
    // Each package by itself, and half of one waits for its rest.
    waits.client.send(b"echo one\necho two\necho thr")?;
    waits.expect("-BUSY");
    waits.expect("-BUSY");
    scratch.make("go")?;
    first.expect("done");
    waits.expect_answer("ee", "three")?;
    drop((first, waits));
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.refused, books.detail("closed_overloaded")), (2, 0), "{books}");
    Ok(())
}

#[test]
fn who_asks_while_no_worker_serves_is_answered_and_stays() -> TestResult {
    let scratch = Scratch::new("nobody")?;
    let fail = scratch.path("fail");
    let server = answering(&scratch)
        .set("slot_down_ms", 500)
        .set("back_off_max_ms", 100)
        .env("PROBE_FAIL_START_IF_EXISTS", &fail)
        .expect_log("died")
        .expect_log("often")
        .expect_log("told to fail")
        .expect_log("no worker serves")
        .start()?;
    let mut asks = Talk::new(&server)?;
    asks.expect_answer("echo served", "served")?;
    server.wait_for_rest()?;
    scratch.make("fail")?;
    server.worker(0).kill();
    server.wait_for_log("no worker serves")?;
    for _ in 0..3 {
        asks.expect_answer("echo nobody", "-BUSY")?;
    }
    std::fs::remove_file(&fail)?;
    server.wait_for_log("clients are served again")?;
    asks.expect_answer("echo again", "again")?;
    drop(asks);
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.refused, books.detail("closed_no_worker")), (3, 0), "{books}");
    Ok(())
}

#[test]
fn an_encrypted_client_is_answered_and_stays() -> TestResult {
    let (scratch, authority) = (Scratch::new("tls")?, Authority::new());
    let pair = authority.pair("pair", &[NAME]);
    let server = showing(answering(&scratch), &pair).set("queue_wait_max_ms", 500).start()?;
    let config = Arc::new(authority.client());
    let client = || TlsClient::connect(server.address(), &config);
    let (mut first, mut waits) = (client()?, client()?);
    waits.send(b"echo served\n")?;
    assert_eq!(waits.read_exactly(7)?, b"served\n");
    keep_busy(&scratch, |line| first.send(format!("{line}\n").as_bytes()))?;
    waits.send(b"echo one\necho two\n")?;
    assert_eq!(waits.read_exactly(12)?, b"-BUSY\n-BUSY\n");
    scratch.make("go")?;
    assert_eq!(first.read_exactly(5)?, b"done\n");
    waits.send(b"echo again\n")?;
    assert_eq!(waits.read_exactly(6)?, b"again\n");
    for client in [&mut first, &mut waits] {
        client.say_goodbye()?;
        client.expect_goodbye()?;
    }
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.refused, books.detail("closed_overloaded")), (2, 0), "{books}");
    Ok(())
}

/// Whatever it is that holds a worker up: what it was given and has not begun is taken back.
#[test]
fn a_worker_that_is_stopped_delays_others_up_to_the_limit_of_their_queue() -> TestResult {
    for (dispatch, workers) in [("session_hash", 2), ("idle_first", 2), ("idle_first", 1)] {
        let server = probe()
            .set("workers", workers)
            .set("reactors", 1)
            .set("dispatch", dispatch)
            .set("refusal", ANSWER);
        let server = server.set("queue_wait_max_ms", 500).start()?;
        let mut talks: Vec<Talk> = (0..8).map(|_| Talk::new(&server)).collect::<TestResult<_>>()?;
        for talk in &mut talks {
            talk.expect_answer("echo before", "before")?;
        }
        server.worker(0).stop()?;
        let mut refused = 0;
        for _ in 0..2 {
            for talk in &mut talks {
                talk.say("echo meanwhile")?;
            }
            for talk in &mut talks {
                match talk.line()?.as_str() {
                    "meanwhile" => {}
                    "-BUSY" => refused += 1,
                    other => panic!("{dispatch}: {other}"),
                }
            }
        }
        server.worker(0).cont()?;
        for talk in &mut talks {
            talk.expect_answer("echo behind", "behind")?;
        }
        drop(talks);
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.refused, books.detail("closed_overloaded")), (refused, 0), "{books}");
        let nobody_else = workers == 1;
        assert_eq!(refused == 16, nobody_else, "{dispatch}: the other one serves: {books}");
    }
    Ok(())
}
