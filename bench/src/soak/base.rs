//! BASE mode: who is served by a worker that dies or is replaced is told at once and comes back,
//! all others are served; nobody hangs, nobody gets what is not his.

use std::time::Instant;

use ostler_testkit::TestResult;

use super::kill_close::{CLOSE_MAX_MS, check_counted, delays_ms, kill_workers};
use super::reload::reload;
use super::sheet::Sheet;
use super::stage::{Stage, end, endless, kit};
use crate::load::{InterruptionKind, LoadOptions, LoadReport, LoadThread};

const CONNECTIONS: u32 = 32;
/// Half of it old workers serve on, then their sessions end.
const DRAIN_TIMEOUT_MS: u64 = 1_000;

/// Clients that come back when they are disconnected.
fn clients(server: &ostler_testkit::TestServer) -> TestResult<LoadThread> {
    let options = LoadOptions { reconnect: true, ..endless(server, CONNECTIONS) };
    LoadThread::spawn(options).map_err(kit)
}

/// When clients were disconnected.
fn ends(report: &LoadReport) -> Vec<Instant> {
    let is_end = |kind| matches!(kind, InterruptionKind::EarlyEnd | InterruptionKind::Reset);
    let all = report.troubles.interruptions.iter();
    all.filter(|seen| is_end(seen.kind)).map(|seen| seen.at).collect()
}

/// What may not happen to anybody.
fn judge(sheet: &mut Sheet<'_>, report: &LoadReport) {
    let troubles = &report.troubles;
    sheet.none("refused or hanging", troubles.refused + troubles.timeouts + troubles.failed);
    sheet.none("replies with wrong bytes", troubles.corrupt);
    sheet.told("requests served", report.completed);
}

pub(super) fn kills(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let kills_wanted = stage.pick(120, 8);
    let server = stage.victim().set("mode", "base").start()?;
    let load = clients(&server)?;
    let kills = kill_workers(&server, kills_wanted)?;
    let report = load.stop().map_err(kit)?;
    let ends = ends(&report);
    let delays_ms = delays_ms(&ends, &kills);
    let most_ms = delays_ms.iter().copied().fold(0.0, f64::max);
    sheet.at_least("workers killed", kills.len() as u64, kills_wanted as u64 * 8 / 10);
    sheet.at_least("clients told of it", ends.len() as u64, kills.len() as u64);
    sheet.at_most("told after, longest", most_ms, CLOSE_MAX_MS, "ms");
    sheet.none("closed without a kill", (ends.len() - delays_ms.len()) as u64);
    judge(sheet, &report);
    let books = end(server, sheet)?.books()?;
    check_counted(sheet, &books, ends.len());
    Ok(())
}

pub(super) fn reloads(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let reloads_least = stage.pick(30, 3);
    let server = stage.echo().set("mode", "base").set("drain_timeout_ms", DRAIN_TIMEOUT_MS);
    let server = server.start()?;
    let load = clients(&server)?;
    let mut stale = 0;
    for _ in 0..reloads_least {
        let before = load.progress().completed();
        server.wait_for("more requests", |_| load.progress().completed() > before + 1_000)?;
        stale += u64::from(!reload(&server)?);
    }
    let report = load.stop().map_err(kit)?;
    sheet.told("reloads", reloads_least);
    sheet.none("reloads that left an old worker serving", stale);
    sheet.told("clients told to come again", ends(&report).len());
    judge(sheet, &report);
    end(server, sheet).map(drop)
}
