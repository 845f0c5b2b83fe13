//! Reloads, deploys and kills while all kinds of ports are under load at once: TCP with a length in
//! front, TLS, a unix socket, and datagrams over UDP and a unix socket. Nobody notices, or just
//! those who have to.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use ostler_testkit::{Random, ServerBuilder, TestError, TestResult, TestServer};

use super::deploys::{self, Place};
use super::kill_close::kill_workers;
use super::kill_manager::kill_managers;
use super::kill_master::await_gone;
use super::kill_redeliver::KILL_EVERY;
use super::reload::reload;
use super::sheet::Sheet;
use super::stage::{REDELIVER, Stage, WORKERS, end, judge_undisturbed, kit};
use crate::identity::SelfSigned;
use crate::load::{LoadOptions, LoadReport, LoadThread, Target};

/// On each port.
const CONNECTIONS: u32 = 16;
/// The ports, what the rows of each are called, and how long its messages are: those of TLS are
/// several records.
const PORTS: [(&str, &str, usize); 5] = [
    ("length", "over TCP, length in front", 256),
    ("tls", "over TLS", 40_000),
    ("unix", "over a unix socket", 4_096),
    ("udp", "over UDP", 1_200),
    ("unixgram", "in datagrams over a unix socket", 2_000),
];

/// So many of them, from the first, have connections.
const STREAMS: usize = 3;

/// Files that a server of all ports needs, and that are gone when it is.
struct Files {
    certificate: SelfSigned,
    stream: PathBuf,
    datagrams: PathBuf,
}

impl Files {
    fn make() -> TestResult<Self> {
        let path = |kind: &str| {
            let name = format!("ostler-soak-{}.{kind}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let certificate = SelfSigned::make().map_err(kit)?;
        Ok(Self { certificate, stream: path("stream"), datagrams: path("datagrams") })
    }

    /// This server with all ports besides its own.
    fn with_ports(&self, server: ServerBuilder) -> ServerBuilder {
        let identity = self.certificate.identity();
        let (certificate, key) = (identity.certificate.display(), identity.key.display());
        // The length of a message stands in its header, where the salt of the load is.
        let length = "framing=length,package_length_type=V,package_length_offset=12,\
                      package_body_offset=0";
        let ports = [
            format!("length=tcp://127.0.0.1:0,{length}"),
            format!("tls=tls://127.0.0.1:0,tls_certificate={certificate},tls_key={key}"),
            format!("unix=unix://{}", self.stream.display()),
            "udp=udp://127.0.0.1:0".to_owned(),
            format!("unixgram=unixgram://{}", self.datagrams.display()),
        ];
        server.args(ports.iter().flat_map(|port| ["--port", port]))
    }

    /// One endless load for each port.
    fn loads(&self, server: &TestServer) -> TestResult<Vec<LoadThread>> {
        self.loads_of(server, &PORTS, false)
    }

    /// One for each of these; `reconnect`: clients come back whose connection has ended.
    fn loads_of(
        &self,
        server: &TestServer,
        ports: &[(&str, &str, usize)],
        reconnect: bool,
    ) -> TestResult<Vec<LoadThread>> {
        let load = |(name, _, size_bytes): &(&str, &str, usize)| {
            let url = server.port_url(name)?;
            let target: Target = url.parse().map_err(kit)?;
            LoadThread::spawn(LoadOptions {
                connections: CONNECTIONS,
                size_bytes: *size_bytes,
                duration_ms: 3_600_000,
                salt: *size_bytes as u32,
                reconnect,
                trust: Some(self.certificate.identity().certificate.clone()),
                ..LoadOptions::new(target)
            })
            .map_err(kit)
        };
        ports.iter().map(load).collect()
    }
}

pub(super) fn reloads(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let reloads_least = stage.pick(100, 5);
    let files = Files::make()?;
    let server = files.with_ports(stage.echo()).start()?;
    let loads = files.loads(&server)?;
    let mut stale = 0;
    for _ in 0..reloads_least {
        wait_for_more(&loads)?;
        stale += u64::from(!reload(&server)?);
    }
    sheet.told("reloads", reloads_least);
    sheet.none("reloads that left an old worker serving", stale);
    judge(sheet, loads)?;
    end(server, sheet).map(drop)
}

pub(super) fn kills(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let length = stage.pick(Duration::from_secs(30), Duration::from_secs(2));
    let files = Files::make()?;
    let victim = stage.victim().set("crash_policy", REDELIVER);
    let server = files.with_ports(victim).start()?;
    let loads = files.loads(&server)?;
    wait_for_more(&loads)?;
    let mut random = Random::from_environment("soak")?;
    let begun = Instant::now();
    let (mut next, mut kills) = (begun, 0);
    while next < begun + length {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += KILL_EVERY;
        if let Some(worker) = random.pick(&server.workers()) {
            kills += u64::from(worker.kill());
        }
    }
    let kills_least = (length.as_secs_f64() / KILL_EVERY.as_secs_f64() * 0.8) as u64;
    sheet.at_least("workers killed", kills, kills_least);
    server.wait_for("all workers", |server| server.workers().len() >= WORKERS)?;
    wait_for_more(&loads)?;
    judge(sheet, loads)?;
    end(server, sheet).map(drop)
}

/// All workers die with their manager, and nobody notices.
pub(super) fn managers(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let kills_wanted = stage.pick(10, 2);
    let files = Files::make()?;
    let server = files.with_ports(stage.victim().set("crash_policy", REDELIVER)).start()?;
    let loads = files.loads(&server)?;
    wait_for_more(&loads)?;
    sheet.at_least("managers killed", kill_managers(&server, kills_wanted), kills_wanted);
    wait_for_more(&loads)?;
    judge(sheet, loads)?;
    // As where the manager is killed under the load of one port.
    server.spare();
    end(server, sheet).map(drop)
}

/// Another program for each reload.
pub(super) fn deploys(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let deploys_wanted = stage.pick(40, 4);
    let (files, place) = (Files::make()?, Place::new(stage.instrument())?);
    place.put(&place.version(0))?;
    let server = files.with_ports(stage.deployed(&place.program())).start()?;
    let loads = files.loads(&server)?;
    let mut wrong = 0;
    for number in 1..=deploys_wanted {
        wait_for_more(&loads)?;
        let file = place.put(&place.version(number))?;
        wrong += u64::from(!deploys::reload(&server)? || !deploys::serves(&server, file));
    }
    sheet.told("programs deployed", deploys_wanted);
    sheet.none("deploys after which another program served than should", wrong);
    judge(sheet, loads)?;
    end(server, sheet).map(drop)
}

/// Workers killed under `close`: who was being served over a connection is told, and comes back.
pub(super) fn closes(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let kills_wanted = stage.pick(60, 6);
    let files = Files::make()?;
    let victim = stage.victim().set("crash_policy", "close").handler("sleep_ms:5");
    let server = files.with_ports(victim).start()?;
    let loads = files.loads_of(&server, &PORTS[..STREAMS], true)?;
    let kills = kill_workers(&server, kills_wanted)?;
    sheet.at_least("workers killed", kills.len() as u64, kills_wanted as u64 * 8 / 10);
    wait_for_more(&loads)?;
    let mut seen = 0;
    for ((_, over, _), load) in PORTS.iter().zip(loads) {
        let report = load.stop().map_err(kit)?;
        let troubles = &report.troubles;
        sheet.told(&format!("requests {over}"), report.completed);
        sheet.told("clients told of a death", troubles.early_ends);
        let others = troubles.refused + troubles.timeouts + troubles.failed;
        sheet.none("refused or hanging", others);
        sheet.none("replies with wrong bytes", troubles.corrupt);
        seen += troubles.early_ends + troubles.resets;
    }
    sheet.at_least("clients told of it", seen, kills.len() as u64 / 2);
    let ended = end(server, sheet)?;
    let counted = ended.books()?.detail("closed_worker_died");
    let told = format!("{counted} in the books, {seen} seen");
    sheet.check("closed by a death", told, "equal".to_owned(), counted == seen);
    Ok(())
}

/// The master killed with all ports under load: everything is gone within a second, and whoever
/// comes next finds the paths of the sockets, and takes them over.
pub(super) fn masters(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let rounds = stage.pick(30, 3);
    let files = Files::make()?;
    let mut left = 0;
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        let server = files.with_ports(stage.echo()).start()?;
        let loads = files.loads_of(&server, &PORTS[..STREAMS], false)?;
        wait_for_more(&loads)?;
        let killed = Instant::now();
        server.master().kill();
        left += await_gone(&server, killed, &mut slowest);
        // Their connections have ended with the master.
        loads.into_iter().try_for_each(|load| load.stop().map(drop)).map_err(kit)?;
        server.wait_end()?;
    }
    sheet.told("masters killed under load", rounds);
    sheet.none("processes left after 1 s", left);
    sheet.told("all gone after, longest", format_args!("{} ms", slowest.as_millis()));
    // A last one finds what the killed ones have left, and takes it away at its end.
    let server = files.with_ports(stage.echo()).start()?;
    let loads = files.loads(&server)?;
    wait_for_more(&loads)?;
    judge(sheet, loads)?;
    end(server, sheet).map(drop)
}

/// Waits until every port has answered more than it had.
fn wait_for_more(loads: &[LoadThread]) -> TestResult {
    let completed = |load: &LoadThread| load.progress().completed();
    let before: Vec<u64> = loads.iter().map(completed).collect();
    let limit = Instant::now() + ostler_testkit::DEADLINE;
    while loads.iter().zip(&before).any(|(load, before)| completed(load) < before + 100) {
        if Instant::now() > limit {
            let counts: Vec<u64> = loads.iter().map(completed).collect();
            return Err(TestError::timeout(format!("a port answers no more: {counts:?}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Ends the loads and says for each port what its clients noticed.
fn judge(sheet: &mut Sheet<'_>, loads: Vec<LoadThread>) -> TestResult {
    let reports: Vec<LoadReport> =
        loads.into_iter().map(LoadThread::stop).collect::<crate::Result<_>>().map_err(kit)?;
    for ((_, over, _), report) in PORTS.iter().zip(&reports) {
        sheet.told(&format!("requests {over}"), report.completed);
        judge_undisturbed(sheet, report);
    }
    Ok(())
}
