//! A flood of handshakes of TLS: what those wait whose sessions have begun.
//!
//! Whoever floods is on the same machine, and a handshake costs him as much as the server. So the
//! same flood is sent to another server first: what sessions wait then is for want of processors,
//! and what they wait beyond it is the server's doing.

use std::time::Duration;

use ostler_testkit::{TestError, TestResult, TestServer};

use super::sheet::Sheet;
use super::stage::{Stage, end, judge_undisturbed, kit};
use crate::identity::SelfSigned;
use crate::load::{LoadOptions, LoadReport, LoadThread, Mode, Target};

/// What is promised to sessions that have begun, at the 99th percentile.
const DELAY_MAX_MS: f64 = 5.0;
/// Sessions that have begun, and what they ask together.
const SESSIONS: u32 = 16;
const RATE_PER_S: f64 = 1_000.0;
/// Clients that connect anew for each request, as fast as they can.
const FLOODING: u32 = 32;

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let length = stage.pick(Duration::from_secs(20), Duration::from_secs(2));
    let certificate = SelfSigned::make().map_err(kit)?;
    let (server, other) = (start(stage, &certificate)?, start(stage, &certificate)?);
    let (here, elsewhere) = (target(&server)?, target(&other)?);
    let asked = |flood: Option<&Target>| ask(&here, flood, &certificate, length);
    let (calm, _) = asked(None)?;
    let (starved, made_elsewhere) = asked(Some(&elsewhere))?;
    let (flooded, made) = asked(Some(&here))?;

    let p99_ms = |report: &LoadReport| report.latency_us(0.99) / 1e3;
    sheet.told("p99 without a flood", format_args!("{:.2} ms", p99_ms(&calm)));
    sheet.told("handshakes at another server", format_args!("{made_elsewhere:.0}/s"));
    sheet.told("p99 meanwhile", format_args!("{:.2} ms", p99_ms(&starved)));
    sheet.told("handshakes at this server", format_args!("{made:.0}/s"));
    sheet.told("p99 meanwhile", format_args!("{:.2} ms", p99_ms(&flooded)));
    let delay_ms = p99_ms(&flooded) - p99_ms(&calm);
    sheet.at_most("delay by a flood, p99", delay_ms, DELAY_MAX_MS, "ms");
    for report in [&calm, &starved, &flooded] {
        judge_undisturbed(sheet, report);
    }
    end(other, sheet)?;
    end(server, sheet).map(drop)
}

/// Without tickets: a session that is taken up again costs a third.
fn start(stage: &Stage, certificate: &SelfSigned) -> TestResult<TestServer> {
    let identity = certificate.identity();
    let (file, key) = (identity.certificate.display(), identity.key.display());
    let files = format!("tls_certificate={file},tls_key={key}");
    let port = format!("tls=tls://127.0.0.1:0,{files},tls_tickets=false");
    stage.echo().set("reactors", 1).args(["--port", &port]).start()
}

fn target(server: &TestServer) -> TestResult<Target> {
    server.port_url("tls")?.parse().map_err(kit)
}

/// Asks for so long while others flood; answers what was seen, and the handshakes of the flood in a
/// second.
fn ask(
    here: &Target,
    flood: Option<&Target>,
    certificate: &SelfSigned,
    length: Duration,
) -> TestResult<(LoadReport, f64)> {
    let trusting = |target: &Target| LoadOptions {
        trust: Some(certificate.identity().certificate.clone()),
        ..LoadOptions::new(target.clone())
    };
    let flood = flood.map(|target| {
        let (churn, connections, duration_ms) = (true, FLOODING, 3_600_000);
        LoadThread::spawn(LoadOptions { churn, connections, duration_ms, ..trusting(target) })
    });
    let flood = flood.transpose().map_err(kit)?;
    let asking = LoadOptions {
        connections: SESSIONS,
        mode: Mode::Open { rate_per_s: RATE_PER_S },
        warmup_ms: 500,
        duration_ms: length.as_millis() as u64,
        ..trusting(here)
    };
    let report = LoadThread::spawn(asking).and_then(LoadThread::join).map_err(kit)?;
    let Some(flood) = flood else { return Ok((report, 0.0)) };
    let flood = flood.stop().map_err(kit)?;
    if !flood.troubles.is_clean() {
        return Err(TestError::new(format!("the flood was not served: {}", flood.troubles)));
    }
    Ok((report, flood.requests_per_s()))
}
