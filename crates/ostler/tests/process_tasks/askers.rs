//! Deaths of processes that have asked tasks, when their connections outlive them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, KillEvery, Signal, TestError, TestResult, TestServer, wait_until};

use crate::deaths::{KILL_EVERY, deadly};
use crate::foreman::{ask_before_death, foreman, heir_hears_of_all, start};
use crate::support::{check, wait_lines};
use crate::talk::Talk;

/// What is asked in a package that is delivered again is asked once: with what was sent, or not.
#[test]
fn tasks_of_a_package_that_is_not_finished_are_not_asked() -> TestResult {
    let builder = deadly(1, 1).set("crash_policy", "redeliver:2");
    let server = start(builder, 1)?;
    let file = server.directory().join("told");
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("die append {} never", file.display()))?;
    talk.expect_closed();
    let mut other = Talk::new(&server)?;
    other.expect_answer(&format!("wait 20000 append {} once", file.display()), "once")?;
    let text = std::fs::read_to_string(&file)?;
    check(text == "once\n", text)?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.asked == 1, format!("{tasks:?}"))
}

/// Results for a process that is gone are nobody's; its tasks are done all the same.
#[test]
fn tasks_of_a_process_that_is_killed_are_done() -> TestResult {
    let server = start(deadly(1, 1).set("crash_policy", "drop"), 1)?;
    let file = server.directory().join("done");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("then sleep 500", "asked 1")?;
    talk.expect_answer(&format!("then append {} yes", file.display()), "asked 2")?;
    server.worker(0).kill();
    server.wait_for("the task", |_| file.exists())?;
    server.wait_for_log("serves worker=w0.2")?;
    talk.expect_answer("wait 20000 echo next", "next")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.finished == 3 && tasks.unheard >= 2, format!("{tasks:?}"))
}

/// Whatever becomes of those who ask: each task has one end.
#[test]
fn the_books_balance_while_event_workers_are_killed() -> TestResult {
    const LEAST: Duration = Duration::from_secs(2);
    let builder = deadly(2, 2).set("crash_policy", "redeliver:100").set("fork_interval_ms", 0);
    let server = start(builder, 2)?;
    let mut talk = Talk::new(&server)?;
    let killer = KillEvery::start(&server, KILL_EVERY)?;
    let (began, mut answers) = (Instant::now(), 0);
    while began.elapsed() < LEAST {
        // Asked exactly once: the answer and the task are published together.
        check(talk.ask("send echo x")?.starts_with("asked"), "asked")?;
        answers += 1;
    }
    check(killer.stop()? > 3, "they were killed")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.asked == answers && tasks.finished == answers, format!("{answers}: {tasks:?}"))
}

/// Long ones and short ones, also those that come while nobody serves in the slot; the successor's
/// own tasks, which have the same numbers, are not taken for them.
#[test]
fn what_a_dead_asker_wanted_to_know_its_successor_hears_once() -> TestResult {
    let builder = deadly(1, 2).set("crash_policy", "drop").set("task_result_to", "successor");
    let server = start(builder, 1)?;
    let mut talk = Talk::new(&server)?;
    ask_before_death(&server, &mut talk)?;
    server.worker(0).kill();
    server.wait_for_log("serves worker=w0.2")?;
    for number in 1..=4 {
        talk.expect_answer(&format!("report echo own{number}"), &format!("asked {number}"))?;
        talk.expect(&format!("{number}: own{number}"));
    }
    heir_hears_of_all(&server)?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.finished, tasks.results, tasks.unheard) == (8, 8, 0), format!("{tasks:?}"))
}

/// Nobody will serve in a slot that was taken away: what waits for an heir there, or comes later,
/// is nobody's.
#[test]
fn what_was_asked_in_a_slot_that_is_taken_away_is_nobodys() -> TestResult {
    let (server, mut talk, gate) = one_task_of_each_worker()?;
    let last = server.worker(1);
    server.signal(Signal::TTOU);
    server.wait_for_log("the number of workers changes")?;
    last.kill();
    last.wait_gone(DEADLINE)?;
    std::fs::write(&gate, "")?;
    talk.expect("1: open");
    // Its result and its end.
    server.wait_for("what is nobody's", |_| talk.ask("unheard").is_ok_and(|told| told == "2"))?;
    drop(talk);
    server.stop()
}

/// Two workers have asked a task each, which wait for a gate. What one of them has not begun within
/// a millisecond is the other one's: then it is tried again.
fn one_task_of_each_worker() -> TestResult<(TestServer, Talk, PathBuf)> {
    for _ in 0..100 {
        let builder = deadly(2, 2).set("workers_min", 1).set("dispatch", "round_robin");
        let builder = builder.set("crash_policy", "drop").set("task_result_to", "successor");
        let server = start(builder, 2)?;
        let mut talk = Talk::new(&server)?;
        let gate = server.directory().join("gate");
        let order = format!("report gate {}", gate.display());
        let asked = [talk.ask(&order)?, talk.ask(&order)?];
        if asked == ["asked 1", "asked 1"] {
            return Ok((server, talk, gate));
        }
        std::fs::write(&gate, "")?;
        let mut told = [talk.line()?, talk.line()?];
        told.sort();
        check(told == ["1: open", "2: open"], format!("{asked:?}: {told:?}"))?;
        drop(talk);
        server.stop()?;
    }
    Err(TestError::new("one worker was always too slow"))
}

/// What waits for a slow client is no callback, and keeps no worker from other tasks.
#[test]
fn a_task_that_goes_on_behind_its_callback_keeps_no_worker() -> TestResult {
    let server = start(foreman(1, 1).set("prefetch_us", 0), 1)?;
    let mut talk = Talk::new(&server)?;
    let id = talk.ask("id")?;
    for number in 1..=3 {
        talk.expect_answer(&format!("send hold {id}"), &format!("asked {number}"))?;
    }
    talk.expect_answer("wait 20000 echo others", "others")?;
    // The end of that one is told a moment after its result.
    wait_until("the others to be all that is open", || {
        talk.ask("figures").is_ok_and(|it| it == "4 3")
    })?;
    talk.expect_answer("wait 20000 let-go", "gone")?;
    server.stop()
}

/// Nobody is called back, and nothing is kept for it.
#[test]
fn who_asked_for_a_task_that_is_dropped_does_not_wait_for_it() -> TestResult {
    let builder = deadly(1, 1).set("task_crash_policy", "drop").set("drain_timeout_ms", 600_000);
    let server = start(builder, 1)?;
    let mut talk = Talk::new(&server)?;
    for (number, order) in [(1, "then"), (2, "report")] {
        talk.expect_answer(&format!("{order} abort"), &format!("asked {number}"))?;
        wait_lines(&server, "worker died", number)?;
    }
    // The next thing that it hears is this.
    talk.expect_answer("wait 20000 attempt", "1")?;
    let asker = server.worker(0);
    server.signal(Signal::USR1);
    asker.wait_gone(DEADLINE)?;
    talk.expect_answer("wait 20000 attempt", "1")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.dropped, tasks.failed, tasks.open()) == (2, 0, 0), format!("{tasks:?}"))
}
