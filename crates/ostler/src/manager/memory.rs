//! How much memory workers have of their own, and what follows.
//!
//! What counts is what the end of a worker would give back: pages that nobody else has. A forked
//! worker shares with its relatives what it has not written to, so neither its resident size nor
//! its anonymous memory says that. The kernel counts private pages only by walking over all of
//! them, which takes ten milliseconds for each gigabyte. Its sums in `status` cost nothing, and are
//! never below: so they are read at each look, and the pages are counted only of workers whose sums
//! are above a limit, within a budget of time. Where they cannot be counted, what a worker has had
//! from its beginning is taken for shared (decision 45).

use std::collections::HashMap;
use std::fs;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::{Event, LeaveReason};

use super::children::{Child, Children};
use crate::options::Options;
use crate::sys::clock;
use crate::sys::process::{self, ProcessId};

/// Time between two looks: a file of a kilobyte for each worker, some ten microseconds.
const LOOK_MS: Millis = 1_000;
/// Time for counting in one look: whoever is left is counted first in the next.
const COUNTING_MAX_MS: Millis = 10;

/// How much memory a worker may have of its own, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryLimits {
    /// Above it is replaced.
    soft: Option<u64>,
    /// Above it is killed.
    hard: Option<u64>,
}

impl MemoryLimits {
    pub(crate) fn new(options: &Options) -> Self {
        let limit = |bytes: usize| Some(bytes as u64).filter(|bytes| *bytes > 0);
        Self {
            soft: limit(options.worker_memory_soft_max),
            hard: limit(options.worker_memory_hard_max),
        }
    }

    /// The lower one; `None`: there is no limit.
    fn least(self) -> Option<u64> {
        [self.soft, self.hard].into_iter().flatten().min()
    }
}

/// The looks at the memory of all workers.
pub(super) struct MemoryWatch {
    limits: MemoryLimits,
    look_at: Millis,
    /// When the pages of those were counted last whose sums are above a limit.
    counted: HashMap<ProcessKey, Millis>,
}

impl MemoryWatch {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        Self { limits, look_at: 0, counted: HashMap::new() }
    }

    /// What a worker that was forked just now has of its ancestors, and shares with them; nothing
    /// if it is another program.
    pub(super) fn inherited(&self, child: &Child) -> u64 {
        let asked = self.limits.least().filter(|_| child.has_begun);
        asked.and_then(|_| sum_of(process::current())).unwrap_or(0)
    }

    /// When workers are looked at next. A manager that limits nobody is not woken.
    pub(super) fn due(&self) -> Option<Millis> {
        self.limits.least().map(|_| self.look_at)
    }

    /// What is to be told of those who have too much.
    pub(super) fn run_due(&mut self, now: Millis, children: &Children) -> Vec<Event> {
        let Some(least) = self.limits.least().filter(|_| self.look_at <= now) else {
            return Vec::new();
        };
        self.look_at = now.saturating_add(LOOK_MS);
        let workers = children.iter().filter(|(key, _)| key.kind.is_worker());
        // One that has ended has nothing to be read.
        let sums = workers.filter_map(|(key, child)| Some((key, child, sum_of(child.pid)?)));
        let mut large: Vec<_> = sums.filter(|(_, _, sum)| *sum > least).collect();
        self.counted.retain(|key, _| large.iter().any(|(other, ..)| other == key));
        // Those who were not counted for the longest time come first.
        large.sort_by_key(|(key, ..)| self.counted.get(key).copied());
        let until = clock::monotonic_ms().saturating_add(COUNTING_MAX_MS);
        let mut events = Vec::new();
        for (key, child, sum) in large {
            if clock::monotonic_ms() >= until {
                break;
            }
            self.counted.insert(key, now);
            let own = own_of(child.pid, sum, child.inherited_bytes);
            events.extend(self.judge(key, own));
        }
        events
    }

    fn judge(&self, worker: ProcessKey, bytes: u64) -> Option<Event> {
        let own_kib = bytes / 1_024;
        if let Some(most) = self.limits.hard.filter(|most| bytes > *most) {
            let (most_kib, text) = (most / 1_024, "worker has too much memory, it is killed");
            tracing::warn!(%worker, own_kib, most_kib, "{text}");
            return Some(Event::TooLarge(worker));
        }
        self.limits.soft.filter(|most| bytes > *most).map(|most| {
            tracing::debug!(%worker, own_kib, most_kib = most / 1_024, "worker has grown");
            Event::LeaveRequested(worker, LeaveReason::Memory)
        })
    }
}

/// An upper bound of what a process has of its own.
fn sum_of(pid: ProcessId) -> Option<u64> {
    at_most(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// What a process has of its own, if that can be counted; otherwise what has come since its
/// beginning, as if it still shared all that it had then.
fn own_of(pid: ProcessId, at_most: u64, inherited: u64) -> u64 {
    let pages = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    // Of a hardened worker, or one of another user, an ordinary user sees the sums alone.
    let own = pages.ok().as_deref().and_then(own);
    own.map_or(at_most.saturating_sub(inherited), |own| own.min(at_most))
}

/// An upper bound of what a process has of its own, from `/proc/PID/status`.
fn at_most(status: &str) -> Option<u64> {
    Some(bytes_of(status, "RssAnon:")?.saturating_add(bytes_of(status, "VmSwap:").unwrap_or(0)))
}

/// What a process has of its own, from `/proc/PID/smaps_rollup`.
fn own(rollup: &str) -> Option<u64> {
    let private = ["Private_Clean:", "Private_Dirty:"].map(|name| bytes_of(rollup, name));
    let [clean, dirty] = private;
    Some(clean?.saturating_add(dirty?).saturating_add(bytes_of(rollup, "SwapPss:").unwrap_or(0)))
}

/// The bytes on the line that begins with this name, which has them in KiB.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nVmRSS:\t  9000 kB\nRssAnon:\t    2000 kB\nRssFile:\t 7000 kB\n\
                          RssShmem:\t       0 kB\nVmSwap:\t     100 kB\n";
    const ROLLUP: &str = "5000-7fff ---p 00000000 00:00 0    [rollup]\nRss:  9000 kB\n\
                          Private_Clean:        10 kB\nPrivate_Dirty:       1500 kB\n\
                          Swap:                 100 kB\nSwapPss:               50 kB\n";

    #[test]
    fn what_the_kernel_shows_is_understood() {
        assert_eq!(at_most(STATUS), Some(2_100 * 1_024));
        assert_eq!(own(ROLLUP), Some(1_560 * 1_024));
        for broken in ["", "RssAnon: x kB", "RssAnon:\t12 MB", "RssAnon: 99999999999999999999 kB"] {
            assert_eq!(at_most(broken), None, "{broken}");
        }
        assert_eq!(own("Private_Dirty: 3 kB\n"), None, "half of it is nothing");
    }

    #[test]
    fn this_process_has_something_and_nobody_has_everything() {
        let sum = sum_of(process::current()).unwrap();
        let own = own_of(process::current(), sum, sum);
        assert!(own > 64 * 1_024 && own <= sum, "{own} of {sum}");
        // One that cannot be counted.
        let gone = process::ProcessId::new(i32::MAX).unwrap();
        assert_eq!(own_of(gone, 700, 500), 200);
        assert_eq!(own_of(gone, 700, 900), 0);
    }

    #[test]
    fn the_harder_limit_counts() {
        let limits = MemoryLimits { soft: Some(100), hard: Some(200) };
        let watch = MemoryWatch::new(limits);
        let key = ProcessKey::event(3, 4);
        assert_eq!(watch.judge(key, 100), None);
        let grown = Event::LeaveRequested(key, LeaveReason::Memory);
        assert_eq!(watch.judge(key, 200), Some(grown));
        assert_eq!(watch.judge(key, 201), Some(Event::TooLarge(key)));
        assert_eq!(watch.due(), Some(0));
        assert_eq!(MemoryWatch::new(MemoryLimits { soft: None, hard: None }).due(), None);
    }
}
