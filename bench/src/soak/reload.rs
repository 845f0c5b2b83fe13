//! Reloads under load: nobody notices.

use std::time::{Duration, Instant};

use ostler_testkit::{Random, Signal, TestError, TestResult, TestServer};

use super::kill_redeliver::KILL_EVERY;
use super::sheet::Sheet;
use super::stage::{
    REDELIVER, Stage, WORKERS, end, endless, judge_longest_wait, judge_undisturbed, kit,
    undisturbed,
};
use crate::load::LoadThread;

const CONNECTIONS: u32 = 64;
/// Decision 22.
const WAIT_MAX_MS: f64 = 200.0;
/// The same, when workers are killed.
const KILLED_WAIT_MAX_MS: f64 = 500.0;
const LIMIT: Duration = Duration::from_secs(900);

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (reloads_least, requests_least) = stage.pick((200, 1_000_000), (10, 20_000));
    let server = stage.echo().start()?;
    let calm_time = stage.pick(Duration::from_secs(5), Duration::from_secs(1));
    let calm = undisturbed(endless(&server, CONNECTIONS), calm_time)?;
    let load = LoadThread::spawn(endless(&server, CONNECTIONS)).map_err(kit)?;
    let limit = Instant::now() + LIMIT;
    let (mut reloads, mut stale) = (0, 0);
    let mut slowest = Duration::ZERO;
    while reloads < reloads_least || load.progress().completed() < requests_least {
        if Instant::now() > limit || load.progress().interrupted() > 0 {
            break; // The rows will tell.
        }
        let begun = Instant::now();
        stale += u64::from(!reload(&server)?);
        slowest = slowest.max(begun.elapsed());
        reloads += 1;
        if reloads % 50 == 0 {
            sheet
                .say(format_args!("  {reloads} reloads, {} requests", load.progress().completed()));
        }
    }
    let report = load.stop().map_err(kit)?;
    sheet.at_least("reloads", reloads, reloads_least);
    sheet.at_least("requests meanwhile", report.completed, requests_least);
    sheet.none("reloads that left an old worker serving", stale);
    judge_undisturbed(sheet, &report);
    judge_longest_wait(sheet, &report, &calm, WAIT_MAX_MS);
    sheet.told("slowest reload", format_args!("{} ms", slowest.as_millis()));
    end(server, sheet).map(drop)
}

/// Reloads while a random worker is killed every 100 ms. A kill that hits the first new worker
/// makes its reload one that changes nothing; no client may notice either.
pub(super) fn among_kills(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (reloads_least, kills_least) = stage.pick((200, 500), (5, 10));
    let victim = stage.victim().set("crash_policy", REDELIVER).expect_log("nothing changed");
    let server = victim.expect_log("keep their").expect_log("could not start").start()?;
    let calm_time = stage.pick(Duration::from_secs(5), Duration::from_secs(1));
    let calm = undisturbed(endless(&server, CONNECTIONS), calm_time)?;
    let load = LoadThread::spawn(endless(&server, CONNECTIONS)).map_err(kit)?;
    let mut random = Random::from_environment("soak")?;
    let limit = Instant::now() + LIMIT;
    let (mut reloads, mut done, mut kills) = (0, 0, 0);
    let mut mark = server.log().mark();
    server.signal(Signal::USR1);
    while (reloads < reloads_least || kills < kills_least)
        && Instant::now() < limit
        && load.progress().interrupted() == 0
    {
        std::thread::sleep(KILL_EVERY);
        if let Some(worker) = random.pick(&server.workers()) {
            kills += u64::from(worker.kill());
        }
        let finished = server.log().lines_with("reload finished");
        if finished.len() as u64 > reloads {
            reloads = finished.len() as u64;
            done = finished.iter().filter(|line| line.contains("every worker is new")).count();
            mark = server.log().mark();
            server.signal(Signal::USR1);
        }
    }
    server.log().wait_after(mark, "reload finished")?;
    let report = load.stop().map_err(kit)?;
    sheet.at_least("reloads", reloads, reloads_least);
    sheet.told("of them done, not aborted by a kill", done);
    sheet.at_least("workers killed", kills, kills_least);
    sheet.told("requests meanwhile", report.completed);
    judge_undisturbed(sheet, &report);
    judge_longest_wait(sheet, &report, &calm, KILLED_WAIT_MAX_MS);
    end(server, sheet).map(drop)
}

/// One reload, awaited; whether every worker is another one now.
pub(crate) fn reload(server: &TestServer) -> TestResult<bool> {
    let before = server.workers();
    let mark = server.log().mark();
    server.signal(Signal::USR1);
    let line = server.log().wait_after(mark, "reload finished")?;
    if !line.contains("every worker is new") {
        return Err(TestError::new(format!("a reload failed: {line}")));
    }
    // Those that leave may still be there.
    let renewed = server.workers().iter().filter(|worker| !before.contains(worker)).count();
    Ok(renewed >= WORKERS)
}
