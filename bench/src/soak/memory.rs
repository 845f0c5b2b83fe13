//! The master's memory: what it owns alone, beside what it shares with workers.

use std::fs;
use std::time::{Duration, Instant};

use ostler_testkit::{DEADLINE, Process, TestError, TestResult};

const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Proportional set sizes in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Everything.
    pub(super) total_bytes: u64,
    /// Private heap, stacks and data: where queues lie. Lanes and board are shared memory and not
    /// in it.
    pub(super) anonymous_bytes: u64,
}

impl Memory {
    /// Reads both. Servers measured here run with `harden=off`, else only root may look.
    pub(super) fn of(process: &Process) -> TestResult<Self> {
        let path = format!("/proc/{}/smaps_rollup", process.pid());
        let text = fs::read_to_string(&path)
            .map_err(|error| TestError::new(format!("cannot read {path}: {error}")))?;
        let number = |label: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'));
            let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
            kib.map(|kib| kib * 1024)
                .ok_or_else(|| TestError::new(format!("{path} has no {label} line")))
        };
        Ok(Self { total_bytes: number("Pss")?, anonymous_bytes: number("Pss_Anon")? })
    }

    /// Waits until the figure stands still, and returns it.
    pub(super) fn settled(process: &Process) -> TestResult<Self> {
        let limit = Instant::now() + DEADLINE;
        let mut last = Self::of(process)?;
        let mut still = 0;
        while Instant::now() < limit {
            std::thread::sleep(SAMPLE_EVERY);
            let now = Self::of(process)?;
            still = if now.total_bytes == last.total_bytes { still + 1 } else { 0 };
            last = now;
            if still == 3 {
                return Ok(now);
            }
        }
        Err(TestError::timeout(format!("the memory of {process} does not settle")))
    }

    /// The greater of each.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            total_bytes: self.total_bytes.max(other.total_bytes),
            anonymous_bytes: self.anonymous_bytes.max(other.anonymous_bytes),
        }
    }

    /// The most of each, seen during `time`.
    pub(super) fn most_during(process: &Process, time: Duration) -> TestResult<Self> {
        let end = Instant::now() + time;
        let mut most = Self::default();
        while Instant::now() < end {
            most = most.max(Self::of(process)?);
            std::thread::sleep(SAMPLE_EVERY.min(end.saturating_duration_since(Instant::now())));
        }
        Ok(most)
    }
}

/// The default `memory_budget`, which bounds what connections queue.
const BUDGET_MIB: f64 = 64.0;
/// What a connection costs besides: the limit for an idle one (decision 21).
pub(super) const CONNECTION_BYTES: u64 = 768;
/// What the allocator keeps beside what it was asked for.
const ALLOCATOR_MIB: f64 = 2.0;

/// The most that the master's heap may grow when `connections` come and queue what they like.
pub(super) fn heap_limit_mib(connections: usize) -> f64 {
    BUDGET_MIB + mib(connections as u64 * CONNECTION_BYTES) + ALLOCATOR_MIB
}

/// Bytes as MiB, for people.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
