//! Workers killed all the time, under `redeliver`: nobody notices, and the throughput holds.

use std::time::{Duration, Instant};

use ostler_testkit::{Random, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{REDELIVER, Stage, end, endless, judge_longest_wait, judge_undisturbed, kit};
use crate::load::{LoadReport, LoadThread};

pub(crate) const KILL_EVERY: Duration = Duration::from_millis(100);
const CONNECTIONS: u32 = 64;
/// Of the throughput of undisturbed slices of the same run.
const SHARE_LEAST: f64 = 0.6;
/// Decision 22.
const WAIT_MAX_MS: f64 = 500.0;

pub(super) fn echo(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    run(stage, sheet, "echo")
}

pub(super) fn two_ms(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    run(stage, sheet, "sleep_ms:2")
}

/// Slices with and without kills take turns, so that both see the same machine.
fn run(stage: &Stage, sheet: &mut Sheet<'_>, handler: &str) -> TestResult {
    let (slices, length) = stage.pick((6, Duration::from_secs(10)), (2, Duration::from_secs(1)));
    let server = stage.victim().handler(handler).set("crash_policy", REDELIVER).start()?;
    let mut random = Random::from_environment("soak")?;
    let (mut calm, _) = slice(&server, length, None)?;
    let (mut killed, mut kills) = slice(&server, length, Some(&mut random))?;
    for _ in 1..slices {
        calm.absorb(slice(&server, length, None)?.0).map_err(kit)?;
        let (report, more) = slice(&server, length, Some(&mut random))?;
        killed.absorb(report).map_err(kit)?;
        kills += more;
        sheet.say(format_args!(
            "  {kills} kills; {:.0} requests/s undisturbed, {:.0} with kills",
            calm.requests_per_s(),
            killed.requests_per_s()
        ));
    }
    let kills_least = (killed.elapsed.as_secs_f64() / KILL_EVERY.as_secs_f64() * 0.8) as u64;
    let (calm_per_s, per_s) = (calm.requests_per_s(), killed.requests_per_s());
    sheet.at_least("workers killed", kills, kills_least);
    sheet.told("requests meanwhile", killed.completed);
    judge_undisturbed(sheet, &killed);
    sheet.none("troubles in undisturbed slices", u64::from(!calm.troubles.is_clean()));
    sheet.told("requests/s undisturbed", format_args!("{calm_per_s:.0}"));
    sheet.told("requests/s with kills", format_args!("{per_s:.0}"));
    sheet.share_at_least("throughput kept", per_s / calm_per_s, SHARE_LEAST);
    judge_longest_wait(sheet, &killed, &calm, WAIT_MAX_MS);
    let ended = end(server, sheet)?;
    let unborn = ended.log().lines_with("ended before it served").len();
    sheet.told("of the killed, before they had served", unborn);
    sheet.told("packages delivered again", ended.books()?.detail("redelivered"));
    Ok(())
}

/// One slice: the load, and how many workers were killed. The look at the processes is taken in
/// both kinds: it costs time that the server would have.
fn slice(
    server: &TestServer,
    length: Duration,
    mut random: Option<&mut Random>,
) -> TestResult<(LoadReport, u64)> {
    let load = LoadThread::spawn(endless(server, CONNECTIONS)).map_err(kit)?;
    let begun = Instant::now();
    let mut next = begun + KILL_EVERY;
    let mut kills = 0;
    while next < begun + length {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += KILL_EVERY;
        let workers = server.workers();
        if let Some(worker) = random.as_deref_mut().and_then(|random| random.pick(&workers)) {
            kills += u64::from(worker.kill());
        }
    }
    std::thread::sleep((begun + length).saturating_duration_since(Instant::now()));
    Ok((load.stop().map_err(kit)?, kills))
}
