//! Commands that an operator calls.

use ostler_testkit::{ServerBuilder, TestResult, TestServer};

use crate::operator::Operator;
use crate::support::{check, wait_lines};
use crate::talk::Scratch;
use crate::{start, with};

fn mesh() -> ServerBuilder {
    TestServer::example("mesh").set("workers", 2).set("reactors", 1).set("task_workers", 1)
}

fn every_process_answers(server: ServerBuilder) -> TestResult {
    let scratch = Scratch::new("operator-calls")?;
    let path = scratch.path("operator");
    let server = start(server, &path, 2)?;
    wait_lines(&server, "takes tasks", 1)?;
    let mut operator = Operator::new(&path)?;
    for slot in ["w0", "w1", "t0", "u0"] {
        check(operator.done(&format!("call {slot} who"))? == slot, slot)?;
        check(operator.done(&format!("call {slot} echo  a b "))? == " a b ", "what it is given")?;
        let big = operator.done(&format!("call {slot} big 300000"))?;
        check(big.as_str().is_some_and(|text| text.len() == 300_000), "a long result")?;
        let failed = operator.refused(&format!("call {slot} fail"))?;
        check(failed == "told to", failed)?;
        let unknown = operator.refused(&format!("call {slot} nothing"))?;
        check(unknown.contains("no such command"), unknown)?;
    }
    let nobody = operator.refused("call w7 who")?;
    check(nobody.contains("no process runs"), nobody)?;
    let ended = server.stop_and_report()?;
    let messages = ended.messages()?;
    check(messages.get("sent") == 20 && messages.get("delivered") == 20, format!("{messages:?}"))
}

#[test]
fn every_process_answers_its_operator() -> TestResult {
    every_process_answers(mesh())
}

#[test]
fn every_process_answers_its_operator_in_base_mode() -> TestResult {
    every_process_answers(mesh().unset("reactors").set("mode", "base"))
}

/// The only process there is, with nobody else to write to.
#[test]
fn the_only_process_of_base_mode_answers_its_operator() -> TestResult {
    let scratch = Scratch::new("operator-alone")?;
    let path = scratch.path("operator");
    let alone = TestServer::example("probe").set("mode", "base").set("workers", 1);
    let server = start(alone, &path, 1)?;
    let unknown = Operator::new(&path)?.refused("call w0 nothing")?;
    check(unknown.contains("no such command"), unknown)?;
    server.stop()
}

/// A process that dies with a call answers it with that, and others go on meanwhile.
#[test]
fn a_call_ends_with_its_process_and_nobody_else_waits_for_it() -> TestResult {
    let scratch = Scratch::new("operator-dies")?;
    let path = scratch.path("operator");
    let server = with(mesh(), &path).expect_log("exit=SIGABRT").start()?;
    wait_lines(&server, "serves worker", 2)?;
    let (mut first, mut second) = (Operator::new(&path)?, Operator::new(&path)?);
    first.say(b"call w0 sleep 300\n")?;
    wait_lines(&server, "an operator calls a command", 1)?;
    check(second.done("call w1 who")? == "w1", "another process answers")?;
    second.say(b"call w0 abort\n")?;
    wait_lines(&server, "an operator calls a command", 3)?;
    let slept = first.answer()?.unwrap_or_default();
    check(slept["result"] == "slept", slept.to_string())?;
    let ended = second.answer()?.unwrap_or_default();
    check(ended["error"] == "its process ended before it had answered", ended.to_string())?;
    wait_lines(&server, "exit=SIGABRT", 1)?;
    wait_lines(&server, "serves worker", 3)?;
    check(first.done("call w0 who")? == "w0", "its successor answers")?;
    server.stop()
}

/// What is called by somebody who has gone is nobody's, and the next call is answered rightly.
#[test]
fn an_operator_who_goes_is_not_waited_for() -> TestResult {
    let scratch = Scratch::new("operator-goes")?;
    let path = scratch.path("operator");
    let server = start(mesh(), &path, 2)?;
    for _ in 0..5 {
        let mut gone = Operator::new(&path)?;
        gone.say(b"call w0 sleep 30\n")?;
    }
    wait_lines(&server, "an operator calls a command", 5)?;
    check(Operator::new(&path)?.done("call w0 echo here")? == "here", "the next one")?;
    server.stop()
}
