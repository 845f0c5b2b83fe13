//! Ten thousand idle connections: what they cost in memory, and that they cost nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ostler_testkit::{Client, DEADLINE, Process, TestError, TestResult, TestServer};
use rustix::process::{Resource, getrlimit};

use super::memory::{CONNECTION_BYTES, Memory};
use super::sheet::Sheet;
use super::stage::{Stage, end, kit};
use crate::load::{LoadOptions, Progress};

/// Descriptors that client and server need beside those of the connections.
const SPARE_DESCRIPTORS: u64 = 500;
const REQUEST: &[u8] = b"still there?";
/// Nobody may stir for this long before the watch begins: what connecting has stirred up must come
/// to rest.
const REST: Duration = Duration::from_secs(1);

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let wanted = stage.pick(10_000, 2_000);
    let watch = stage.pick(Duration::from_secs(10), Duration::from_secs(1));
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = wanted.min(most.saturating_sub(SPARE_DESCRIPTORS));
    // Small lanes, so that the warm-up has touched every page of them: they are no cost of a
    // connection.
    let server = stage.echo().set("lane_size", "64K").set("harden", "off").start()?;
    warm_up(&server)?;
    let master = server.master();
    let (before, before_descriptors) = (Memory::settled(&master)?, master.fd_count()? as u64);

    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(server.connect()?);
    }
    server.wait_for("all connections in the master", |_| {
        master.fd_count().is_ok_and(|now| now as u64 >= before_descriptors + count)
    })?;
    let after = Memory::settled(&master)?;
    let growth = after.total_bytes.saturating_sub(before.total_bytes) as f64 / count as f64;

    let stirred = stirred_during(&server, watch)?;

    let silent = silent_among(&mut clients);
    let served = Memory::settled(&master)?;
    let growth_served = served.total_bytes.saturating_sub(before.total_bytes) as f64 / count as f64;

    sheet.at_least("idle connections", count, wanted);
    sheet.at_most("master memory for each", growth, CONNECTION_BYTES as f64, "B");
    let seconds = watch.as_secs();
    sheet.none(&format!("wake-ups of all threads in {seconds} s"), stirred.values().sum());
    for (process, count) in &stirred {
        sheet.say(format_args!("  {process} woke up {count} times"));
    }
    sheet.none("connections that do not answer afterwards", silent);
    sheet.told("master memory for each, once served", format_args!("{growth_served:.1} B"));
    drop(clients);
    end(server, sheet).map(drop)
}

/// Touches lanes, buffers and code paths once.
fn warm_up(server: &TestServer) -> TestResult {
    let options = LoadOptions {
        size_bytes: 4096,
        connections: 64,
        duration_ms: 1_000,
        ..LoadOptions::new(server.address())
    };
    let report = crate::load::run(&options, &Progress::default(), &mut ()).map_err(kit)?;
    if report.troubles.is_clean() {
        return Ok(());
    }
    Err(TestError::new(format!("the warm-up went wrong: {report}")))
}

/// How many get no answer to a request. All ask first, and wait together no longer than one alone
/// would.
fn silent_among(clients: &mut [Client]) -> u64 {
    let asked: Vec<bool> = clients.iter_mut().map(|client| client.send(REQUEST).is_ok()).collect();
    let limit = Instant::now() + DEADLINE;
    let answers = |(client, asked): &mut (&mut Client, bool)| {
        let left = limit.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let waits = *asked && client.stream().set_read_timeout(Some(left)).is_ok();
        waits && client.expect(REQUEST).is_ok()
    };
    let mut clients: Vec<_> = clients.iter_mut().zip(asked).collect();
    clients.iter_mut().map(answers).filter(|answered| !answered).count() as u64
}

fn switches(processes: &[Process]) -> TestResult<BTreeMap<String, u64>> {
    processes
        .iter()
        .map(|process| Ok((process.to_string(), process.voluntary_context_switches()?)))
        .collect()
}

/// Waits for rest, then watches: how often the threads of each process that did not sleep through
/// woke up.
fn stirred_during(server: &TestServer, watch: Duration) -> TestResult<BTreeMap<String, u64>> {
    let processes = server.tree().processes();
    let limit = Instant::now() + DEADLINE;
    let mut before = switches(&processes)?;
    loop {
        std::thread::sleep(REST);
        let now = switches(&processes)?;
        // Restless at the limit: then the count says how much.
        if now == before || Instant::now() > limit {
            break;
        }
        before = now;
    }
    let before = switches(&processes)?;
    std::thread::sleep(watch);
    let after = switches(&processes)?;
    Ok(after
        .into_iter()
        .map(|(process, count)| {
            let earlier = before.get(&process).copied().unwrap_or_default();
            (process, count.saturating_sub(earlier))
        })
        .filter(|(_, count)| *count > 0)
        .collect())
}
