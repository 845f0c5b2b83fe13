//! The order of callbacks, and what ends in them.

use ostler_testkit::{TestResult, wait_until};

use crate::talk::{Scratch, Talk, pattern, probe, small_probe};

#[test]
fn a_session_connects_receives_and_closes_in_this_order() -> TestResult {
    let scratch = Scratch::new("order")?;
    let server = probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut ids = Vec::new();
    for round in 0..30 {
        let mut talk = Talk::new(&server)?;
        ids.push(talk.number("id")?);
        assert_eq!(talk.ask("state mine")?, "ok");
        match round % 3 {
            0 => drop(talk),
            1 => talk.client.abort()?,
            _ => {
                talk.say("close")?;
                talk.expect("bye");
                talk.expect_eof();
            }
        }
    }
    let ended = |id: u64| {
        let lines = scratch.lines("journal");
        lines.iter().any(|line| line.contains(&format!("close {id} ")))
    };
    wait_until("all close events", || ids.iter().all(|id| ended(*id)))?;
    let journal = scratch.lines("journal");
    for (round, id) in ids.into_iter().enumerate() {
        let why = ["peer", "peer_error", "worker"][round % 3];
        let events: Vec<&str> = journal
            .iter()
            .filter_map(|line| line.split_once(' ').map(|(_, event)| event))
            .filter(|event| event.split(' ').nth(1) == Some(&id.to_string()))
            .collect();
        assert_eq!(events.first(), Some(&&*format!("connect {id}")), "{events:?}");
        // In `on_close` info and state still answer, sends say why they do not, as its argument
        // does.
        assert_eq!(
            events.last(),
            Some(&&*format!("close {id} info gone {why} {why} mine")),
            "{events:?}"
        );
        assert!((4..=5).contains(&events.len()), "{events:?}");
    }
    server.stop()
}

#[test]
fn a_greeting_sent_in_on_connect_comes_before_every_answer() -> TestResult {
    let server = probe().env("PROBE_GREET", "1").start()?;
    for _ in 0..20 {
        let mut talk = Talk::new(&server)?;
        talk.say("echo answer")?;
        talk.expect("hello");
        talk.expect("answer");
    }
    server.stop()
}

#[test]
fn finished_counts_deliveries_and_the_package_says_whether_it_was_delivered_before() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    // The connect event was one.
    assert_eq!(talk.number("finished")?, 1);
    assert_eq!(talk.number("finished")?, 2);
    assert_eq!(talk.ask("redelivered")?, "false");
    server.stop()
}

#[test]
fn a_panic_ends_the_worker_and_closes_its_session_only() -> TestResult {
    let server = probe().expect_log("told to panic").expect_log("died").start()?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("state kept")?, "ok");
    let mut talk = Talk::new(&server)?;
    talk.say("panic here")?;
    talk.expect_closed();
    server.wait_for_log("told to panic: here")?;
    for _ in 0..10 {
        assert_eq!(other.ask("get")?, "kept");
    }
    // A timer's panic belongs to no delivery: nobody's session ends.
    assert_eq!(other.ask("echo before")?, "before");
    let old: Vec<_> = server.workers();
    other.say("panictimer 1")?;
    server.wait_for_log("told to panic in a timer")?;
    server.wait_for("a successor", |s| s.workers().len() == 2 && s.workers() != old)?;
    assert_eq!(other.ask("get")?, "kept");
    server.stop()
}

#[test]
fn an_exit_in_a_callback_is_a_death_like_any_other() -> TestResult {
    for code in [0, 1, 42] {
        let server = small_probe().expect_log("died").expect_log("w0.1").start()?;
        let mut talk = Talk::new(&server)?;
        talk.say(&format!("exit {code}"))?;
        talk.expect_closed();
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn redelivery_is_said_and_shows_its_output_once() -> TestResult {
    let scratch = Scratch::new("redeliver")?;
    let server = small_probe()
        .set("crash_policy", "redeliver:5")
        .env("PROBE_JOURNAL", scratch.path("journal"))
        .expect_log("died")
        .expect_log("killed")
        .start()?;
    let mut talk = Talk::new(&server)?;
    let file = scratch.path("go");
    talk.say(&format!("senduntil {} 100", file.display()))?;
    scratch.wait_received(1)?;
    let mut probe = Talk::new(&server)?;
    probe.expect_silence();
    let old = server.worker(0);
    old.kill();
    server.wait_for("a successor", |s| s.worker(0) != old)?;
    scratch.make("go")?;
    assert!(talk.bytes(100)? == pattern(100), "what was held back came once");
    talk.expect("end");
    talk.expect_silence();
    drop(probe);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("redelivered"), 1, "{books}");
    Ok(())
}
