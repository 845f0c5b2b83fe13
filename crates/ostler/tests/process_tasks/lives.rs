//! Task workers are supervised as event workers are.

use ostler_testkit::{DEADLINE, Signal, TestResult, TestServer};

use crate::foreman::{foreman, idlers};
use crate::support::{check, round_trip, start, wait_lines};
use crate::talk::Talk;

/// A server with event and task workers that have begun.
fn with_tasks(workers: u16, tasks: u16) -> TestResult<TestServer> {
    let builder = idlers(workers, tasks).expect_log("worker died");
    let server = start(builder, workers)?;
    wait_lines(&server, "takes tasks", tasks.into())?;
    Ok(server)
}

#[test]
fn they_live_beside_the_event_workers_and_end_with_the_server() -> TestResult {
    let server = with_tasks(1, 3)?;
    check(server.task_workers().len() == 3, "three of them")?;
    check(server.workers().len() == 1, "one worker serves")?;
    let mut client = server.connect()?;
    round_trip(&mut client, "served")?;
    let ended = server.stop_and_report()?;
    check(ended.books()?.accepted == 1, "one session")
}

/// Its slot is filled again, and nobody else is touched.
#[test]
fn one_that_is_killed_is_replaced() -> TestResult {
    let server = with_tasks(2, 2)?;
    let (workers, tasks) = (server.workers(), server.task_workers());
    tasks[0].kill();
    server.wait_for_log("takes tasks worker=t0.2")?;
    check(server.workers() == workers, "an event worker was replaced")?;
    check(server.task_workers().contains(&tasks[1]), "its neighbour was replaced")?;
    let died = server.wait_for_log("worker died")?;
    check(died.contains("worker=t0.1"), &died)?;
    server.stop()
}

/// They run what the event workers have proved: their reload begins when that one is done.
#[test]
fn they_follow_a_reload() -> TestResult {
    let server = with_tasks(2, 2)?;
    let old = server.task_workers();
    for round in 1..=5 {
        server.signal(Signal::USR1);
        wait_lines(&server, "every task worker is new", round)?;
    }
    for task in &old {
        task.wait_gone(DEADLINE)?;
    }
    let ended = server.stop_and_report()?;
    let lines = ended.log().parsed();
    let proved = lines.iter().position(|line| line.message.ends_with("every worker is new"));
    let first = lines.iter().position(|line| line.field("worker") == Some("t0.2"));
    check(proved.is_some() && proved < first, format!("{proved:?}, {first:?}"))?;
    check(ended.log().lines_with("worker died").is_empty(), "nobody died")
}

/// What does not start with the new code does not reach them.
#[test]
fn a_reload_that_is_aborted_leaves_them_alone() -> TestResult {
    let directory = std::env::temp_dir().join(format!("ostler-tasks-{}", std::process::id()));
    let builder = idlers(1, 2).env("ECHO_FAIL_START_IF_EXISTS", &directory);
    let builder = builder.expect_log("could not start").expect_log("aborted");
    let server = start(builder, 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    let tasks = server.task_workers();
    std::fs::write(&directory, b"")?;
    server.signal(Signal::USR1);
    let aborted = server.wait_for_log("aborted");
    std::fs::remove_file(&directory)?;
    aborted?;
    check(server.task_workers() == tasks, "they are the same")?;
    server.stop()
}

#[test]
fn a_manager_that_is_lost_takes_them_along() -> TestResult {
    let builder = idlers(1, 2).expect_log("manager");
    let server = start(builder.expect_log("worker died"), 1)?;
    wait_lines(&server, "takes tasks", 2)?;
    let old = server.task_workers();
    server.manager().kill();
    wait_lines(&server, "takes tasks", 4)?;
    for task in &old {
        task.wait_gone(DEADLINE)?;
    }
    check(server.task_workers().len() == 2, "two again")?;
    server.stop()
}

/// Executed ones run the same tasks, and a reload puts new ones into their places.
#[test]
fn they_may_be_executed() -> TestResult {
    let server = crate::foreman::start(foreman(1, 1).set("start", "exec"), 1)?;
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("wait 20000 echo hello", "hello")?;
    let old = server.task_workers();
    server.signal(Signal::USR1);
    wait_lines(&server, "every task worker is new", 1)?;
    for task in &old {
        task.wait_gone(DEADLINE)?;
    }
    let who = talk.ask("wait 20000 whoami")?;
    check(who.starts_with("t0.2 "), who)?;
    server.stop()
}
