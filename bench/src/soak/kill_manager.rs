//! The manager killed under load, and its workers with it: the spare takes over, nobody notices.

use std::time::{Duration, Instant};

use ostler_testkit::{TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{
    REDELIVER, Stage, end, endless, judge_longest_wait, judge_undisturbed, kit, undisturbed,
};
use crate::load::LoadThread;

const CONNECTIONS: u32 = 64;
const KILL_EVERY: Duration = Duration::from_secs(2);
/// All workers die at once; until four new ones are ready nobody is served.
const WAIT_MAX_MS: f64 = 1_000.0;

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let kills_wanted = stage.pick(10, 2);
    let server = stage.victim().set("crash_policy", REDELIVER).start()?;
    let calm = undisturbed(endless(&server, CONNECTIONS), KILL_EVERY)?;
    let load = LoadThread::spawn(endless(&server, CONNECTIONS)).map_err(kit)?;
    let kills = kill_managers(&server, kills_wanted);
    std::thread::sleep(KILL_EVERY / 2);
    let report = load.stop().map_err(kit)?;
    sheet.at_least("managers killed", kills, kills_wanted);
    sheet.told("requests", report.completed);
    judge_undisturbed(sheet, &report);
    judge_longest_wait(sheet, &report, &calm, WAIT_MAX_MS);
    // A spare that is just being made is killed by the shutdown otherwise, which the log tells as a
    // warning.
    server.spare();
    end(server, sheet).map(drop)
}

/// Kills so many managers, one after the other; how many it were.
pub(super) fn kill_managers(server: &TestServer, wanted: u64) -> u64 {
    let mut kills = 0;
    let mut next = Instant::now() + KILL_EVERY / 2;
    for _ in 0..wanted {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        // Two managers lost within a second end the server (exit code 5): never sooner than that.
        server.spare();
        next = Instant::now() + KILL_EVERY;
        kills += u64::from(server.manager().kill());
    }
    kills
}
