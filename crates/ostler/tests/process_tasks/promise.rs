//! What tasks promise, as clients see it whose packages are tasks (`ostler-echo --handler task`),
//! while processes are killed all the time. `make soak` does the same with a million of them.

use std::time::Duration;

use ostler_testkit::{EchoLoad, KillEvery, LoadReport, ServerBuilder, TestResult, TestServer};

use crate::support::{check, echo, wait_lines, wait_serving};

const KILL_EVERY: Duration = Duration::from_millis(100);
const PACKAGES: u64 = 8_000;
/// Each task takes so long, so that kills meet them.
const WORK_US: u64 = 300;

type Kill = fn(&TestServer, Duration) -> TestResult<KillEvery>;

fn tasks(handler: &str) -> ServerBuilder {
    ["worker died", "die often", "could not start", "ended before it served"]
        .iter()
        .fold(echo(2, 1), |builder, text| builder.expect_log(text))
        .set("task_workers", 3)
        .set("fork_interval_ms", 0)
        .handler(&format!("{handler}:{WORK_US}"))
}

/// Starts the server, and kills until all packages were answered or given up.
fn load_and_kill(builder: ServerBuilder, kill: Kill) -> TestResult<(TestServer, LoadReport)> {
    load_of_and_kill(builder, (24, 512), kill)
}

/// The same with packages of such a length.
fn load_of_and_kill(
    builder: ServerBuilder,
    (least, greatest): (usize, usize),
    kill: Kill,
) -> TestResult<(TestServer, LoadReport)> {
    let server = builder.start()?;
    wait_serving(&server, 2)?;
    wait_lines(&server, "takes tasks", 3)?;
    let load = EchoLoad::new(server.address()).bytes(least, greatest).requests(PACKAGES).start()?;
    let killer = kill(&server, KILL_EVERY)?;
    let report = load.finish()?;
    let kills = killer.stop()?;
    check(kills > 3, format!("{kills} kills"))?;
    Ok((server, report))
}

/// Run again, tasks of dead workers are nobody's concern: each client has its answer, once.
#[test]
fn no_client_notices_that_task_workers_are_killed() -> TestResult {
    let builder = tasks("task").set("task_crash_policy", "redeliver").set("task_attempts_max", 20);
    let (server, report) = load_and_kill(builder, KillEvery::start_on_tasks)?;
    report.check_perfect()?;
    let books = server.stop_and_report()?.tasks()?;
    let counts = [books.asked, books.finished, books.results, report.answered];
    check(counts == [PACKAGES; 4] && books.unheard == 0, format!("{books:?} {report}"))?;
    check(books.redelivered > 0, format!("a kill met a task: {books:?}"))
}

/// Else they fail, and whose client waits for one hears of it.
#[test]
fn every_failure_of_a_task_is_told() -> TestResult {
    let (server, report) = load_and_kill(tasks("task"), KillEvery::start_on_tasks)?;
    report.check_honest()?;
    let books = server.stop_and_report()?.tasks()?;
    // One whose result was seen before it failed has its answer, too, and closes what comes next.
    check(books.failed > 0 && report.answered <= books.results, format!("{books:?} {report}"))?;
    check(report.closed_early > 0 && report.cut <= books.failed, format!("{books:?} {report}"))?;
    check(books.finished + books.failed == books.asked, format!("{books:?}"))
}

/// Those who ask are killed: what they had asked is done, and nobody else is concerned.
#[test]
fn tasks_outlive_those_who_asked_them() -> TestResult {
    let (server, report) = load_and_kill(tasks("task_defer"), KillEvery::start)?;
    report.check_honest()?;
    let books = server.stop_and_report()?.tasks()?;
    check(books.finished == books.asked && books.failed == 0, format!("{books:?}"))?;
    // Of each task there is a result and an end; who was answered has heard the first.
    let unheard_most = books.results + books.finished - report.answered;
    check(books.unheard <= unheard_most, format!("{books:?} {report}"))
}

/// Bodies that lie in the area, of which one dies that has asked, that reads it as a task, or that
/// reads it as a result: what is answered is what was sent, and each body has one end.
#[test]
fn bodies_that_are_not_copied_outlive_whoever_reads_them() -> TestResult {
    const LONG: (usize, usize) = (2_000, 12_000);
    let builder = tasks("task").set("task_crash_policy", "redeliver").set("task_attempts_max", 20);
    let (server, report) = load_of_and_kill(builder, LONG, KillEvery::start_on_tasks)?;
    report.check_perfect()?;
    let books = server.stop_and_report()?.tasks()?;
    check(books.redelivered > 0 && books.open() == 0, format!("{books:?} {report}"))?;
    let builder = tasks("task_defer").set("crash_policy", "close");
    let (server, report) = load_of_and_kill(builder, LONG, KillEvery::start)?;
    report.check_honest()?;
    let books = server.stop_and_report()?.tasks()?;
    check(books.open() == 0 && books.failed == 0, format!("{books:?} {report}"))
}
