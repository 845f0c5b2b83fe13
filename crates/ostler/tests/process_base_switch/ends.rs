//! Ends of processes of BASE mode, whose connections end with them.

use std::time::{Duration, Instant};

use ostler_testkit::{KillEvery, Signal, TestResult};

use crate::deaths::{KILL_EVERY, deadly};
use crate::foreman::{ask_before_death, foreman, heir_hears_of_all, idlers, start};
use crate::mesh::client_of;
use crate::support::{check, wait_lines};
use crate::talk::Talk;

/// Its connections are gone, and what it had published is done; results of it are nobody's.
#[test]
fn tasks_of_a_worker_that_is_killed_are_done() -> TestResult {
    let server = start(deadly(1, 1), 1)?;
    let file = server.directory().join("done");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("then sleep 500", "asked 1")?;
    talk.expect_answer(&format!("then append {} yes", file.display()), "asked 2")?;
    server.worker(0).kill();
    talk.expect_closed();
    server.wait_for("the task", |_| file.exists())?;
    server.wait_for_log("serves worker=w0.2")?;
    Talk::new(&server)?.expect_answer("wait 20000 echo next", "next")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check(tasks.finished == 3 && tasks.unheard >= 2, format!("{tasks:?}"))
}

/// Its successor in the slot hears of them, with `task_result_to`.
#[test]
fn what_a_dead_asker_wanted_to_know_its_successor_hears_once() -> TestResult {
    let server = start(deadly(1, 2).set("task_result_to", "successor"), 1)?;
    let mut talk = Talk::new(&server)?;
    ask_before_death(&server, &mut talk)?;
    server.worker(0).kill();
    server.wait_for_log("serves worker=w0.2")?;
    heir_hears_of_all(&server)?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.finished, tasks.results, tasks.unheard) == (4, 4, 0), format!("{tasks:?}"))
}

/// Whatever dies, and whenever: each task has one end.
#[test]
fn the_books_balance_while_all_workers_are_killed() -> TestResult {
    const LEAST: Duration = Duration::from_secs(2);
    let builder = deadly(2, 2).set("task_crash_policy", "redeliver").set("fork_interval_ms", 0);
    let server = start(builder.expect_log("callback"), 2)?;
    let killers =
        [KillEvery::start(&server, KILL_EVERY)?, KillEvery::start_on_tasks(&server, KILL_EVERY)?];
    let (began, mut heard) = (Instant::now(), 0);
    let mut talk = Talk::new(&server)?;
    while began.elapsed() < LEAST {
        let lines = talk.say("burst 20 big 3000").and_then(|()| {
            for _ in 0..40 {
                talk.line()?;
            }
            Ok(())
        });
        match lines {
            Ok(()) => heard += 1,
            // Its worker has died.
            Err(_) => talk = Talk::new(&server)?,
        }
    }
    for killer in killers {
        check(killer.stop()? > 3, "they were killed")?;
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check(heard > 0 && tasks.asked >= 20 * heard && tasks.open() == 0, format!("{tasks:?}"))
}

/// A message that a dead process had published arrives.
#[test]
fn messages_of_a_dead_worker_arrive() -> TestResult {
    let server = crate::mesh::start(crate::mesh::deadly(2, 0), 2, 0)?;
    let mut talk = client_of(&server, "w0")?;
    let mut other = client_of(&server, "w1")?;
    let id = "0"; // nobody hears of it, and it is counted
    talk.say(&format!("die w1 say {id}"))?;
    talk.expect_closed();
    server.wait_for_log("serves worker=w0.2")?;
    other.expect_answer("whoami", "w1")?;
    let messages = server.stop_and_report()?.messages()?;
    check(messages.get("delivered") == 1, format!("{messages:?}"))
}

/// With the master everything ends, and with the manager nothing but its processes.
#[test]
fn all_of_them_end_with_the_master() -> TestResult {
    let server = start(idlers(2, 2), 2)?;
    wait_lines(&server, "takes tasks", 2)?;
    let tasks = server.task_workers();
    server.signal(Signal::KILL);
    server.wait_end()?;
    for task in &tasks {
        task.wait_gone(ostler_testkit::DEADLINE)?;
    }
    Ok(())
}

/// Until every client was answered no worker is told to leave, though the switch has no clients.
#[test]
fn the_end_of_the_server_waits_for_who_waits_for_a_task() -> TestResult {
    let server = start(foreman(1, 1).set("drain_timeout_ms", 500), 1)?;
    let file = server.directory().join("begun");
    let mut talk = Talk::new(&server)?;
    talk.say(&format!("multi 20000 append {} x|sleep 2000", file.display()))?;
    server.wait_for("the task to begin", |_| file.exists())?;
    server.signal(Signal::TERM);
    talk.expect("x|slept");
    talk.expect_closed();
    server.wait_end()?;
    Ok(())
}

/// A process that was replaced and has no session any more is held by a task, and no reason to wait
/// for sessions when the server ends.
#[test]
fn a_process_without_sessions_that_is_held_does_not_hold_up_the_drain() -> TestResult {
    let builder = foreman(1, 1).set("drain_timeout_ms", 60_000).set("shutdown_timeout_ms", 500);
    let server = start(builder, 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("then sleep 5000", "asked 1")?;
    server.signal(Signal::USR1);
    drop(talk);
    server.wait_for_log("serves worker=w0.2")?;
    server.signal(Signal::TERM);
    let ended = server.wait_end()?;
    check(ended.log().lines_with("took too long").is_empty(), ended.log().tail())?;
    let tasks = ended.tasks()?;
    check(tasks.finished == 1, format!("{tasks:?}"))
}

/// What waits in the switch is run by the workers of the next manager.
#[test]
fn tasks_outlive_the_manager() -> TestResult {
    let builder = deadly(1, 1).set("task_crash_policy", "redeliver").set("prefetch_packages", 1);
    let server = start(builder.expect_log("manager"), 1)?;
    let file = server.directory().join("done");
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("send sleep 1000", "asked 1")?;
    for number in 2..=4 {
        let order = format!("send append {} {number}", file.display());
        talk.expect_answer(&order, &format!("asked {number}"))?;
    }
    server.manager().kill();
    talk.expect_closed();
    let done = || std::fs::read_to_string(&file).unwrap_or_default();
    server.wait_for("the tasks", |_| done() == "2\n3\n4\n")?;
    wait_lines(&server, "serves worker=", 2)?;
    Talk::new(&server)?.expect_answer("wait 20000 echo next", "next")?;
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.finished, tasks.redelivered) == (5, 1), format!("{tasks:?}"))
}

/// An old generation hears of its tasks while the new one serves, and both ask.
#[test]
fn tasks_wait_through_reloads() -> TestResult {
    let server = start(foreman(2, 1).set("prefetch_packages", 1), 2)?;
    let mut talks = [Talk::new(&server)?, Talk::new(&server)?, Talk::new(&server)?];
    for round in 1..=3 {
        for talk in &mut talks {
            check(talk.ask("then sleep 200")?.starts_with("asked"), "asked")?;
        }
        server.signal(Signal::USR1);
        for talk in &mut talks {
            check(talk.line()?.ends_with("slept"), "the result")?;
            *talk = Talk::new(&server)?;
        }
        wait_lines(&server, "every task worker is new", round)?;
    }
    let tasks = server.stop_and_report()?.tasks()?;
    check((tasks.finished, tasks.unheard) == (9, 0), format!("{tasks:?}"))
}

/// Sessions end with their workers, and no message does.
#[test]
fn reloads_lose_no_message() -> TestResult {
    const RELOADS: usize = 4;
    // What comes while nobody runs the only task worker waits, up to the budget; beyond it the
    // sender is told at once, and it was never taken in.
    let builder = crate::mesh::mesh(2, 1).set("drain_timeout_ms", 400);
    let builder = builder.expect_log("failed").expect_log("not taken in");
    let server = crate::mesh::start(builder, 2, 1)?;
    let mut talk = Talk::new(&server)?;
    let mut rounds = 0;
    while server.log_lines_with("every task worker is new").len() < RELOADS {
        if rounds % 50 == 25 {
            server.signal(Signal::USR1);
        }
        for slot in ["w0", "w1", "t0"] {
            // One of them may be its own; and a session may end meanwhile.
            let order = format!("flood {slot} 20 500");
            if talk.say(&order).and_then(|()| talk.line()).is_err() {
                talk = Talk::new(&server)?;
            }
        }
        rounds += 1;
    }
    let messages = server.stop_and_report()?.messages()?;
    let (all, ended) = (messages.get("sent"), messages.get("ended"));
    check(all > 0 && messages.get("delivered") == all, format!("{messages:?}"))?;
    check(ended == 0 && messages.get("left") == 0, format!("{messages:?}"))
}
