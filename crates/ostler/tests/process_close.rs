//! The end of a connection: what the client still reads, and who is told what.
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{Signal, TestResult, wait_until};
use talk::{Scratch, Talk, small_probe};

/// More than the kernel takes of a connection that nobody reads.
const MUCH: usize = 12 * 1024 * 1024;

#[test]
fn a_client_that_still_sends_reads_the_last_bytes_and_an_orderly_end() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("close")?;
    // It does not listen before it has said everything.
    talk.client.send(&vec![b'x'; MUCH])?;
    talk.client.half_close()?;
    talk.expect("bye");
    talk.expect_eof();
    let ended = server.stop_and_report()?;
    assert_eq!(ended.books()?.detail("input_dropped_bytes"), MUCH as u64);
    Ok(())
}

#[test]
fn a_client_that_still_sends_when_the_server_ends_reads_its_last_answer() -> TestResult {
    let scratch = Scratch::new("lastanswer")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("until {} answer", scratch.path("go").display()))?;
    wait_until("the package in hand", || {
        scratch.lines("journal").iter().any(|line| line.contains(" receive "))
    })?;
    server.signal(Signal::TERM);
    server.wait_for_log("draining")?;
    let mut sender = talk.client.second_handle()?;
    let sending = std::thread::spawn(move || {
        sender.send(&vec![b'x'; MUCH])?;
        sender.half_close()
    });
    scratch.make("go")?;
    sending.join().unwrap()?;
    talk.expect("answer");
    talk.expect_eof();
    server.wait_end().map(drop)
}

#[test]
fn a_client_that_sends_without_an_end_is_waited_for_no_longer_than_the_limit() -> TestResult {
    let server = small_probe().set("linger_timeout_ms", 600_000).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("close")?;
    let much = vec![b'x'; MUCH];
    // The limit is above what is on its way in any kernel, and below what never ends.
    let refused = (0..20).any(|_| talk.client.send(&much).is_err());
    assert!(refused, "it took everything");
    server.stop()
}
