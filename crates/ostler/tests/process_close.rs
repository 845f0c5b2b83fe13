//! The end of a connection: what the client still reads, and who is told what.
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{Signal, TestResult, wait_until};
use talk::{Scratch, Talk, probe, small_probe};

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

/// The master stands still, so that the lane stays full until it goes on: a close waits for room,
/// whatever the limit of a send is, and nothing may follow it.
#[test]
fn a_close_finds_room_in_a_full_lane_and_nothing_follows_it() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        for (how, reason) in [("close", "worker"), ("reset", "worker_reset"), ("token", "worker")] {
            let scratch = Scratch::new("fulllane")?;
            let server = small_probe()
                .set("crash_policy", policy)
                .set("send_timeout_ms", 0)
                .env("PROBE_JOURNAL", scratch.path("journal"))
                .start()?;
            let noted = |text: &str| scratch.lines("journal").iter().any(|l| l.contains(text));
            let mut talk = Talk::new(&server)?;
            talk.say(&format!("farewell {how} {}", scratch.path("go").display()))?;
            wait_until("the package in hand", || noted(" receive "))?;
            server.signal(Signal::STOP);
            scratch.make("go")?;
            wait_until("a full lane", || noted("filled full"))?;
            server.signal(Signal::CONT);
            wait_until("the end of the callback", || noted("ended "))?;
            let expected = format!("ended ok {reason} {reason} {reason}");
            assert!(noted(&expected), "{policy} {how}: {:?}", scratch.lines("journal"));
            while talk.client.read_some().is_ok_and(|some| !some.is_empty()) {}
            drop(talk);
            let ended = server.stop_and_report()?;
            assert_eq!(ended.books()?.detail(&format!("closed_{reason}")), 1, "{policy} {how}");
        }
    }
    Ok(())
}

/// What a token may hold back is used up, and another callback has its transaction open.
#[test]
fn a_close_by_a_token_is_taken_when_sends_are_refused() -> TestResult {
    let server = small_probe()
        .set("crash_policy", "redeliver:3")
        .set("redeliver_output_bytes", "10K")
        .start()?;
    let mut held = Talk::new(&server)?;
    held.say("hold")?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("heldfarewell")?, "begin");
    talk.expect("full ok worker");
    while held.client.read_some().is_ok_and(|some| !some.is_empty()) {}
    drop(held);
    assert_eq!(server.stop_and_report()?.books()?.detail("closed_worker"), 1);
    Ok(())
}

#[test]
fn packages_behind_the_close_of_their_session_are_counted_and_reach_no_handler() -> TestResult {
    const SESSIONS: usize = 50;
    for policy in ["close", "redeliver:3"] {
        let scratch = Scratch::new("behindclose")?;
        let server = small_probe()
            .set("crash_policy", policy)
            .set("prefetch_us", 100_000)
            .env("PROBE_JOURNAL", scratch.path("journal"))
            .start()?;
        for _ in 0..SESSIONS {
            let mut talk = Talk::new(&server)?;
            talk.say("close\necho behind\necho behind")?;
            talk.expect("bye");
            talk.client.half_close()?;
            talk.expect_eof();
        }
        let books = server.stop_and_report()?.books()?;
        let journal = scratch.lines("journal");
        let received = journal.iter().filter(|line| line.contains(" receive ")).count();
        assert_eq!(received, SESSIONS, "{policy}: {journal:?}");
        assert_eq!(books.finished, SESSIONS as u64, "{policy}: {books:?}");
        assert!(books.detail("dropped_session_gone") > 0, "{policy}: none was behind a close");
    }
    Ok(())
}

/// Whose connection has failed when its worker closes it, is ended by that, in the books and in
/// `on_close`.
#[test]
fn on_close_learns_the_reason_that_is_in_the_books() -> TestResult {
    let scratch = Scratch::new("closereason")?;
    let server = probe()
        .set("crash_policy", "redeliver:3")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .start()?;
    let noted = |text: &str| scratch.lines("journal").iter().any(|line| line.contains(text));
    let mut talk = Talk::new(&server)?;
    let id = talk.number("id")?;
    talk.say(&format!("closeuntil {}", scratch.path("go").display()))?;
    wait_until("the package in hand", || {
        scratch.lines("journal").iter().filter(|line| line.contains(" receive ")).count() == 2
    })?;
    talk.client.abort()?;
    let mut other = Talk::new(&server)?;
    while other.ask(&format!("send {id} x"))? == "ok" {}
    scratch.make("go")?;
    wait_until("the close event", || noted(&format!(" close {id} ")))?;
    let expected = format!(" close {id} info gone peer_error peer_error");
    assert!(noted(&expected), "{:?}", scratch.lines("journal"));
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("closed_peer_error"), books.detail("closed_worker")), (1, 0));
    Ok(())
}
