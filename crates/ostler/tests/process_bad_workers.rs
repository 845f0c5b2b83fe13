//! Workers whose code does to its process what no code should: who waits for them, and what is
//! left.
//!
//! (One that blocks its signals: `process_lateness.rs`; one that changes its ids:
//! `process_second_line.rs`; one that writes nonsense: `process_hostile_worker.rs`.)

mod support;
mod talk;

use ostler_testkit::{DEADLINE, Process, ServerBuilder, Signal, TestError, TestResult, TestServer};
use support::{check, wait_serving};
use talk::{Talk, small_probe};

fn tolerant(server: ServerBuilder) -> ServerBuilder {
    ["worker died", "in time", "deadline", "before it had finished"]
        .into_iter()
        .fold(server, ServerBuilder::expect_log)
}

/// Who answers, and a conversation with it.
fn conversation(server: &TestServer) -> TestResult<(Talk, Process)> {
    let mut talk = Talk::new(server)?;
    let who = talk.ask("whoami")?;
    let is_it = |worker: &Process| who.ends_with(&format!(" {}", worker.pid()));
    let worker = server.workers().into_iter().find(is_it);
    Ok((talk, worker.ok_or_else(|| TestError::new(format!("nobody is {who}")))?))
}

/// It is told to leave by its lane, not by a signal.
#[test]
fn a_worker_that_ignores_term_leaves_when_it_is_told() -> TestResult {
    let server = small_probe().start()?;
    let (mut talk, worker) = conversation(&server)?;
    talk.expect_answer("ignoreterm", "ignored")?;
    worker.signal(Signal::TERM);
    talk.expect_answer("echo on", "on")?;
    check(worker.is_alive(), "TERM has ended it")?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished: every worker is new")?;
    worker.wait_gone(DEADLINE)?;
    talk.expect_answer("echo on", "on")?;
    check(server.log_lines_with("did not leave").is_empty(), "it had to be killed")?;
    server.stop()
}

/// It can tell nobody anything, and nobody it: it ends, and its successor serves.
#[test]
fn a_worker_that_closes_all_its_descriptors_is_replaced() -> TestResult {
    let server = tolerant(small_probe()).start()?;
    let (mut talk, worker) = conversation(&server)?;
    talk.say("closeall")?;
    worker.wait_gone(DEADLINE)?;
    wait_serving(&server, 2)?;
    drop(talk);
    check(Talk::new(&server)?.ask("echo on")? == "on", "nobody serves")?;
    server.stop()
}

/// It is a callback that never returns, and has its deadline.
#[test]
fn a_worker_that_executes_another_program_is_ended_at_its_deadline() -> TestResult {
    let server = tolerant(small_probe()).set("request_deadline_ms", 500).start()?;
    let (mut talk, worker) = conversation(&server)?;
    talk.say("turninto sleep")?;
    worker.wait_gone(DEADLINE)?;
    wait_serving(&server, 2)?;
    talk.expect_closed();
    check(Talk::new(&server)?.ask("echo on")? == "on", "nobody serves")?;
    server.stop()
}

/// Without a deadline it is let be, as any callback that takes long, and ends with the server.
#[test]
fn a_worker_that_executes_another_program_ends_with_its_server() -> TestResult {
    let server = tolerant(small_probe()).set("drain_timeout_ms", 200).start()?;
    let (mut talk, worker) = conversation(&server)?;
    talk.say("turninto sleep")?;
    server.wait_for("another program", |_| worker.comm().map_or(true, |name| name == "sleep"))?;
    server.signal(Signal::INT);
    worker.wait_gone(DEADLINE)?;
    server.wait_end().map(drop)
}
