//! Ten thousand idle connections of TLS, each of which has been served: what they cost in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ostler_testkit::{TestError, TestResult};

use super::memory::Memory;
use super::sheet::Sheet;
use super::stage::{Stage, end, judge_undisturbed, kit};
use crate::identity::SelfSigned;
use crate::load::{LoadOptions, LoadThread, Observer, Target};

/// The keys and the state of a session of TLS, and the connection that they belong to.
const CONNECTION_KIB_MAX: f64 = 12.0;
/// All handshakes, and one answer to each, take no longer.
const CONNECT_LIMIT: Duration = Duration::from_secs(120);

/// Says when every connection has been served.
struct Served(Arc<AtomicBool>);

impl Observer for Served {
    fn begins(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let count = stage.pick(10_000, 1_000);
    let certificate = SelfSigned::make().map_err(kit)?;
    let identity = certificate.identity();
    let files = [identity.certificate.display(), identity.key.display()];
    let port = format!("tls=tls://127.0.0.1:0,tls_certificate={},tls_key={}", files[0], files[1]);
    let server = stage
        .echo()
        .set("lane_size", "64K")
        .set("harden", "off")
        .args(["--port", &port])
        .start()?;
    let target: Target = server.port_url("tls")?.parse().map_err(kit)?;
    let options = LoadOptions {
        trust: Some(identity.certificate.clone()),
        timeout_ms: CONNECT_LIMIT.as_millis() as u64,
        ..LoadOptions::new(target)
    };
    // What is touched once is no cost of a connection.
    let few = LoadOptions { requests: Some(1_000), duration_ms: 60_000, ..options.clone() };
    crate::load::run(&few, &crate::load::Progress::default(), &mut ()).map_err(kit)?;
    let master = server.master();
    let before = Memory::settled(&master)?;

    let is_served = Arc::new(AtomicBool::new(false));
    // Each connection is served in the warm-up; then only one of them asks, once.
    let idle = LoadOptions {
        connections: count,
        warmup_ms: 1_000,
        mode: crate::load::Mode::Open { rate_per_s: 0.001 },
        duration_ms: 3_600_000,
        ..options
    };
    let load = LoadThread::spawn_observed(idle, Served(Arc::clone(&is_served))).map_err(kit)?;
    let limit = Instant::now() + 2 * CONNECT_LIMIT;
    while !is_served.load(Ordering::Acquire) {
        if Instant::now() > limit {
            return Err(TestError::timeout(format!("{count} connections are not served")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let after = Memory::settled(&master)?;
    let growth = after.total_bytes.saturating_sub(before.total_bytes) as f64;
    let report = load.stop().map_err(kit)?;
    sheet.told("idle connections of TLS", count);
    let each_kib = growth / f64::from(count) / 1024.0;
    sheet.at_most("master memory for each", each_kib, CONNECTION_KIB_MAX, "KiB");
    judge_undisturbed(sheet, &report);
    end(server, sheet).map(drop)
}
