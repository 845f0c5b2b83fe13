//! A thousand clients that ask for big replies and never read: memory stays bounded, the others are
//! served.

use std::time::{Duration, Instant};

use ostler_testkit::TestResult;

use super::clients::{Deaf, Readers};
use super::memory::{Memory, heap_limit_mib, mib};
use super::sheet::Sheet;
use super::stage::{Stage, end};

const REPLY_BYTES: usize = 64 * 1024;
const REQUEST: &[u8] = b"a request that asks for a big reply";
const READERS: usize = 64;
const FILLING: Duration = Duration::from_secs(6);
/// The deaf ask twenty times a second each, and every time a worker has to make a reply that nobody
/// reads: the others cannot keep all of their throughput on a machine whose two CPUs run the
/// clients too.
const SHARE_LEAST: f64 = 0.3;

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (deaf_count, time) =
        stage.pick((1_000, Duration::from_secs(20)), (300, Duration::from_secs(2)));
    let server =
        stage.echo().handler(&format!("big_reply:{REPLY_BYTES}")).set("harden", "off").start()?;
    let master = server.master();
    let reply: Vec<u8> = (0..REPLY_BYTES).map(|index| (index % 251) as u8).collect();
    let readers = Readers::start(server.address(), READERS, REQUEST, reply)?;
    std::thread::sleep(time / 10);
    let calm = rate_during(&readers, || {
        std::thread::sleep(time / 4);
        Ok(())
    })?;
    let base = Memory::of(&master)?;

    let deaf = Deaf::start(server.address(), deaf_count, Some(REQUEST))?;
    deaf.wait_open(deaf_count as u64 * 9 / 10)?;
    // First the kernel's buffers of the deaf fill up, at the price of copying hundreds of
    // megabytes.
    let mut most = Memory::most_during(&master, time.max(FILLING) / 2)?;
    let disturbed = rate_during(&readers, || {
        most = most.max(Memory::most_during(&master, time / 2)?);
        Ok(())
    })?;
    let (asked, closed) = (deaf.sent(), deaf.closed());
    deaf.stop();
    let counts = readers.stop();

    sheet.told("clients that never read", deaf_count);
    sheet.told("big replies they asked for", asked);
    sheet.told("times one was closed", closed);
    let growth = most.anonymous_bytes.saturating_sub(base.anonymous_bytes);
    sheet.at_most("master heap beyond its base", mib(growth), heap_limit_mib(deaf_count), "MiB");
    sheet.told("master Pss, most", format_args!("{:.1} MiB", mib(most.total_bytes)));
    sheet.none("ordinary clients interrupted", counts.interrupted);
    sheet.none("ordinary replies with wrong bytes", counts.wrong);
    sheet.told("ordinary replies/s undisturbed", format_args!("{calm:.0}"));
    sheet.told("ordinary replies/s beside them", format_args!("{disturbed:.0}"));
    sheet.share_at_least("throughput kept", disturbed / calm, SHARE_LEAST);
    sheet.told("ordinary replies", counts.completed);
    let ended = end(server, sheet)?;
    let books = ended.books()?;
    sheet.told("closed for the memory budget", books.detail("closed_memory_budget"));
    sheet.told("closed as slow readers", books.detail("closed_slow_reader"));
    Ok(())
}

fn rate_during(readers: &Readers, body: impl FnOnce() -> TestResult) -> TestResult<f64> {
    let (begun, before) = (Instant::now(), readers.completed());
    body()?;
    Ok((readers.completed() - before) as f64 / begun.elapsed().as_secs_f64())
}
