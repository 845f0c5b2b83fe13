//! Workers that do not leave in time: the log says what held each of them, before it is killed.
#![allow(clippy::panic)] // a test that cannot go on

mod talk;

use ostler_testkit::{ServerBuilder, Signal, TestResult, TestServer};
use talk::{Scratch, Talk, small_probe};

const LATE: &str = "did not leave in time";
const MODES: [(&str, &str); 4] =
    [("process", "fork"), ("process", "exec"), ("base", "fork"), ("base", "exec")];

/// A server whose workers have half a second to leave.
fn impatient((mode, start): (&str, &str)) -> ServerBuilder {
    small_probe()
        .set("mode", mode)
        .set("start", start)
        .set("drain_timeout_ms", 500)
        .expect_log(LATE)
        .expect_log("before it had finished")
        .expect_log("worker died")
}

/// The line about a worker that a reload had to kill.
fn line_of_reload(server: &TestServer) -> TestResult<String> {
    let mark = server.log().mark();
    server.signal(Signal::USR1);
    server.log().wait_after(mark, LATE)
}

fn has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
    assert!(line.contains(" WARN "), "{line}");
}

#[test]
fn tokens_timers_and_deferred_deliveries_are_told_with_their_places() -> TestResult {
    for (mode, start) in MODES {
        // In BASE mode the client is its worker's, and would be told to go first.
        if mode == "base" {
            continue;
        }
        let server = impatient((mode, start)).start()?;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("cling")?, "held");
        talk.say("after 60000 later")?;
        talk.expect_answer("echo set", "set")?;
        let mut holder = Talk::new(&server)?;
        let session = holder.number("id")?;
        holder.say("hold")?;
        talk.expect_answer("echo held", "held")?;
        let line = line_of_reload(&server)?;
        let deferred = format!("a deferred delivery of session {session}");
        let place = "keep-alive of crates/ostler/tests/programs/probe/process.rs:";
        has(&line, &[place, "a timer of crates/ostler/tests/programs/probe/timers.rs:", &deferred]);
        drop((talk, holder));
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_token_of_a_worker_with_its_own_clients_is_told() -> TestResult {
    for (mode, start) in MODES {
        let server = impatient((mode, start)).start()?;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("cling")?, "held");
        drop(talk);
        let line = line_of_reload(&server)?;
        has(&line, &["held_by=", "keep-alive of ", "probe/process.rs:"]);
        server.stop()?;
    }
    Ok(())
}

/// It cannot say anything: its stack is taken, and told with its death.
#[test]
fn a_callback_that_does_not_return_is_told_with_its_stack() -> TestResult {
    for (mode, start) in MODES {
        let scratch = Scratch::new("stuck")?;
        let deaths = scratch.path("deaths");
        let server = impatient((mode, start)).set("death_log_file", deaths.display()).start()?;
        let mut talk = Talk::new(&server)?;
        let session = talk.number("id")?;
        talk.say(&format!("until {}", scratch.path("never").display()))?;
        let line = line_of_reload(&server)?;
        has(&line, &["callback=on_receive", &format!("session={session}"), "elapsed_ms="]);
        let stack = server.wait_for_log("stack of a death")?;
        assert!(
            stack.contains("probe::process::run") && stack.contains("drain timeout"),
            "{stack}"
        );
        server.wait_for("the record", |_| {
            scratch.lines("deaths").iter().any(|line| line.contains("drain timeout"))
        })?;
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

/// Whoever leaves in time is told nothing of.
#[test]
fn who_lets_go_at_its_exit_is_not_told() -> TestResult {
    let server = small_probe().set("drain_timeout_ms", 60_000).start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("after 300 later")?;
    talk.expect_answer("echo set", "set")?;
    let old = server.workers();
    server.signal(Signal::USR1);
    server.wait_for_log("leaving, but held count=1 held_by=\"a timer of ")?;
    for worker in old {
        worker.wait_gone(ostler_testkit::DEADLINE)?;
    }
    server.stop()
}
