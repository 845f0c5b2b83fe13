//! One measurement: a fresh server, a warm-up, a load, and what it cost.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use crate::load::{
    LoadOptions, LoadReport, Mode, Observer, Progress, Troubles, read_long_replies, run,
};
use crate::process::{CpuMeter, Peer, Server, machine_busy, pin_current_thread};
use crate::{Error, Result};

/// A server gets this long to end after SIGTERM.
const STOP_GRACE_MS: u64 = 5_000;
const REPLY_TIMEOUT_MS: u64 = 10_000;

/// Where server and client run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Wherever the scheduler puts them.
    Free,
    /// The whole server on one CPU, the client on another.
    Pinned {
        /// The server's CPU.
        server_cpu: usize,
        /// The client's CPU.
        client_cpu: usize,
    },
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What makes it another case than those with the same payload and placement.
    pub load: &'static str,
    /// Request and reply length.
    pub size_bytes: usize,
    /// Where server and client run.
    pub placement: Placement,
    /// Connections.
    pub connections: u32,
    /// Requests due per second, over all connections; `None`: as many as are answered.
    pub rate_per_s: Option<f64>,
    /// Requests in flight on each, at most.
    pub depth: u32,
    /// Each request has a connection of its own.
    pub churn: bool,
    /// How a message tells where it ends.
    pub form: Form,
    /// Warm-up before the measurement.
    pub warmup_ms: u64,
    /// Length of the measurement.
    pub duration_ms: u64,
}

/// How a message tells where it ends, to a server that has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It does not.
    Plain,
    /// Four bytes behind the first twelve are its whole length, in little endian.
    StatedLength,
    /// It ends with `ENDING`.
    Ending,
    /// The server answers each request with a message of the size of the case; what is counted is
    /// not requests, but MiB of it.
    LongReply,
}

/// What the messages of [`Form::Ending`] end with.
pub(super) const ENDING: &[u8] = b"\r\n\r\n";

/// The result of one measurement.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Replies that were measured.
    pub requests: u64,
    /// Replies per second.
    pub requests_per_s: f64,
    /// CPU time of the whole server per reply.
    pub cpu_us: f64,
    /// Median latency.
    pub p50_us: f64,
    /// 99th percentile of the latency.
    pub p99_us: f64,
    /// Share of the machine's CPU time that was used by neither server nor client (0 to 1).
    pub others: f64,
    /// What went wrong.
    pub troubles: Troubles,
    /// The server did not end as it should: text for the user.
    pub bad_end: Option<String>,
}

/// Reads the CPU clocks at both ends of the measurement, and every second so that a worker which
/// dies in between is not forgotten.
struct CpuObserver {
    pid: u32,
    clocks: Option<Clocks>,
    error: Option<Error>,
}

struct Clocks {
    server: CpuMeter,
    /// This process and its children: client and server.
    own: CpuMeter,
    started: Instant,
    machine_start_ns: u64,
    /// CPU time that others used, over the machine's capacity.
    others: f64,
}

impl Clocks {
    fn start(pid: u32) -> Result<Self> {
        Ok(Self {
            machine_start_ns: machine_busy()?.busy_ns,
            own: CpuMeter::start(std::process::id())?,
            server: CpuMeter::start(pid)?,
            started: Instant::now(),
            others: 0.0,
        })
    }

    fn sample(&mut self) -> Result<()> {
        self.server.sample()?;
        self.own.sample()?;
        let machine = machine_busy()?;
        let busy_ns = machine.busy_ns.saturating_sub(self.machine_start_ns);
        let others_ns = busy_ns.saturating_sub(self.own.total_ns());
        let capacity_ns = self.started.elapsed().as_nanos() as f64 * machine.cpus as f64;
        self.others = others_ns as f64 / capacity_ns;
        Ok(())
    }
}

impl CpuObserver {
    fn sample(&mut self) {
        if let Some(clocks) = &mut self.clocks
            && let Err(error) = clocks.sample()
        {
            self.error = Some(error);
        }
    }
}

impl Observer for CpuObserver {
    fn begins(&mut self) {
        match Clocks::start(self.pid) {
            Ok(clocks) => self.clocks = Some(clocks),
            Err(error) => self.error = Some(error),
        }
    }

    fn second(&mut self) {
        self.sample();
    }

    fn ends(&mut self) {
        self.sample();
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Free => "free",
            Self::Pinned { .. } => "pinned",
        })
    }
}

/// Starts `peer`, measures, stops it.
pub fn measure(peer: &Peer, bench: &Path, case: &Case) -> Result<Sample> {
    let (server_cpu, client_cpu) = match case.placement {
        Placement::Free => (None, None),
        Placement::Pinned { server_cpu, client_cpu } => (Some(server_cpu), Some(client_cpu)),
    };
    // Started from this thread, which lives on: a server ends with the thread that started it.
    let server = Server::start(peer, bench, server_cpu)?;
    let mut options = LoadOptions {
        connections: case.connections,
        pipeline: case.depth,
        churn: case.churn,
        size_bytes: case.size_bytes,
        duration_ms: case.duration_ms,
        warmup_ms: case.warmup_ms,
        timeout_ms: REPLY_TIMEOUT_MS,
        trust: peer.trust.clone(),
        mode: case.rate_per_s.map_or(Mode::Closed, |rate_per_s| Mode::Open { rate_per_s }),
        ..LoadOptions::new(server.target().clone())
    };
    match case.form {
        Form::Plain => {}
        // The salt has those bytes of the header, and nobody else uses this server.
        Form::StatedLength => options.salt = case.size_bytes as u32,
        Form::Ending => options.ending = ENDING,
        Form::LongReply => {}
    }
    let run = if case.form == Form::LongReply { read_long_replies } else { run_echo };
    let pid = server.pid();
    let client =
        std::thread::scope(|scope| scope.spawn(|| load(run, &options, pid, client_cpu)).join());
    let (report, clocks) = match client {
        Ok(result) => result?,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    let end = server.stop(STOP_GRACE_MS)?;
    let bad_end = (end.forced || end.survivors > 0).then(|| {
        format!("{}: killed after SIGTERM: {}, survivors: {}", peer.name, end.forced, end.survivors)
    });
    Ok(Sample {
        requests: report.completed,
        requests_per_s: report.requests_per_s(),
        cpu_us: clocks.server.total_ns() as f64 / 1_000.0 / report.completed.max(1) as f64,
        p50_us: report.latency_us(0.5),
        p99_us: report.latency_us(0.99),
        others: clocks.others,
        troubles: report.troubles,
        bad_end,
    })
}

type Run = fn(&LoadOptions, &mut dyn Observer) -> Result<LoadReport>;

fn run_echo(options: &LoadOptions, observer: &mut dyn Observer) -> Result<LoadReport> {
    run(options, &Progress::default(), observer)
}

fn load(
    run: Run,
    options: &LoadOptions,
    pid: u32,
    cpu: Option<usize>,
) -> Result<(LoadReport, Clocks)> {
    if let Some(cpu) = cpu {
        pin_current_thread(cpu)?;
    }
    let mut observer = CpuObserver { pid, clocks: None, error: None };
    let report = run(options, &mut observer)?;
    match (observer.error, observer.clocks) {
        (Some(error), _) => Err(error),
        (None, Some(clocks)) => Ok((report, clocks)),
        (None, None) => Err(Error::usage("the measurement did not begin")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A case of this kind, without a length that anybody measures.
    pub(in crate::table) fn case(load: &'static str, size_bytes: usize) -> Case {
        Case {
            load,
            size_bytes,
            placement: Placement::Free,
            connections: 1,
            rate_per_s: None,
            depth: 1,
            churn: false,
            form: Form::Plain,
            warmup_ms: 0,
            duration_ms: 1,
        }
    }
}
