//! Workers killed under `close`: who was being served is told at once, all others are served.

use std::time::{Duration, Instant};

use ostler_testkit::{Books, Random, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{Stage, end, endless, kit};
use crate::load::{InterruptionKind, LoadOptions, LoadThread};

const CONNECTIONS: u32 = 32;
const KILL_EVERY: Duration = Duration::from_millis(500);
/// From just before the kill until the client has the end of its connection.
pub(super) const CLOSE_MAX_MS: f64 = 50.0;
/// Four workers serve 32 clients, 20 ms each, in 160 ms; three in 220 ms. More than a second means
/// that somebody hung.
const WAIT_MAX_MS: f64 = 1_000.0;

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let kills_wanted = stage.pick(120, 8);
    let server = stage.victim().handler("sleep_ms:20").set("crash_policy", "close").start()?;
    let options = LoadOptions { reconnect: true, ..endless(&server, CONNECTIONS) };
    let load = LoadThread::spawn(options).map_err(kit)?;
    let kills = kill_workers(&server, kills_wanted)?;
    let report = load.stop().map_err(kit)?;
    let troubles = &report.troubles;
    let closed: Vec<Instant> = troubles
        .interruptions
        .iter()
        .filter(|seen| seen.kind == InterruptionKind::EarlyEnd)
        .map(|seen| seen.at)
        .collect();
    let mut delays_ms = delays_ms(&closed, &kills);
    delays_ms.sort_by(f64::total_cmp);
    let unexplained = closed.len() - delays_ms.len();
    let median_ms = delays_ms.get(delays_ms.len() / 2).copied().unwrap_or_default();
    let most_ms = delays_ms.last().copied().unwrap_or_default();

    sheet.at_least("workers killed", kills.len() as u64, kills_wanted as u64 * 8 / 10);
    // Now and then a kill meets a worker between two packages, or one that has just begun.
    sheet.at_least("clients told of it", closed.len() as u64, kills.len() as u64 / 2);
    sheet.at_most("told after, longest", most_ms, CLOSE_MAX_MS, "ms");
    sheet.told("told after, median", format_args!("{median_ms:.2} ms"));
    sheet.none("closed without a kill", unexplained as u64);
    let beyond = closed.len().saturating_sub(kills.len());
    sheet.none("closed beyond one for each kill", beyond as u64);
    let others = troubles.resets + troubles.refused + troubles.timeouts + troubles.failed;
    sheet.none("reset, refused or hanging", others);
    sheet.none("replies with wrong bytes", troubles.corrupt);
    sheet.at_most("longest wait of those served", report.latency_us(1.0) / 1e3, WAIT_MAX_MS, "ms");
    sheet.told("requests served", report.completed);
    let ended = end(server, sheet)?;
    let books = ended.books()?;
    check_counted(sheet, &books, closed.len());
    Ok(())
}

/// Kills a worker at each step and waits one more; answers when each was killed.
pub(super) fn kill_workers(server: &TestServer, wanted: usize) -> TestResult<Vec<Instant>> {
    let mut random = Random::from_environment("soak")?;
    let mut kills = Vec::new();
    let mut next = Instant::now() + KILL_EVERY;
    for _ in 0..wanted {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += KILL_EVERY;
        if let Some(worker) = random.pick(&server.workers()) {
            let just_before = Instant::now();
            if worker.kill() {
                kills.push(just_before);
            }
        }
    }
    std::thread::sleep(KILL_EVERY);
    Ok(kills)
}

/// From the last kill before it to each of these ends; nothing for one before all kills.
pub(super) fn delays_ms(ends: &[Instant], kills: &[Instant]) -> Vec<f64> {
    let delay_ms = |at: &Instant| {
        let kill = kills.iter().rev().find(|kill| *kill <= at)?;
        Some(at.duration_since(*kill).as_secs_f64() * 1e3)
    };
    ends.iter().filter_map(delay_ms).collect()
}

/// The books count those ends that clients have seen.
pub(super) fn check_counted(sheet: &mut Sheet<'_>, books: &Books, seen: usize) {
    let counted = books.detail("closed_worker_died");
    let told = format!("{counted} in the books, {seen} seen");
    sheet.check("closed by a death", told, "equal".to_owned(), counted == seen as u64);
}
