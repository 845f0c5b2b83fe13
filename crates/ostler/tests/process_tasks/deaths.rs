//! Deaths: of the worker that runs a task, of the process that has asked it.

use std::time::{Duration, Instant};

use ostler_testkit::{KillEvery, ServerBuilder, TestResult};

use crate::foreman::{foreman, start};
use crate::support::{check, wait_lines};
use crate::talk::Talk;

pub const KILL_EVERY: Duration = Duration::from_millis(100);

/// Deaths are expected.
pub fn deadly(workers: u16, tasks: u16) -> ServerBuilder {
    ["worker died", "die often", "could not start"]
        .iter()
        .fold(foreman(workers, tasks), |builder, text| builder.expect_log(text))
}

/// The task dies with its first worker, unless a file is there.
#[test]
fn what_becomes_of_a_task_whose_worker_dies_is_the_policy() -> TestResult {
    let died = "error: the worker that ran the task died";
    // Who waits is told in any case: it would wait in vain.
    for (policy, answer) in [("fail", died), ("redeliver", "survived"), ("drop", died)] {
        let server = start(deadly(1, 1).set("task_crash_policy", policy), 1)?;
        let file = server.directory().join("died");
        let mut talk = Talk::new(&server)?;
        let order = format!("wait 20000 die {}", file.display());
        talk.expect_answer(&order, answer)?;
        talk.expect_answer("wait 20000 attempt", "1")?;
        let tasks = server.stop_and_report()?.tasks()?;
        let counts = (tasks.failed, tasks.dropped, tasks.redelivered, tasks.open());
        let expected = match policy {
            "fail" => (1, 0, 0, 0),
            "drop" => (0, 1, 0, 0),
            _ => (0, 0, 1, 0),
        };
        check(counts == expected, format!("{policy}: {tasks:?}"))?;
    }
    Ok(())
}

#[test]
fn a_task_that_kills_every_worker_is_given_up() -> TestResult {
    let builder = deadly(1, 1).set("task_crash_policy", "redeliver").set("task_attempts_max", 3);
    let server = start(builder.set("fork_interval_ms", 0), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("wait 20000 abort", "error: the worker that ran the task died")?;
    wait_lines(&server, "worker died", 3)?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.redelivered, tasks.failed) == (2, 1), format!("{tasks:?}"))
}

/// What a worker had said before it died was never seen: the results come once.
#[test]
fn results_of_a_task_that_is_run_again_come_once() -> TestResult {
    let builder = deadly(1, 1).set("task_crash_policy", "redeliver");
    let server = start(builder, 1)?;
    let file = server.directory().join("died");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer(&format!("then early {}", file.display()), "asked 1")?;
    talk.expect("1: early");
    talk.expect_answer("wait 20000 attempt", "1")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.redelivered, tasks.results) == (1, 2), format!("{tasks:?}"))
}

/// What it had sent to sessions was never seen, either, whoever serves those.
#[test]
fn outputs_of_a_task_that_is_run_again_come_once() -> TestResult {
    let builder = deadly(2, 1).set("task_crash_policy", "redeliver");
    let server = start(builder, 2)?;
    let file = server.directory().join("died");
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?];
    let id = talks[1].ask("id")?;
    talks[1].expect_answer("join", "joined")?;
    let order = format!("wait 20000 announce {} {id} 3", file.display());
    talks[0].expect_answer(&order, "announced")?;
    talks[1].expect("2 xxx");
    talks[1].expect("room 2 xxx");
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.redelivered, tasks.finished) == (1, 1), format!("{tasks:?}"))
}

/// What is more than may be held back is seen, and its task is not run again.
#[test]
fn a_task_that_has_sent_too_much_to_be_held_back_is_given_up() -> TestResult {
    let builder = deadly(2, 1).set("task_crash_policy", "redeliver");
    let server = start(builder.set("redeliver_output_bytes", 4_096), 2)?;
    let file = server.directory().join("died");
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?];
    let id = talks[1].ask("id")?;
    let order = format!("wait 20000 announce {} {id} 5000", file.display());
    talks[0].expect_answer(&order, "error: the worker that ran the task died")?;
    talks[1].expect(&format!("1 {}", "x".repeat(5_000)));
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.redelivered, tasks.failed) == (0, 1), format!("{tasks:?}"))
}

/// Every task is done at least once, and each result comes exactly once.
#[test]
fn no_task_and_no_result_is_lost_while_task_workers_are_killed() -> TestResult {
    const LEAST: Duration = Duration::from_secs(2);
    let builder = deadly(2, 3).set("task_crash_policy", "redeliver").set("task_attempts_max", 100);
    let server = start(builder.set("fork_interval_ms", 0), 2)?;
    wait_lines(&server, "takes tasks", 3)?;
    let mut talk = Talk::new(&server)?;
    let killer = KillEvery::start_on_tasks(&server, KILL_EVERY)?;
    let (began, mut heard) = (Instant::now(), Vec::new());
    while began.elapsed() < LEAST {
        let first = heard.len();
        heard.resize(first + 100, 0);
        for number in first..first + 100 {
            talk.say(&format!("then echo {number}"))?;
        }
        let (mut asked, mut results) = (0, 0);
        while asked < 100 || results < 100 {
            let line = talk.line()?;
            if line.starts_with("asked") {
                asked += 1;
                continue;
            }
            let (_, result) = line.split_once(": ").expect("a result");
            heard[result.parse::<usize>().expect("a number")] += 1;
            results += 1;
        }
    }
    let kills = killer.stop()?;
    check(heard.iter().all(|times| *times == 1), "each exactly once")?;
    check(kills > 3, format!("{kills} kills"))?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.finished == heard.len() as u64, format!("{} {tasks:?}", heard.len()))
}

/// With `fail` every asker hears of every task, one way or the other.
#[test]
fn who_asks_hears_of_every_task_while_task_workers_are_killed() -> TestResult {
    const TASKS: usize = 2_000;
    let server = start(deadly(1, 2).set("fork_interval_ms", 0), 1)?;
    let mut talk = Talk::new(&server)?;
    let killer = KillEvery::start_on_tasks(&server, KILL_EVERY)?;
    let (mut asked, mut done, mut failed) = (0, 0, 0);
    talk.say(&format!("burst {TASKS} sleep 1"))?;
    while asked < TASKS || done + failed < TASKS {
        let line = talk.line()?;
        match line.split_once(": ") {
            None => asked += 1,
            Some((_, "slept")) => done += 1,
            Some((_, "error: the worker that ran the task died")) => failed += 1,
            Some(_) => panic!("{line}"),
        }
    }
    killer.stop()?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.failed == failed as u64, format!("{failed}: {tasks:?}"))?;
    check(tasks.finished + tasks.failed == TASKS as u64, format!("{tasks:?}"))
}

#[test]
fn a_worker_that_leaves_hears_of_its_tasks_first() -> TestResult {
    let server = start(foreman(1, 1), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("then sleep 700", "asked 1")?;
    server.signal(ostler_testkit::Signal::USR1);
    server.wait_for_log("serves worker=w0.2")?;
    talk.expect("1: slept");
    server.stop()
}

/// What waits when the server ends is done first.
#[test]
fn the_end_of_the_server_waits_for_its_tasks() -> TestResult {
    let server = start(foreman(1, 1).set("prefetch_packages", 1), 1)?;
    let file = server.directory().join("done");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("send sleep 300", "asked 1")?;
    for number in 2..=4 {
        let order = format!("send append {} {number}", file.display());
        talk.expect_answer(&order, &format!("asked {number}"))?;
    }
    let ended = server.stop_and_report()?;
    let tasks = ended.tasks()?;
    check(tasks.finished == 4 && tasks.left == 0, format!("{tasks:?}"))
}

/// A task worker that writes nonsense is condemned alone, and its asker is told.
#[test]
fn one_that_writes_nonsense_is_condemned_alone() -> TestResult {
    for harm in [
        "result_unknown",
        "result_long",
        "result_part",
        "result_more",
        "fin_unknown",
        "expose_unknown",
        "ask_without_terms",
        "reference_unknown",
        "reference_outside",
        "reference_short",
        "reference_with_bytes",
        "ask_reference",
        "down",
        "answer",
        "end",
    ] {
        let builder = deadly(1, 1).set("lane_size", 65_536).set("task_crash_policy", "redeliver");
        let server = start(builder.expect_log("nonsense"), 1)?;
        let mut talk = Talk::new(&server)?;
        // One of them has to have a task that lies in the area.
        let long = if harm == "reference_outside" { "x".repeat(5_000) } else { String::new() };
        let told = talk.ask(&format!("wait 20000 hostile {harm} {long}"))?;
        check(told == "error: the worker that ran the task died", format!("{harm}: {told}"))?;
        server.wait_for_log("killed by the server: condemned")?;
        let who = talk.ask("wait 20000 whoami")?;
        check(who.starts_with("t0.2 "), format!("{harm}: {who}"))?;
        let serves = talk.ask("whoami")?;
        check(serves.starts_with("w0.1 "), format!("{harm}: {serves}"))?;
        server.stop()?;
    }
    Ok(())
}

/// An asker that refers to what it was not given, or lets go of what it does not have.
#[test]
fn an_asker_that_lies_about_what_it_was_given_is_condemned_alone() -> TestResult {
    for (order, why) in [
        ("hostile ask_reference", "a reference to a delivery that is not in hand"),
        ("hostile answer_reference", "a reference to an answer that it does not have"),
        ("lie big 5000", "answers were let go that it does not have"),
    ] {
        let builder = deadly(1, 1).set("lane_size", 65_536).expect_log("nonsense");
        let server = start(builder, 1)?;
        let mut talk = Talk::new(&server)?;
        talk.say(order)?;
        server.wait_for_log(why)?;
        server.wait_for_log("serves worker=w0.2")?;
        let mut other = Talk::new(&server)?;
        other.expect_answer(&format!("part 5000 {}", "y".repeat(5_000)), "same 5000")?;
        let tasks = server.stop_and_report()?.tasks()?;
        check(tasks.open() == 0, format!("{order}: {tasks:?}"))?;
    }
    Ok(())
}
