//! Answers of a session come in the order of its packages, also when some of them are deferred.
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{TestResult, wait_until};
use talk::{Scratch, Talk, pattern, small_probe};

/// What the policies do differs only when a worker dies.
const POLICIES: [&str; 3] = ["close", "redeliver:3", "drop"];

#[test]
fn answers_come_in_the_order_of_the_packages_when_all_are_deferred() -> TestResult {
    for policy in POLICIES {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 200 a\ndefer 120 b\ndefer 1 c\ndefer 60 d\n")?;
        for answer in ["a", "b", "c", "d"] {
            talk.expect(answer);
        }
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.received, books.finished), (4, 4), "{books}");
    }
    Ok(())
}

#[test]
fn an_answer_given_at_once_waits_for_a_deferred_one_before_it() -> TestResult {
    for policy in POLICIES {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        // `senddefer` says "first" in its callback, before it defers.
        talk.client.send(b"senddefer 100 a\necho b\nsenddefer 1 c\ndeferdrop\necho d\n")?;
        for answer in ["first", "a", "b", "first", "c", "dropped", "d"] {
            talk.expect(answer);
        }
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_reply_larger_than_the_ring_keeps_its_place() -> TestResult {
    for policy in POLICIES {
        let server = small_probe()
            .set("crash_policy", policy)
            .set("send_queue_high", "8M")
            .set("send_queue_max", "8M")
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 100 a\nbig 500000\ndeferbig 1 400000\necho b\n")?;
        talk.expect("a");
        assert!(talk.bytes(500_000)? == pattern(500_000), "the bytes differ");
        assert!(talk.bytes(400_000)? == pattern(400_000), "the bytes differ");
        talk.expect("b");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn other_sessions_hear_of_it_in_that_order_too_and_wait_for_nothing_else() -> TestResult {
    let scratch = Scratch::new("orderothers")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let (mut talk, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
    let id = other.number("id")?;
    talk.client.send(format!("hold\nsend {id} hi\n").as_bytes())?;
    let received = |line: &String| line.contains(" receive ");
    wait_until("both packages in the worker", || {
        scratch.lines("journal").iter().filter(|line| received(line)).count() == 3
    })?;
    // The same worker has sent "hi", and now this: the other session has nothing deferred.
    assert_eq!(other.ask("echo at once")?, "at once");
    let mut third = Talk::new(&server)?;
    assert_eq!(third.ask("release now")?, "ok");
    other.expect("hi");
    talk.expect("released now");
    talk.expect("ok");
    server.stop()
}

#[test]
fn a_close_waits_for_the_answers_before_it() -> TestResult {
    for policy in POLICIES {
        let server = small_probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"defer 100 a\nclose\n")?;
        talk.expect("a");
        talk.expect("bye");
        talk.expect_eof();
        server.stop()?;
    }
    Ok(())
}

/// The first package is deferred and kills its worker, the second one has been handled meanwhile.
#[test]
fn what_waits_for_its_turn_dies_with_the_worker_and_is_settled_by_the_policy() -> TestResult {
    for policy in POLICIES {
        let server = small_probe()
            .set("crash_policy", policy)
            .expect_log("died")
            .expect_log("panicked")
            .start()?;
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"deferpanic 60\necho b\n")?;
        let (finished, redelivered, dropped, closed_by) = match policy {
            "close" => {
                talk.expect_closed();
                (0, 0, 0, 1)
            }
            "drop" => {
                server.wait_for_log("worker died")?;
                assert_eq!(talk.ask("echo on")?, "on");
                (1, 0, 2, 0)
            }
            _ => {
                talk.expect("second time");
                talk.expect("b");
                (2, 2, 0, 0)
            }
        };
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.finished, finished, "{policy}: {books}");
        assert_eq!(books.detail("redelivered"), redelivered, "{policy}: {books}");
        if policy != "close" {
            assert_eq!((books.dropped, books.closed_by), (dropped, closed_by), "{policy}: {books}");
        }
    }
    Ok(())
}

/// A session that ended while a package of it was deferred: its close event is seen at once, and
/// its place is free when the deferred delivery is over.
#[test]
fn on_close_is_called_while_a_package_is_deferred() -> TestResult {
    let scratch = Scratch::new("orderclose")?;
    let server = small_probe().env("PROBE_JOURNAL", scratch.path("journal")).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("hold")?;
    let journal = |text: &str| scratch.lines("journal").iter().any(|line| line.contains(text));
    wait_until("the package", || journal("receive"))?;
    talk.client.abort()?;
    wait_until("the close event", || journal("close"))?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("release now")?, "ok");
    server.stop()
}

#[test]
fn what_waits_for_its_turn_is_bounded() -> TestResult {
    let scratch = Scratch::new("orderlimit")?;
    scratch.make("go")?;
    for policy in ["close", "redeliver:3"] {
        let journal = format!("journal-{policy}");
        let server = small_probe()
            .set("crash_policy", policy)
            .set("redeliver_output_bytes", "10K")
            .env("PROBE_JOURNAL", scratch.path(&journal))
            .start()?;
        let mut talk = Talk::new(&server)?;
        let go = scratch.path("go");
        talk.say("hold")?;
        talk.say(&format!("stalled {} 3 20000", go.display()))?;
        talk.say(&format!("stalled {} 100 1000", go.display()))?;
        talk.say("close")?;
        let noted = |text: &str| scratch.lines(&journal).iter().any(|line| line.contains(text));
        // One message is taken whatever its size; each costs a header too.
        wait_until("the first flood", || noted("flooded ok 1 full 2 gone 0 other 0"))?;
        wait_until("the second flood", || noted("flooded ok 9 full 91 gone 0 other 0"))?;
        let mut other = Talk::new(&server)?;
        assert_eq!(other.ask("release now")?, "ok");
        talk.expect("released now");
        assert!(talk.bytes(20_000)? == pattern(20_000), "the bytes differ");
        for _ in 0..9 {
            assert!(talk.bytes(1_000)? == pattern(1_000), "the bytes differ");
        }
        talk.expect("bye");
        talk.expect_eof();
        server.stop()?;
    }
    Ok(())
}
