//! Workers killed all the time, under `redeliver`: nobody notices, and the throughput holds.

use std::time::{Duration, Instant};

use ostler_testkit::{Random, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{REDELIVER, Stage, end, endless, judge_undisturbed, kit};
use crate::load::LoadThread;

pub(crate) const KILL_EVERY: Duration = Duration::from_millis(100);
const CONNECTIONS: u32 = 64;
/// Of the throughput of undisturbed slices of the same run.
const SHARE_LEAST: f64 = 0.6;
/// The longest that a request may wait.
const WAIT_MAX_MS: f64 = 500.0;

pub(super) fn echo(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    run(stage, sheet, "echo")
}

pub(super) fn two_ms(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    run(stage, sheet, "sleep_ms:2")
}

/// What happened in the slices of one kind.
#[derive(Default)]
struct Slices {
    requests: u64,
    seconds: f64,
    kills: u64,
}

impl Slices {
    fn per_s(&self) -> f64 {
        self.requests as f64 / self.seconds.max(1e-9)
    }
}

/// Slices with and without kills take turns, so that both see the same machine.
fn run(stage: &Stage, sheet: &mut Sheet<'_>, handler: &str) -> TestResult {
    let (slices, slice) = stage.pick((6, Duration::from_secs(10)), (2, Duration::from_secs(1)));
    let server = stage
        .echo()
        .handler(handler)
        .set("crash_policy", REDELIVER)
        .expect_log("worker died")
        .expect_log("workers die often")
        .start()?;
    let load = LoadThread::spawn(endless(&server, CONNECTIONS)).map_err(kit)?;
    let mut random = Random::from_environment("soak")?;
    // The first moments are not the server's usual pace.
    std::thread::sleep(slice / 10);
    let (mut calm, mut killed) = (Slices::default(), Slices::default());
    for _ in 0..slices {
        one_slice(&mut calm, slice, &server, &load, None)?;
        one_slice(&mut killed, slice, &server, &load, Some(&mut random))?;
        sheet.say(format_args!(
            "  {} kills; {:.0} requests/s undisturbed, {:.0} with kills",
            killed.kills,
            calm.per_s(),
            killed.per_s()
        ));
    }
    let report = load.stop().map_err(kit)?;
    let kills_least = (killed.seconds / KILL_EVERY.as_secs_f64() * 0.8) as u64;
    sheet.at_least("workers killed", killed.kills, kills_least);
    sheet.told("requests", report.completed);
    judge_undisturbed(sheet, &report);
    sheet.told("requests/s undisturbed", format_args!("{:.0}", calm.per_s()));
    sheet.told("requests/s with kills", format_args!("{:.0}", killed.per_s()));
    sheet.share_at_least("throughput kept", killed.per_s() / calm.per_s(), SHARE_LEAST);
    sheet.at_most("longest wait of a request", report.latency_us(1.0) / 1e3, WAIT_MAX_MS, "ms");
    let ended = end(server, sheet)?;
    sheet.told("packages delivered again", ended.books()?.detail("redelivered"));
    Ok(())
}

/// One slice. The look at the processes is taken in both kinds: it costs time that the server would have.
fn one_slice(
    slices: &mut Slices,
    length: Duration,
    server: &TestServer,
    load: &LoadThread,
    mut random: Option<&mut Random>,
) -> TestResult {
    let (begun, before) = (Instant::now(), load.progress().completed());
    let mut next = begun + KILL_EVERY;
    while next < begun + length {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += KILL_EVERY;
        let workers = server.workers();
        if let Some(worker) = random.as_deref_mut().and_then(|random| random.pick(&workers)) {
            slices.kills += u64::from(worker.kill());
        }
    }
    std::thread::sleep((begun + length).saturating_duration_since(Instant::now()));
    slices.requests += load.progress().completed() - before;
    slices.seconds += begun.elapsed().as_secs_f64();
    Ok(())
}
