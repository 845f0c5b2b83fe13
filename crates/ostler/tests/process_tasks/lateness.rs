//! Tasks that pass their deadline: their workers are ended, and no others.

use ostler_testkit::{ServerBuilder, TestResult};

use crate::foreman::{foreman, start};
use crate::support::{check, wait_lines};
use crate::talk::Talk;

const LATE: &str = "deadline of 300 ms of tasks passed";
const TOLD: &str = "error: the task ran for longer than `task_deadline_ms` allows";

/// Tasks have 300 ms.
fn impatient(tasks: u16) -> ServerBuilder {
    let builder = foreman(1, tasks).set("task_deadline_ms", 300).set("fork_interval_ms", 0);
    builder.expect_log("worker died").expect_log("die often")
}

/// The asker hears of it by the policy, the worker is another one, and who runs tasks that end in
/// time lives on.
#[test]
fn a_task_past_its_deadline_ends_its_worker_and_is_settled_by_the_policy() -> TestResult {
    for (policy, deaths) in [("fail", 1), ("drop", 1), ("redeliver", 2)] {
        let builder = impatient(1).set("task_crash_policy", policy).set("task_attempts_max", 2);
        let server = start(builder, 1)?;
        let mut talk = Talk::new(&server)?;
        talk.expect_answer("wait 20000 sleep 100", "slept")?;
        talk.expect_answer("wait 20000 sleep 60000", TOLD)?;
        wait_lines(&server, LATE, deaths)?;
        let next = talk.ask("wait 20000 whoami")?;
        check(next.starts_with(&format!("t0.{} ", deaths + 1)), format!("{policy}: {next}"))?;
        talk.expect_answer("whoami", &format!("w0.1 {}", server.worker(0).pid()))?;
        let tasks = server.stop_and_report()?.tasks()?;
        let ends = (tasks.failed, tasks.dropped, tasks.redelivered, tasks.open());
        let expected = match policy {
            "fail" => (1, 0, 0, 0),
            "drop" => (0, 1, 0, 0),
            _ => (1, 0, 1, 0),
        };
        check(ends == expected, format!("{policy}: {tasks:?}"))?;
    }
    Ok(())
}

/// It was told already what it wanted to know: that comes, and then the end.
#[test]
fn what_was_finished_before_the_deadline_is_heard() -> TestResult {
    let server = start(impatient(1), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("then late result", "asked 1")?;
    talk.expect("1: result");
    talk.expect(&format!("1: {TOLD}"));
    talk.expect_answer("wait 20000 echo next", "next")?;
    server.stop()
}

/// Nobody looked at the deadline in time: a result that comes after it is one, and its worker lives
/// on.
#[test]
fn a_result_after_its_deadline_is_heard_if_nobody_has_looked() -> TestResult {
    let server = start(impatient(1), 1)?;
    let mut talk = Talk::new(&server)?;
    let worker = talk.ask("wait 20000 whoami")?;
    server.manager().stop()?;
    talk.expect_answer("wait 20000 later 900 after all", "after all")?;
    server.manager().cont()?;
    talk.expect_answer("wait 20000 whoami", &worker)?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.failed, tasks.finished, tasks.open()) == (0, 3, 0), format!("{tasks:?}"))
}

/// Around its deadline a task is finished or late: whichever, its asker hears of one end, and the
/// books balance.
#[test]
fn results_around_the_deadline_are_heard_or_late_and_never_both() -> TestResult {
    let server = start(impatient(1), 1)?;
    let mut talk = Talk::new(&server)?;
    for ms in (270..=370).step_by(20) {
        let asked = talk.ask(&format!("then later {ms} x"))?;
        let number = asked.strip_prefix("asked ").unwrap_or(&asked);
        let heard = talk.line()?;
        let ends = [format!("{number}: x"), format!("{number}: {TOLD}")];
        check(ends.contains(&heard), &heard)?;
        let next = talk.ask("wait 20000 echo next")?;
        if next != "next" {
            // It was heard, and its worker was killed before it could say that this was all.
            check(heard == ends[0] && next == ends[1], &next)?;
            talk.expect("next");
        }
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.open() == 0, format!("{tasks:?}"))
}

/// The deadline is that of the task that runs: one that waits behind it has its own.
#[test]
fn only_the_task_that_runs_is_late() -> TestResult {
    let server = start(impatient(1).set("prefetch_packages", 1), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("then sleep 60000", "asked 1")?;
    talk.expect_answer("then sleep 200", "asked 2")?;
    talk.expect_answer("then sleep 200", "asked 3")?;
    talk.expect(&format!("1: {TOLD}"));
    talk.expect("2: slept");
    talk.expect("3: slept");
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.failed, tasks.finished) == (1, 2), format!("{tasks:?}"))
}
