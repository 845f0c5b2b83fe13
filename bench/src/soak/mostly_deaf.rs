//! Ten thousand connections of which nine thousand never read: the others do not wait for them.

use std::time::Duration;

use ostler_testkit::{Process, TestResult, TestServer};

use super::clients::Deaf;
use super::memory::{Memory, heap_limit_mib, mib};
use super::sheet::Sheet;
use super::stage::{Stage, end, judge_undisturbed, kit};
use crate::load::{LoadOptions, LoadReport, LoadThread, Mode, Target};

/// What the deaf send at every tick for as long as the server takes it, and get back.
const REQUEST: &[u8] = &[b'x'; 2048];
/// Of all connections so many read, and ask at a rate that leaves the machine time.
const READERS: u32 = 1_000;
const RATE_PER_S: f64 = 2_000.0;
/// The 99th percentile beside the deaf, over that without them.
const P99_RATIO_MAX: f64 = 2.0;
/// The buffers of nine thousand connections are full after this, in the kernel and here. The server
/// goes on to take requests then, and drops the answers: there is no end to be waited for.
const FILLING: Duration = Duration::from_secs(20);

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (deaf_count, time) =
        stage.pick((9_000, Duration::from_secs(15)), (500, Duration::from_secs(2)));
    // The kernel's own buffers are no part of the promise; small ones are full sooner.
    let port = "deaf=tcp://127.0.0.1:0,socket_send_buffer=8K,socket_receive_buffer=8K";
    let server = stage.echo().set("harden", "off").args(["--port", port]).start()?;
    let master = server.master();
    measured(&server, &master, time / 5)?;
    let base = Memory::settled(&master)?;
    let (calm, _) = measured(&server, &master, time)?;

    let url: Target = server.port_url("deaf")?.parse().map_err(kit)?;
    let address = url.socket_address().unwrap_or(server.address());
    let deaf = Deaf::start(address, deaf_count, Some(REQUEST))?;
    deaf.wait_open(deaf_count as u64 * 9 / 10)?;
    std::thread::sleep(FILLING);
    deaf.rest();
    let (beside, most) = measured(&server, &master, time)?;
    let (asked, closed) = (deaf.sent(), deaf.closed());
    deaf.stop();

    sheet.told("clients that never read", deaf_count);
    sheet.told("what they asked", asked);
    sheet.told("times one was closed", closed);
    let growth = most.anonymous_bytes.saturating_sub(base.anonymous_bytes);
    sheet.at_most("master heap beyond its base", mib(growth), heap_limit_mib(deaf_count), "MiB");
    judge_undisturbed(sheet, &calm);
    judge_undisturbed(sheet, &beside);
    let p99_ms = |report: &LoadReport| report.latency_us(0.99) / 1e3;
    sheet.told("99th percentile without them", format_args!("{:.2} ms", p99_ms(&calm)));
    sheet.told("99th percentile beside them", format_args!("{:.2} ms", p99_ms(&beside)));
    sheet.at_most("their ratio", p99_ms(&beside) / p99_ms(&calm), P99_RATIO_MAX, "x");
    end(server, sheet).map(drop)
}

/// The readers' load for this time, and the most memory meanwhile.
fn measured(
    server: &TestServer,
    master: &Process,
    time: Duration,
) -> TestResult<(LoadReport, Memory)> {
    let load = LoadThread::spawn(LoadOptions {
        connections: READERS,
        mode: Mode::Open { rate_per_s: RATE_PER_S },
        pipeline: 64,
        duration_ms: 3_600_000,
        ..LoadOptions::new(server.address())
    });
    let load = load.map_err(kit)?;
    let most = Memory::most_during(master, time)?;
    Ok((load.stop().map_err(kit)?, most))
}
