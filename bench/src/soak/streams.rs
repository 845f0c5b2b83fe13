//! Two hundred clients read long messages, each at a speed of its own: the fast ones are as fast as
//! they were alone, and memory stays bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ostler_testkit::{TestResult, TestServer};

use super::clients::Threads;
use super::memory::{Memory, heap_limit_mib, mib};
use super::sheet::Sheet;
use super::stage::{Stage, end, kit};
use crate::load::StreamClient;

const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// Clients that read as fast as they can. They keep the machine busy.
const FAST: usize = 2;
/// The slow ones read so many bytes per second, the first the fewest: together some 20 MB.
const SLOWEST_PER_S: f64 = 2_000.0;
const FASTEST_PER_S: f64 = 200_000.0;
const SHARE_LEAST: f64 = 0.9;
/// No byte for so long, and a client counts as interrupted.
const PATIENCE: Duration = Duration::from_secs(30);

/// What clients read, and how many could not.
#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    interrupted: AtomicU64,
}

/// Starts a client that asks for one message after the other until it is told to stop.
fn start(
    threads: &mut Threads,
    server: &TestServer,
    rate_per_s: Option<f64>,
    seen: &Arc<Seen>,
) -> TestResult {
    let mut client = StreamClient::connect(server.address(), rate_per_s, PATIENCE).map_err(kit)?;
    let seen = Arc::clone(seen);
    threads.spawn("stream", move |stop| {
        loop {
            let asked = client.ask(MESSAGE_BYTES, |some| {
                seen.bytes.fetch_add(some as u64, Ordering::Relaxed);
                !stop.load(Ordering::Relaxed)
            });
            match asked {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    eprintln!("soak: a reader: {error}");
                    seen.interrupted.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    })
}

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (slow, time) = stage.pick((198, Duration::from_secs(15)), (50, Duration::from_secs(3)));
    let server =
        stage.echo().handler(&format!("stream:{MESSAGE_BYTES}")).set("harden", "off").start()?;
    let master = server.master();
    let (fast_seen, slow_seen) = (Arc::<Seen>::default(), Arc::<Seen>::default());
    let mut fast_threads = Threads::default();
    for _ in 0..FAST {
        start(&mut fast_threads, &server, None, &fast_seen)?;
    }
    std::thread::sleep(time / 5);
    let base = Memory::of(&master)?;
    let (alone, _) = rate_during(&fast_seen, time, &master)?;

    let mut slow_threads = Threads::default();
    for number in 0..slow {
        let share = number as f64 / slow as f64;
        let rate_per_s = SLOWEST_PER_S + (FASTEST_PER_S - SLOWEST_PER_S) * share;
        start(&mut slow_threads, &server, Some(rate_per_s), &slow_seen)?;
    }
    // First the kernel's buffers of the slow ones fill up.
    std::thread::sleep(time / 2);
    let (beside, most) = rate_during(&fast_seen, time, &master)?;
    slow_threads.join();
    fast_threads.join();

    let growth = most.anonymous_bytes.saturating_sub(base.anonymous_bytes);
    sheet.told("clients that read slowly", slow);
    sheet.told("read by them", format_args!("{:.0} MiB", mib(load(&slow_seen.bytes))));
    sheet.at_most("master heap beyond its base", mib(growth), heap_limit_mib(slow), "MiB");
    sheet.none("slow clients interrupted", load(&slow_seen.interrupted));
    sheet.none("fast clients interrupted", load(&fast_seen.interrupted));
    sheet.told("MiB/s of the fast ones alone", format_args!("{:.0}", alone / 1_048_576.0));
    sheet.told("MiB/s beside the slow ones", format_args!("{:.0}", beside / 1_048_576.0));
    sheet.share_at_least("throughput kept", beside / alone, SHARE_LEAST);
    end(server, sheet).map(drop)
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Bytes per second in this time, and the most memory meanwhile.
fn rate_during(
    seen: &Seen,
    time: Duration,
    master: &ostler_testkit::Process,
) -> TestResult<(f64, Memory)> {
    let (begun, before) = (Instant::now(), load(&seen.bytes));
    let most = Memory::most_during(master, time)?;
    let bytes = load(&seen.bytes) - before;
    Ok((bytes as f64 / begun.elapsed().as_secs_f64(), most))
}
