//! Tasks while a random task worker, or a random one of those who ask, is killed all the time:
//! each is done, each result comes once, and who asks hears of each.
//!
//! A client stands for an asker: its package is a task, and its answer the result. A task that
//! fails closes its client, so that a client that waits in vain is one whose worker was not told.

use std::time::Instant;

use ostler_testkit::{Process, Random, ServerBuilder, TaskBooks, TestResult, TestServer};

use super::kill_redeliver::KILL_EVERY;
use super::sheet::Sheet;
use super::stage::{Stage, end, endless, judge_undisturbed, kit};
use crate::load::{LoadOptions, LoadReport, LoadThread};

const CONNECTIONS: u32 = 64;
const TASK_WORKERS: usize = 3;
/// Far more than chance lets one task meet.
const ATTEMPTS: u32 = 20;
/// A machine with little to give is slow, not stuck.
const PATIENCE_MS: u64 = 30_000;

type Victims = fn(&TestServer) -> Vec<Process>;

/// Task workers are killed, and their tasks are run again: nobody notices.
pub(super) fn redelivered(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let server = tasks(stage, "task:20").set("task_crash_policy", "redeliver");
    let server = server.set("task_attempts_max", ATTEMPTS).start()?;
    let (report, count) = (kill(stage, sheet, &server, TestServer::task_workers)?, wanted(stage));
    judge_undisturbed(sheet, &report);
    let books = balanced(server, sheet)?;
    sheet.none("tasks not done", count.saturating_sub(books.finished));
    sheet.none("results lost or doubled", books.results.abs_diff(count));
    sheet.none("tasks that failed", books.failed + books.dropped);
    sheet.none("answers that nobody heard", books.unheard);
    sheet.told("tasks run again", books.redelivered);
    Ok(())
}

/// Task workers are killed, and their tasks fail: who has asked hears of each.
pub(super) fn failed(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let server = tasks(stage, "task:20").start()?;
    let report = kill(stage, sheet, &server, TestServer::task_workers)?;
    let books = balanced(server, sheet)?;
    judge_heard(sheet, &report);
    // A task whose result was seen before it failed has answered its client, too.
    let told_least = books.failed.saturating_sub(books.results - books.finished);
    sheet.at_least("clients told of a failure", report.troubles.early_ends, told_least);
    sheet.none("closed for nothing", report.troubles.early_ends.saturating_sub(books.failed));
    sheet.none("answers that nobody heard", books.unheard);
    sheet.told("tasks that failed", books.failed);
    Ok(())
}

/// Those who ask are killed: their clients know at once, and all tasks are done.
pub(super) fn deserted(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let server = tasks(stage, "task_defer:20").start()?;
    let report = kill(stage, sheet, &server, TestServer::workers)?;
    let books = balanced(server, sheet)?;
    judge_heard(sheet, &report);
    sheet.none("tasks not done", books.asked - books.finished);
    // Of each task there is a result and an end; who was answered has heard the first.
    let unheard_most = books.results + books.finished - report.completed;
    sheet.none("answers lost", books.unheard.saturating_sub(unheard_most));
    sheet.told("answers that nobody heard", books.unheard);
    Ok(())
}

fn wanted(stage: &Stage) -> u64 {
    stage.pick(1_000_000, 20_000)
}

/// A server whose clients' packages go through task workers by this handler. Each task takes some
/// time, so that kills meet them.
fn tasks(stage: &Stage, handler: &str) -> ServerBuilder {
    stage.victim().handler(handler).set("task_workers", TASK_WORKERS)
}

/// Sends as many packages as there are to be tasks, and kills until the last is answered.
fn kill(
    stage: &Stage,
    sheet: &mut Sheet<'_>,
    server: &TestServer,
    victims: Victims,
) -> TestResult<LoadReport> {
    server.wait_for("all task workers", |server| server.task_workers().len() == TASK_WORKERS)?;
    let options = LoadOptions {
        requests: Some(wanted(stage)),
        reconnect: true,
        timeout_ms: PATIENCE_MS,
        ..endless(server, CONNECTIONS)
    };
    let load = LoadThread::spawn(options).map_err(kit)?;
    let mut random = Random::from_environment("soak")?;
    let (begun, mut next, mut kills) = (Instant::now(), Instant::now(), 0);
    while !load.is_finished() {
        next += KILL_EVERY;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        if let Some(process) = random.pick(&victims(server)) {
            kills += u64::from(process.kill());
        }
    }
    let report = load.join().map_err(kit)?;
    let kills_least = (begun.elapsed().as_secs_f64() / KILL_EVERY.as_secs_f64() * 0.8) as u64;
    sheet.at_least("processes killed", kills, kills_least);
    sheet.told("packages made a task", report.begun);
    sheet.told("tasks/s meanwhile", format_args!("{:.0}", report.requests_per_s()));
    Ok(report)
}

/// Ends the server, whose books of tasks balance: none is open.
fn balanced(server: TestServer, sheet: &mut Sheet<'_>) -> TestResult<TaskBooks> {
    let books = end(server, sheet)?.tasks()?;
    sheet.told("tasks asked", books.asked);
    sheet.none("tasks open at the end", books.open() + books.left);
    Ok(books)
}

/// Every client has its answer, once, or the end of its connection.
fn judge_heard(sheet: &mut Sheet<'_>, report: &LoadReport) {
    let troubles = &report.troubles;
    sheet.none("clients that waited in vain", troubles.timeouts);
    sheet.none("answers wrong or doubled", troubles.corrupt);
    sheet.none("packages neither answered nor closed", {
        report.begun.abs_diff(report.completed + troubles.lost_requests)
    });
    sheet.none("connections reset or refused", troubles.resets + troubles.refused);
    sheet.told("connections closed", troubles.early_ends);
}
