//! What a program has made of `ostler::shared` is one for all processes of its server.

mod support;

use ostler_testkit::{Client, DEADLINE, ServerBuilder, Signal, TestResult, TestServer};
use support::{ask, check, start, wait_serving};

/// Its packages go to the workers as `dispatch` says.
fn shared_by(dispatch: &str, workers: u16) -> ServerBuilder {
    TestServer::example("shared")
        .set("listen", "127.0.0.1:0")
        .set("workers", workers)
        .set("dispatch", dispatch)
        .expect_log("died")
}

/// They go to the workers by turns.
fn shared(workers: u16) -> ServerBuilder {
    shared_by("round_robin", workers)
}

fn says(client: &mut Client, command: &str, expected: &str) -> TestResult {
    let answer = ask(client, &format!("{command}\n"))?;
    check(answer == format!("{expected}\n"), format!("{command}: {answer:?}, not {expected:?}"))
}

#[test]
fn all_workers_see_it_and_it_outlives_them() -> TestResult {
    let server = start(shared(3), 3)?;
    let mut client = server.connect()?;
    for _ in 0..9 {
        says(&mut client, "add 2", "added")?;
    }
    says(&mut client, "put 7", "woken 0")?;
    // Every worker but one has died at least once.
    for round in 1..=2 {
        let victim = server.worker(round);
        victim.kill();
        victim.wait_gone(DEADLINE)?;
        wait_serving(&server, 3 + usize::from(round))?;
    }
    for _ in 0..6 {
        says(&mut client, "sum", "18")?;
        says(&mut client, "get", "7")?;
    }
    server.signal(Signal::USR1);
    wait_serving(&server, 5 + 3)?;
    says(&mut client, "sum", "18")?;
    server.stop()
}

/// Whoever is killed while it writes leaves a row that the next one writes.
#[test]
fn a_table_outlives_its_writers() -> TestResult {
    let server = start(shared_by("idle_first", 2), 2)?;
    let mut client = server.connect()?;
    says(&mut client, "visit anna", "1")?;
    says(&mut client, "visit anna", "2")?;
    says(&mut client, "visit berta", "1")?;
    for round in 1..=5 {
        let mut lost = server.connect()?;
        lost.send(b"worry\n")?;
        let mut seen = String::new();
        server.wait_for("a worker to write without end", |_| {
            let rows = ask(&mut client, "rows\n").unwrap_or_default();
            let is_new = rows != seen && !seen.is_empty();
            seen = rows;
            is_new
        })?;
        // The one that does not answer.
        let idle = ask(&mut client, "pid\n")?;
        let busy =
            server.workers().into_iter().find(|worker| worker.pid().to_string() != idle.trim());
        check(busy.is_some_and(|worker| worker.kill()), "nobody to kill")?;
        lost.expect_closed()?;
        wait_serving(&server, 2 + round)?;
        check(ask(&mut client, "visit worried\n")?.trim().parse::<u64>().is_ok(), "a stuck row")?;
    }
    says(&mut client, "visit anna", "3")?;
    let rows = ask(&mut client, "rows\n")?;
    check(rows.starts_with("anna=3 berta=1 worried="), rows)?;
    server.stop()
}

#[test]
fn a_lock_is_let_go_by_a_death_and_the_next_holder_learns_of_it() -> TestResult {
    let server = start(shared_by("idle_first", 2), 2)?;
    let mut client = server.connect()?;
    says(&mut client, "lock 0", "whole")?;
    let mut lost = server.connect()?;
    lost.send(b"hold\n")?;
    server.wait_for("the lock to be held", |_| {
        ask(&mut client, "get\n").is_ok_and(|answer| answer == "1\n")
    })?;
    says(&mut client, "lock 20", "held")?;
    let idle = ask(&mut client, "pid\n")?;
    let busy = server.workers().into_iter().find(|worker| worker.pid().to_string() != idle.trim());
    check(busy.is_some_and(|worker| worker.kill()), "nobody to kill")?;
    lost.expect_closed()?;
    says(&mut client, "lock 10000", "torn")?;
    says(&mut client, "lock 0", "whole")?;
    wait_serving(&server, 3)?;
    server.stop()
}

/// The contrast that `Server::run` warns of.
#[test]
fn a_plain_arc_is_one_in_each_worker() -> TestResult {
    let server = start(shared(2), 2)?;
    let mut client = server.connect()?;
    let counts: Vec<String> =
        (0..4).map(|_| ask(&mut client, "own\n")).collect::<TestResult<_>>()?;
    check(!counts.contains(&"3\n".to_owned()), format!("one for both: {counts:?}"))?;
    server.stop()
}

#[test]
fn a_thread_of_one_worker_is_woken_by_another_worker() -> TestResult {
    let server = start(shared(2), 2)?;
    let mut client = server.connect()?;
    says(&mut client, "sleep", "asleep")?;
    says(&mut client, "sleep", "asleep")?;
    says(&mut client, "get", "0")?;
    ask(&mut client, "put 1\n")?;
    // It has added 1 once it was woken.
    server.wait_for("both sleepers to be woken", |_| {
        ask(&mut client, "sum\n").is_ok_and(|sum| sum == "2\n")
    })?;
    server.stop()
}

#[test]
fn what_a_worker_makes_is_refused_there() -> TestResult {
    let server = start(shared(1), 1)?;
    let answer = ask(&mut server.connect()?, "make\n")?;
    check(answer.contains("make it before `run`"), answer)?;
    server.stop()
}

/// Each worker would make its own.
#[test]
fn a_server_that_executes_its_workers_is_refused() -> TestResult {
    let (code, text) = shared(1).set("start", "exec").start_expecting_failure()?;
    check(code == 4 && text.contains("set start = fork"), text)
}
