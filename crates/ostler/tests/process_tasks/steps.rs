//! A task worker that kills itself at each numbered step of the protocol of its lane (its section
//! 12).
//!
//! Only a build with debug assertions has the hook; other builds say that they ignore these tests.

use std::collections::BTreeMap;

use ostler_shm::fault::STEPS;
use ostler_testkit::{TestError, TestResult, TestServer};

use crate::deaths::deadly;
use crate::foreman::start;
use crate::support::{check, wait_lines};
use crate::talk::Talk;

/// Steps to which only results come that are longer than the ring has room for.
const NEED_LONG_RESULTS: [&str; 2] = ["EXPOSED", "WAITING_FOR_ROOM"];
const LONG: usize = 300_000;
const SHORT: usize = 5;
/// A step that was not reached after so many rounds is not reached at all.
const ROUNDS_MAX: usize = 400;

/// What is told of a task that is not run again.
const DIED: &str = "error: the worker that ran the task died";

/// Asks some tasks, short ones and a long one, and hears of each exactly once: of a result that was
/// seen and is all there is, too, that its worker died before the end.
fn ask_some(talk: &mut Talk, heard: &mut BTreeMap<u64, String>, policy: &str) -> TestResult {
    talk.say(&format!("burst {SHORT} echo x"))?;
    talk.say(&format!("then big {LONG}"))?;
    let before = heard.len();
    let mut asked = 0;
    while asked <= SHORT || heard.len() < before + SHORT + 1 {
        let line = talk.line()?;
        if line.starts_with("asked ") {
            asked += 1;
            continue;
        }
        let (number, text) = line.split_once(": ").ok_or_else(|| TestError::new(&line))?;
        let number = number.parse().map_err(|_| TestError::new(&line))?;
        let before = heard.insert(number, text.to_owned());
        let is_end = policy == "fail" && text == DIED && before.as_deref() != Some(DIED);
        let is_new = before.is_none() || is_end;
        check(is_new, format!("{number} is told twice: {text:.80}, {before:.80?}"))?;
    }
    Ok(())
}

fn fired(server: &TestServer) -> bool {
    server.log_lines_with("worker died").iter().any(|line| line.contains("worker=t0.1"))
}

fn dies_at(step: &str, nth: u64, policy: &str) -> TestResult {
    let builder = deadly(1, 1).set("task_crash_policy", policy).set("lane_size", 65_536);
    let builder = builder.set("fork_interval_ms", 0).set("task_attempts_max", 100);
    let server = start(builder.env("OSTLER_FAULT_OF_TASKS", format!("{step}:{nth}")), 1)?;
    let mut talk = Talk::new(&server)?;
    let (mut heard, mut rounds) = (BTreeMap::new(), 0);
    while !fired(&server) {
        rounds += 1;
        check(rounds < ROUNDS_MAX, "it never comes there")?;
        ask_some(&mut talk, &mut heard, policy)?;
    }
    wait_lines(&server, "takes tasks worker=t0.2", 1)?;
    ask_some(&mut talk, &mut heard, policy)?;
    talk.expect_answer("wait 20000 echo end", "end")?;
    let long = "x".repeat(LONG);
    let is_right = |text: &String| *text == "x" || *text == long;
    let wrong: Vec<_> = heard.values().filter(|text| !is_right(text)).collect();
    check(wrong.iter().all(|text| *text == DIED), format!("{wrong:.80?}"))?;
    // What was seen of a long result is not sent again.
    let most = match policy {
        "redeliver" => 1,
        _ => SHORT + 1,
    };
    check(wrong.len() <= most, format!("{wrong:?}"))?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.open() == 0 && tasks.unheard == 0, format!("{tasks:?}"))?;
    check(tasks.failed == wrong.len() as u64, format!("{tasks:?}"))
}

fn at_every_step(policy: &str) -> TestResult {
    // What is not run again has nothing that must not be seen twice.
    let comes_to = |step: &str| match step {
        "EXPOSED" => policy == "redeliver",
        // A worker passes files for sessions only.
        step => step != "FILE_PASSED",
    };
    for (step, _) in STEPS.iter().filter(|(step, _)| comes_to(step)) {
        let times: &[u64] = if NEED_LONG_RESULTS.contains(step) { &[1, 2] } else { &[1, 2, 7] };
        for nth in times {
            dies_at(step, *nth, policy)
                .map_err(|error| error.context(format!("{step}:{nth} under {policy}")))?;
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn each_task_has_one_end_wherever_its_worker_dies_and_is_run_again() -> TestResult {
    at_every_step("redeliver")
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the hook is in builds with debug assertions only")]
fn each_task_has_one_end_wherever_its_worker_dies() -> TestResult {
    at_every_step("fail")
}
