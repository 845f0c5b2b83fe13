//! What a load run found.

use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::checker::Fault;
use crate::{Error, Result};

/// Latencies above this are recorded as this.
const LATENCY_LIMIT_NS: u64 = 600_000_000_000;
/// Interruptions and faults are counted without end but kept one by one only up to here.
const KEPT_INTERRUPTIONS: usize = 10_000;
const KEPT_FAULTS: usize = 16;

/// How a connection came to its end before the client wanted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterruptionKind {
    /// The server reset it.
    Reset,
    /// The server closed it.
    EarlyEnd,
    /// The server did not take it.
    Refused,
    /// Connecting, or the oldest reply, took longer than the timeout.
    Timeout,
    /// The client gave it up because of a [`Fault`].
    Corrupt,
    /// Any other socket error.
    Failed,
}

/// A connection that ended before the client wanted it.
#[derive(Debug, Clone, Copy)]
pub struct Interruption {
    /// When the client saw it.
    pub at: Instant,
    /// Connection number; it stays the same over reconnects.
    pub connection: u32,
    /// How.
    pub kind: InterruptionKind,
    /// Requests that were begun and will never be answered.
    pub lost_requests: u64,
}

/// Everything that went wrong, from the first connect to the last byte, warm-up included.
#[derive(Debug, Clone, Default)]
pub struct Troubles {
    /// Connections reset by the server.
    pub resets: u64,
    /// Connections closed by the server.
    pub early_ends: u64,
    /// Connects refused.
    pub refused: u64,
    /// Connections given up at the timeout.
    pub timeouts: u64,
    /// Other socket errors.
    pub failed: u64,
    /// Reply streams that differed from what was sent.
    pub corrupt: u64,
    /// Requests begun on a connection that then ended.
    pub lost_requests: u64,
    /// Requests that were due (open loop) but could never be begun.
    pub unsent_requests: u64,
    /// The interruptions, the first ten thousand of them.
    pub interruptions: Vec<Interruption>,
    /// The first sixteen faults.
    pub faults: Vec<Fault>,
}

impl Troubles {
    /// Whether nothing at all went wrong.
    pub fn is_clean(&self) -> bool {
        self.interruptions.is_empty() && self.corrupt == 0 && self.unsent_requests == 0
    }

    fn absorb(&mut self, other: Self) {
        self.resets += other.resets;
        self.early_ends += other.early_ends;
        self.refused += other.refused;
        self.timeouts += other.timeouts;
        self.failed += other.failed;
        self.corrupt += other.corrupt;
        self.lost_requests += other.lost_requests;
        self.unsent_requests += other.unsent_requests;
        self.interruptions.extend(other.interruptions);
        self.interruptions.truncate(KEPT_INTERRUPTIONS);
        self.faults.extend(other.faults);
        self.faults.truncate(KEPT_FAULTS);
    }

    pub(super) fn interrupted(&mut self, interruption: Interruption) {
        *match interruption.kind {
            InterruptionKind::Reset => &mut self.resets,
            InterruptionKind::EarlyEnd => &mut self.early_ends,
            InterruptionKind::Refused => &mut self.refused,
            InterruptionKind::Timeout => &mut self.timeouts,
            InterruptionKind::Corrupt => &mut self.corrupt,
            InterruptionKind::Failed => &mut self.failed,
        } += 1;
        self.lost_requests += interruption.lost_requests;
        if self.interruptions.len() < KEPT_INTERRUPTIONS {
            self.interruptions.push(interruption);
        }
    }

    pub(super) fn faulty(&mut self, fault: Fault) {
        if self.faults.len() < KEPT_FAULTS {
            self.faults.push(fault);
        }
    }
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("resets", self.resets),
            ("early ends", self.early_ends),
            ("refused", self.refused),
            ("timeouts", self.timeouts),
            ("other errors", self.failed),
            ("corrupt streams", self.corrupt),
            ("lost requests", self.lost_requests),
            ("unsent requests", self.unsent_requests),
        ];
        let mut separator = "";
        for (name, count) in counts {
            write!(f, "{separator}{name} {count}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The result of a load run. Counts and latencies are those of the measurement, [`Troubles`] those
/// of the whole run.
#[derive(Debug, Clone)]
pub struct LoadReport {
    /// Start of the measurement.
    pub started: Instant,
    /// From the start of the measurement to its last reply (or to giving up).
    pub elapsed: Duration,
    /// Requests begun.
    pub begun: u64,
    /// Replies complete and right.
    pub completed: u64,
    /// Latencies, in nanoseconds.
    pub latency_ns: Histogram<u64>,
    /// Replies completed in each second of the measurement.
    pub per_second: Vec<u64>,
    /// What went wrong.
    pub troubles: Troubles,
}

impl LoadReport {
    pub(super) fn new() -> Result<Self> {
        let latency_ns = Histogram::new_with_bounds(1, LATENCY_LIMIT_NS, 3)
            .map_err(|error| Error::usage(format!("histogram: {error}")))?;
        Ok(Self {
            started: Instant::now(),
            elapsed: Duration::ZERO,
            begun: 0,
            completed: 0,
            latency_ns,
            per_second: Vec::new(),
            troubles: Troubles::default(),
        })
    }

    /// Begins the measurement anew, keeping the troubles.
    pub(super) fn restart(&mut self, now: Instant) {
        self.started = now;
        self.begun = 0;
        self.completed = 0;
        self.latency_ns.reset();
        self.per_second.clear();
    }

    pub(super) fn complete(&mut self, intended: Instant, now: Instant) {
        self.completed += 1;
        let latency_ns = now.saturating_duration_since(intended).as_nanos();
        self.latency_ns.saturating_record(u64::try_from(latency_ns).unwrap_or(u64::MAX));
        let second = now.saturating_duration_since(self.started).as_secs() as usize;
        if self.per_second.len() <= second {
            self.per_second.resize(second + 1, 0);
        }
        if let Some(count) = self.per_second.get_mut(second) {
            *count += 1;
        }
    }

    /// Adds the counts of another run, as if one had gone on where the other ended.
    pub fn absorb(&mut self, other: Self) -> Result<()> {
        self.elapsed += other.elapsed;
        self.begun += other.begun;
        self.completed += other.completed;
        self.latency_ns
            .add(other.latency_ns)
            .map_err(|error| Error::usage(format!("histogram: {error}")))?;
        self.per_second.extend(other.per_second);
        self.troubles.absorb(other.troubles);
        Ok(())
    }

    /// Completed requests per second.
    pub fn requests_per_s(&self) -> f64 {
        self.completed as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Latency at a quantile between 0 and 1, in microseconds.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency_ns.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "requests   {} begun, {} completed in {:.3} s, {:.0}/s",
            self.begun,
            self.completed,
            self.elapsed.as_secs_f64(),
            self.requests_per_s()
        )?;
        write!(f, "latency us")?;
        let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];
        for (name, quantile) in quantiles {
            write!(f, "  {name} {:.1}", self.latency_us(quantile))?;
        }
        writeln!(f)?;
        let seconds: Vec<String> = self.per_second.iter().map(u64::to_string).collect();
        writeln!(f, "per second {}", seconds.join(" "))?;
        write!(f, "troubles   {}", self.troubles)?;
        for fault in &self.troubles.faults {
            write!(f, "\n  fault: {fault}")?;
        }
        for Interruption { at, connection, kind, lost_requests } in
            self.troubles.interruptions.iter().take(20)
        {
            let at_ms = at.saturating_duration_since(self.started).as_millis();
            write!(f, "\n  {at_ms} ms: connection {connection} {kind:?}, lost {lost_requests}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_count_as_one() {
        let mut first = LoadReport::new().unwrap();
        let (start, second) = (first.started, Duration::from_secs(1));
        first.complete(start, start + second / 2);
        first.elapsed = second;
        let mut other = first.clone();
        other.complete(start, start + second);
        let kind = InterruptionKind::Reset;
        let seen = Interruption { at: start, connection: 1, kind, lost_requests: 2 };
        other.troubles.interrupted(seen);
        first.absorb(other).unwrap();
        assert_eq!((first.completed, first.elapsed, first.latency_ns.len()), (3, 2 * second, 3));
        assert_eq!((first.troubles.resets, first.troubles.lost_requests), (1, 2));
        assert!(!first.troubles.is_clean() && first.latency_us(1.0) >= 1e6);
    }
}
