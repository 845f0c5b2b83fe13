//! Reloads of others than event workers, which are answered as those are.

use std::path::Path;

use ostler_testkit::{DEADLINE, Process, ServerBuilder, TestResult, TestServer};
use serde_json::json;

use crate::crew::Crew;
use crate::operator::Operator;
use crate::support::{check, wait_lines};
use crate::talk::Scratch;
use crate::{small_probe, start};

/// Operators that may wait for a renewal, also if they have gone meanwhile.
const WAITING_MAX: usize = 16;

/// A server with two task workers that are ready; besides it, where its operators connect.
fn with_tasks(server: ServerBuilder, scratch: &Scratch) -> TestResult<(TestServer, Operator)> {
    let path = scratch.path("operator");
    let server = start(server.set("task_workers", 2), &path, 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    Ok((server, Operator::new(&path)?))
}

fn pids(processes: &[Process]) -> Vec<u32> {
    processes.iter().map(Process::pid).collect()
}

#[test]
fn task_workers_are_replaced_alone_and_that_is_answered() -> TestResult {
    for (name, value) in [("start", "fork"), ("start", "exec"), ("mode", "base")] {
        let (scratch, crew) = (Scratch::new("operator-tasks")?, Crew::new()?);
        let (server, mut operator) = with_tasks(crew.server(1, &[]).set(name, value), &scratch)?;
        let before = pids(&server.workers());
        let done = operator.done("reload tasks")?;
        check(done == json!({ "is_new": { "t0": true, "t1": true } }), done.to_string())?;
        wait_lines(&server, "every task worker is new", 1)?;
        check(pids(&server.workers()) == before, "an event worker was replaced")?;
        check(operator.done("check")? == "the books balance", "the books")?;
        // What it was asked for is told with who has asked.
        wait_lines(&server, "an operator asks request=Reload(Task)", 1)?;
        server.stop()?;
    }
    Ok(())
}

/// The old ones serve on, and the operator learns why.
#[test]
fn task_workers_that_do_not_start_replace_nobody() -> TestResult {
    let (scratch, crew) = (Scratch::new("operator-tasks-fail")?, Crew::new()?);
    let builder = crew.server(1, &[]).expect_log("could not start");
    let builder = builder.expect_log("a new task worker did not start");
    let (server, mut operator) = with_tasks(builder, &scratch)?;
    crew.touch("fail_workers")?;
    let answer = operator.ask("reload tasks")?;
    let why = answer["error"].as_str().unwrap_or_default();
    check(answer["ok"] == false && why.contains("worker, t0, did not start"), answer.to_string())?;
    check(why.contains("told to fail"), why)?;
    check(answer["is_new"] == json!({ "t0": false, "t1": false }), answer.to_string())?;
    crew.remove("fail_workers")?;
    let done = operator.done("reload tasks")?;
    check(done["is_new"] == json!({ "t0": true, "t1": true }), done.to_string())?;
    server.stop()
}

#[test]
fn user_processes_are_replaced_and_workers_left_alone() -> TestResult {
    let (scratch, crew) = (Scratch::new("operator-processes")?, Crew::new()?);
    let path = scratch.path("operator");
    let server = start(crew.server(1, &["one=wait", "two=wait"]), &path, 1)?;
    for name in ["one", "two"] {
        crew.wait_for(&server, &format!("{name} start"), 1)?;
    }
    let before = pids(&server.workers());
    let mut operator = Operator::new(&path)?;
    let done = operator.done("reload processes")?;
    check(done == json!({ "is_new": { "u0": true, "u1": true } }), done.to_string())?;
    for name in ["one", "two"] {
        crew.wait_for(&server, &format!("{name} start"), 2)?;
    }
    check(pids(&server.workers()) == before, "a worker was replaced")?;
    server.stop()
}

#[test]
fn who_is_not_there_cannot_be_replaced() -> TestResult {
    let scratch = Scratch::new("operator-nobody")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let mut operator = Operator::new(&path)?;
    let told = operator.refused("reload tasks")?;
    check(told == "there are no task workers (task_workers)", told)?;
    let told = operator.refused("reload processes")?;
    check(told == "this program has no user processes", told)?;
    let told = operator.refused("reload task")?;
    check(told.ends_with("did you mean `reload tasks`?"), told)?;
    check(operator.done("reload")?["is_new"]["w0"] == true, "workers are there")?;
    server.stop()
}

/// The next manager is asked for what the one before it had not answered.
#[test]
fn a_manager_that_dies_takes_no_request_into_its_grave() -> TestResult {
    let (scratch, crew) = (Scratch::new("operator-manager")?, Crew::new()?);
    let builder = crew.server(1, &[]).expect_log("the manager died");
    let (server, mut operator) = with_tasks(builder, &scratch)?;
    // Of a task worker's start, too.
    crew.touch("hold_w0")?;
    operator.say(b"reload tasks\n")?;
    crew.wait_for(&server, "w0.2 is held", 1)?;
    server.manager().kill();
    server.wait_for_log("its spare takes its place")?;
    crew.wait_for(&server, "w0.3 is held", 1)?;
    crew.remove("hold_w0")?;
    let answer = operator.answer()?.unwrap_or_default();
    check(answer["result"]["is_new"] == json!({ "t0": true, "t1": true }), answer.to_string())?;
    server.stop()
}

/// Who waits for a reload when the server ends is told that, and holds nothing.
#[test]
fn the_end_of_the_server_answers_who_waits() -> TestResult {
    let (scratch, crew) = (Scratch::new("operator-ends")?, Crew::new()?);
    let (server, mut operator) = with_tasks(crew.server(1, &[]), &scratch)?;
    crew.touch("hold_w0")?;
    operator.say(b"reload tasks\n")?;
    crew.wait_for(&server, "w0.2 is held", 1)?;
    let mut other = Operator::new(&scratch.path("operator"))?;
    other.done("stop")?;
    let answer = operator.answer()?.unwrap_or_default();
    check(answer["error"] == "the server ends", answer.to_string())?;
    server.master().wait_gone(DEADLINE)?;
    server.wait_end()?.check_books()
}

/// So many operators as may wait for a renewal ask for one and go.
fn ask_and_go(server: &TestServer, path: &Path) -> TestResult {
    for asked in 1..=WAITING_MAX {
        Operator::new(path)?.say(b"reload tasks\n")?;
        wait_lines(server, "an operator asks request=Reload(Task)", asked)?;
    }
    let told = Operator::new(path)?.refused("reload tasks")?;
    check(told == "as many operators as there can be wait for a reload already", told)
}

/// Who asks and goes, again and again, makes neither the master nor the manager remember more and
/// more.
#[test]
fn operators_who_ask_and_go_are_counted_until_they_are_answered() -> TestResult {
    let (scratch, crew) = (Scratch::new("operator-goes")?, Crew::new()?);
    let (server, _) = with_tasks(crew.server(1, &[]), &scratch)?;
    crew.touch("hold_w0")?;
    let path = scratch.path("operator");
    ask_and_go(&server, &path)?;
    crew.remove("hold_w0")?;
    // One that runs, and one for all who have asked meanwhile.
    wait_lines(&server, "every task worker is new", 2)?;
    let mut operator = Operator::new(&path)?;
    let done = operator.done("reload tasks")?;
    check(done == json!({ "is_new": { "t0": true, "t1": true } }), done.to_string())?;
    server.stop()
}

/// A manager that dies takes along what was asked for by those who have gone.
#[test]
fn a_new_manager_is_asked_for_those_who_wait_only() -> TestResult {
    let (scratch, crew) = (Scratch::new("operator-gone")?, Crew::new()?);
    let builder = crew.server(1, &[]).expect_log("the manager died");
    let (server, mut operator) = with_tasks(builder, &scratch)?;
    crew.touch("hold_w0")?;
    ask_and_go(&server, &scratch.path("operator"))?;
    server.manager().kill();
    server.wait_for_log("its spare takes its place")?;
    operator.say(b"reload tasks\n")?;
    crew.remove("hold_w0")?;
    let answer = operator.answer()?.unwrap_or_default();
    check(answer["result"]["is_new"] == json!({ "t0": true, "t1": true }), answer.to_string())?;
    server.stop()
}
