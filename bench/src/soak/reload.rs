//! Reloads under load: nobody notices.

use std::time::{Duration, Instant};

use ostler_testkit::{Signal, TestError, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{
    Stage, WORKERS, end, endless, judge_longest_wait, judge_undisturbed, kit, undisturbed,
};
use crate::load::LoadThread;

const CONNECTIONS: u32 = 64;
/// Decision 22.
const WAIT_MAX_MS: f64 = 200.0;
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
