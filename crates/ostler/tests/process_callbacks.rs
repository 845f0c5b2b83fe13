//! Callbacks that fail, factories that fail, and the way into a worker from other threads, on a
//! real server.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{Signal, TestResult};
use talk::{Scratch, Talk, small_probe};

#[test]
fn a_callback_that_fails_is_logged_and_ends_its_session_alone() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server = small_probe()
            .set("crash_policy", policy)
            .expect_log("a callback failed, its session is closed")
            .start()?;
        let (mut failing, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
        let id = failing.number("id")?;
        failing.say("fail no such article")?;
        failing.expect("sent before it failed");
        failing.expect_eof();
        assert_eq!(other.ask("echo still here")?, "still here");
        let line = server.wait_for_log("a callback failed")?;
        assert!(line.contains("on_receive") && line.contains("no such article"), "{line}");
        assert!(line.contains(&id.to_string()), "the session is not named: {line}");
        let ended = server.stop_and_report()?;
        let books = ended.books()?;
        assert_eq!((books.received, books.finished), (3, 3), "{books}");
    }
    Ok(())
}

#[test]
fn a_handler_that_cannot_be_made_does_not_serve() -> TestResult {
    let scratch = Scratch::new("callbacks-make")?;
    let path = scratch.path("fail");
    let server = small_probe()
        .env("PROBE_FAIL_MAKE_IF_EXISTS", &path)
        .expect_log("the handler cannot be made")
        .expect_log("worker died")
        .expect_log("reload finished: aborted")
        .start()?;
    let mut talk = Talk::new(&server)?;
    let old = talk.ask("whoami")?;
    std::fs::write(&path, "")?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished: aborted")?;
    let line = server.wait_for_log("the handler cannot be made")?;
    assert!(line.contains("told not to be made"), "{line}");
    std::fs::remove_file(&path)?;
    assert_eq!(talk.ask("whoami")?, old);
    server.stop()
}

#[test]
fn what_other_threads_post_runs_in_their_order_and_wakes_a_sleeping_worker() -> TestResult {
    let scratch = Scratch::new("callbacks-remote")?;
    let journal = scratch.path("journal");
    let server = small_probe().env("PROBE_JOURNAL", &journal).start()?;
    let (mut one, mut two) = (Talk::new(&server)?, Talk::new(&server)?);
    // The worker sleeps when the thread posts: nothing else wakes it.
    one.say("remote 50 300 one")?;
    for number in 0..300 {
        one.expect(&format!("{number} one"));
    }
    // Two threads at once: each in its order.
    one.say("remote 0 500 one")?;
    two.say("remote 0 500 two")?;
    for number in 0..500 {
        one.expect(&format!("{number} one"));
        two.expect(&format!("{number} two"));
    }
    assert_eq!(one.ask("echo on")?, "on");
    server.stop()?;
    // The handler was reached: it wrote its journal.
    let journal = std::fs::read_to_string(journal)?;
    assert_eq!(journal.lines().filter(|line| line.contains("posted")).count(), 1_300);
    Ok(())
}

#[test]
fn a_deferred_package_is_answered_by_another_thread_in_order() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        // The second answer is ready long before the first, and comes behind it all the same.
        talk.say("deferthread 100 2000 one")?;
        talk.say("deferthread 0 3 two")?;
        talk.say("echo three")?;
        for number in 0..2_000 {
            talk.expect(&format!("{number} one"));
        }
        for number in 0..3 {
            talk.expect(&format!("{number} two"));
        }
        talk.expect("three");
        let ended = server.stop_and_report()?;
        let books = ended.books()?;
        assert_eq!((books.received, books.finished), (3, 3), "{policy}: {books}");
    }
    Ok(())
}

#[test]
fn a_leaving_worker_waits_for_what_other_threads_have_deferred() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    let old = talk.ask("whoami")?;
    talk.say("deferthread 300 5 late")?;
    talk.say("leave")?;
    for number in 0..5 {
        talk.expect(&format!("{number} late"));
    }
    talk.expect("leaving");
    server.wait_for("another worker to answer", |_| {
        talk.ask("whoami").is_ok_and(|worker| worker != old)
    })?;
    server.stop()
}

#[test]
fn a_thread_that_panics_with_a_deferred_package_closes_its_session_alone() -> TestResult {
    let server = small_probe().expect_log("lost in a panic").expect_log("panic").start()?;
    let (mut lost, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
    lost.say("deferthread 0 0 -")?;
    lost.expect_eof();
    assert_eq!(other.ask("echo still here")?, "still here");
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!((books.received, books.finished), (2, 2), "{books}");
    Ok(())
}
