//! What is answered later, and what keeps a leaving worker: deferrals, timers, tokens.

use ostler_testkit::{TestResult, wait_until};

use crate::talk::{Scratch, Talk, pattern, small_probe};

#[test]
fn a_deferred_package_is_answered_later_and_others_go_on() -> TestResult {
    let server = small_probe().set("answer_order", "free").start()?;
    let (mut slow, mut quick) = (Talk::new(&server)?, Talk::new(&server)?);
    slow.say("defer 300 late")?;
    for round in 0..20 {
        assert_eq!(quick.ask(&format!("echo {round}"))?, round.to_string());
    }
    slow.expect("late");
    // The session itself is not held up either: packages behind a deferred one are handled, and
    // here answered before it.
    slow.say("defer 100 first")?;
    assert_eq!(slow.ask("echo second")?, "second");
    slow.expect("first");
    server.stop()
}

#[test]
fn a_package_is_deferred_once_and_finished_by_the_drop_of_its_token() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("deferdrop")?, "dropped");
    // `defer` asks a second time, and must not be given another token ("deferred twice").
    talk.say("defer 1 once")?;
    talk.expect("once");
    assert_eq!(talk.ask("echo still here")?, "still here");
    let ended = server.stop_and_report()?;
    let books = ended.books()?;
    assert_eq!((books.received, books.finished), (3, 3), "{books}");
    Ok(())
}

#[test]
fn what_is_sent_before_and_after_a_deferral_keeps_its_order() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        talk.say("senddefer 20 second")?;
        talk.expect("first");
        talk.expect("second");
        talk.say("deferclose 10")?;
        talk.expect("bye");
        talk.expect_eof();
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_deferred_delivery_can_answer_with_more_than_a_ring_holds() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server = small_probe()
            .set("crash_policy", policy)
            .set("send_queue_high", "8M")
            .set("send_queue_max", "8M")
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("deferbig 10 {}", 2_000_000))?;
        assert!(talk.bytes(2_000_000)? == pattern(2_000_000), "the bytes differ");
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn deferred_answers_given_from_another_callback_are_their_own_deliveries() -> TestResult {
    for policy in ["close", "redeliver:2"] {
        let server =
            small_probe().set("crash_policy", policy).set("answer_order", "free").start()?;
        let (mut one, mut two, mut three) =
            (Talk::new(&server)?, Talk::new(&server)?, Talk::new(&server)?);
        assert_eq!(three.ask("echo x")?, "x");
        one.say("hold")?;
        two.say("hold")?;
        // Both are in the worker's hands when it has handled what came behind them.
        assert_eq!(one.ask("echo x")?, "x");
        assert_eq!(two.ask("echo x")?, "x");
        assert_eq!(three.ask("release now")?, "ok");
        one.expect("released now");
        two.expect("released now");
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.received, books.finished), (6, 6), "{books}");
    }
    Ok(())
}

#[test]
fn a_leaving_worker_waits_for_deferred_packages_and_one_shot_timers() -> TestResult {
    let scratch = Scratch::new("leave")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    assert!(talk.ask("whoami")?.starts_with("w0.1 "));
    talk.say("defer 600 from the old")?;
    talk.say("after 700 timer of the old")?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("leave")?, "leaving");
    server.wait_for_log("serves worker=w0.2")?;
    // The reactor learns of the successor a moment after the log.
    server.wait_for("the successor to serve", |_| {
        other.ask("whoami").is_ok_and(|worker| worker.starts_with("w0.2 "))
    })?;
    talk.expect("from the old");
    talk.expect("timer of the old");
    // With nothing outstanding the session moves on.
    assert!(talk.ask("whoami")?.starts_with("w0.2 "));
    wait_until("the old worker's end", || {
        scratch.lines("journal").iter().any(|line| line == "w0.1 stop")
    })?;
    let journal = scratch.lines("journal");
    let at =
        |line: &str| journal.iter().position(|l| l == line).unwrap_or_else(|| panic!("{line}"));
    assert!(at("w0.2 start") < at("w0.1 exit") && at("w0.1 exit") < at("w0.1 stop"));
    server.stop()
}

/// A timer that adds the next one would hold it to the end of `drain_timeout_ms`, and then it would
/// be killed.
#[test]
fn a_timer_that_rearms_itself_does_not_hold_a_leaving_worker() -> TestResult {
    let scratch = Scratch::new("rearm")?;
    let server = small_probe()
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .set("drain_timeout_ms", 3_600_000)
        .start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("rearm 5")?, "armed");
    assert_eq!(talk.ask("leave")?, "leaving");
    wait_until("the old worker's end", || {
        scratch.lines("journal").iter().any(|line| line == "w0.1 stop")
    })?;
    assert!(talk.ask("whoami")?.starts_with("w0.2 "));
    server.stop()
}

/// Those who look at a worker from outside see for which session it works, and that it does not
/// work any more.
#[test]
fn the_phase_words_are_cleared_when_a_handler_is_over() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    let id = talk.number("id")?;
    assert_eq!(talk.ask("phase")?, format!("phase true {id}"));
    assert_eq!(talk.ask("phaselater")?, "phase true 0");
    server.stop()
}

#[test]
fn a_keep_alive_token_holds_a_leaving_worker_until_it_is_dropped() -> TestResult {
    let scratch = Scratch::new("keep")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    // The probe drops its tokens in `on_worker_exit`, which is called although they are held.
    assert_eq!(talk.ask("keepalive")?, "held");
    assert_eq!(talk.ask("leave")?, "leaving");
    wait_until("the old worker's end", || {
        scratch.lines("journal").iter().any(|line| line == "w0.1 stop")
    })?;
    server.stop()
}

#[test]
fn timers_fire_once_or_again_and_again_until_cancelled() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("after 20 once")?;
    talk.expect("once");
    talk.say("every 5 3 tick")?;
    for line in ["1 tick", "2 tick", "3 tick", "cancelled true", "cancelled false"] {
        talk.expect(line);
    }
    talk.expect_silence();
    assert_eq!(talk.ask("canceltimers")?, "cancelled 0");
    server.stop()
}
