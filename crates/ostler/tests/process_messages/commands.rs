//! Commands of other processes: results, failures, times, deaths.

use ostler_testkit::{Signal, TestResult};

use crate::mesh::{client_of, deadly, mesh, start};
use crate::support::check;

const NOBODY: &str = "error: the process has no command of that name: add it with \
                      `Worker::add_command`";

#[test]
fn every_process_that_has_commands_answers_calls() -> TestResult {
    let server = start(mesh(2, 1), 2, 1)?;
    let mut talk = client_of(&server, "w0")?;
    for (name, slot) in [("w1", "w1"), ("t0", "t0"), ("body", "u0")] {
        talk.expect_answer(&format!("call {name} 20000 who"), slot)?;
        talk.expect_answer(&format!("call {name} 20000 echo hello"), "hello")?;
        talk.expect_answer(&format!("call {name} 20000 big 200000"), "200000 bytes")?;
        talk.expect_answer(
            &format!("call {name} 20000 fail"),
            "error: the command failed: told to",
        )?;
        talk.expect_answer(&format!("call {name} 20000 nothing"), NOBODY)?;
        talk.say(&format!("later {name} 20000 who"))?;
        let mut lines = [talk.line()?, talk.line()?];
        lines.sort();
        check(lines == ["called".to_owned(), format!("later: {slot}")], format!("{lines:?}"))?;
    }
    // These look for their messages themselves, or have none.
    for name in ["reader", "c"] {
        talk.expect_answer(&format!("call {name} 20000 who"), NOBODY)?;
    }
    server.stop()
}

#[test]
fn what_is_too_long_is_told_to_the_caller() -> TestResult {
    let server = start(mesh(2, 0).set("message_max_length", 1_000), 2, 0)?;
    let mut talk = client_of(&server, "w0")?;
    let long = talk.ask("call w1 20000 big 1001")?;
    check(long.contains("its result of 1001 bytes is longer than a message"), long)?;
    let long = talk.ask(&format!("call w1 20000 echo {}", "x".repeat(1_000)))?;
    check(long.contains("more than `message_max_length`"), long)?;
    talk.expect_answer(
        &format!("call {} 20000 who", "w0"),
        "error: a process sends no message to \
        its own slot: call the function",
    )?;
    server.stop()
}

/// A late answer is nobody's, and never satisfies a later call.
#[test]
fn who_waits_is_answered_in_time_or_told() -> TestResult {
    let server = start(mesh(2, 0), 2, 0)?;
    let mut talk = client_of(&server, "w0")?;
    let late = "error: no answer came in time";
    for _ in 0..3 {
        talk.expect_answer("call w1 30 sleep 100", late)?;
    }
    talk.expect_answer("call w1 20000 echo mine", "mine")?;
    talk.expect_answer("later w1 50 sleep 300", "called")?;
    talk.expect(&format!("later: {late}"));
    talk.expect_answer("call w1 20000 echo mine", "mine")?;
    // Two that wait for each other wait until their time is over, and go on.
    let mut other = client_of(&server, "w1")?;
    talk.say("call w1 300 who")?;
    other.say("call w0 300 who")?;
    for (talk, slot) in [(&mut talk, "w1"), (&mut other, "w0")] {
        let line = talk.line()?;
        check(line == late || line == slot, line)?;
    }
    talk.expect_answer("call w1 20000 echo mine", "mine")?;
    server.stop()
}

/// Messages that come meanwhile are not lost, and their order stays.
#[test]
fn who_waits_gets_its_messages_afterwards() -> TestResult {
    let server = start(mesh(3, 0), 3, 0)?;
    let mut waiter = client_of(&server, "w0")?;
    let mut talk = client_of(&server, "w1")?;
    waiter.say("call w2 20000 sleep 400")?;
    talk.say("flood w0 300 200")?;
    talk.expect("flooded 300");
    waiter.expect("slept");
    talk.expect("in order 300");
    let messages = server.stop_and_report()?.messages()?;
    check(messages.get("delivered") == 302, format!("{messages:?}"))
}

#[test]
fn the_death_of_a_process_is_told_to_who_has_called_it() -> TestResult {
    let server = start(deadly(2, 1), 2, 1)?;
    let mut talk = client_of(&server, "w0")?;
    // The one that it has begun with is not told: it may be done. Those behind it are.
    let (ended, late) =
        ("the receiver ended before it had read the message", "no answer came in time");
    talk.expect_answer("later t0 2000 sleep 60000", "called")?;
    talk.expect_answer("later t0 60000 who", "called")?;
    server.task_workers()[0].kill();
    let mut lines = [talk.line()?, talk.line()?];
    lines.sort();
    // It may be killed before it has begun with anything.
    let ends = [ended, late].map(|why| format!("later: error: {why}"));
    check(lines[1] == ends[0] && ends.contains(&lines[0]), format!("{lines:?}"))?;
    server.wait_for_log("takes tasks worker=t0.2")?;
    talk.expect_answer("call t0 20000 who", "t0")?;
    server.stop()
}

/// A caller that is replaced waits for its answer, which is its own.
#[test]
fn a_worker_that_leaves_hears_of_its_calls_first() -> TestResult {
    let server = start(mesh(1, 1), 1, 1)?;
    let mut talk = client_of(&server, "w0")?;
    talk.expect_answer("later t0 20000 sleep 700", "called")?;
    server.signal(Signal::USR1);
    server.wait_for_log("serves worker=w0.2")?;
    talk.expect("later: slept");
    server.stop()
}
