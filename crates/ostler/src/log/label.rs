//! Which process a line is from.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_core::ids::WorkerKey;

/// A process of the tree, as its lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    /// Owns the client sockets. A process that has not been told what it is counts as the master.
    Master,
    /// Supervises the workers.
    Manager,
    /// Takes the manager's place when that is gone.
    SpareManager,
    /// Runs user code.
    Worker(WorkerKey),
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Manager => f.write_str("manager"),
            Self::SpareManager => f.write_str("spare"),
            Self::Worker(key) => key.fmt(f),
        }
    }
}

/// The process, packed into one word: no lock, hence nothing that a fork could leave locked.
static PROCESS: AtomicU64 = AtomicU64::new(0);

/// The session whose delivery this process works at; 0 = none.
static SESSION: AtomicU64 = AtomicU64::new(0);

/// Notes the session whose delivery begins; 0 when it has ended.
pub(super) fn set_session(session: u64) {
    SESSION.store(session, Ordering::Relaxed);
}

/// The session whose delivery this process works at.
pub(super) fn session() -> Option<u64> {
    Some(SESSION.load(Ordering::Relaxed)).filter(|session| *session != 0)
}

// A word is 16 bits of kind, 16 of slot, 32 of generation.
const MANAGER: u64 = 1 << 48;
const SPARE_MANAGER: u64 = 2 << 48;
const WORKER: u64 = 3 << 48;

/// From now on lines of this process are labelled so.
pub(super) fn set(process: Process) {
    PROCESS.store(pack(process), Ordering::Relaxed);
}

/// The label of this process.
pub(super) fn current() -> Process {
    unpack(PROCESS.load(Ordering::Relaxed))
}

fn pack(process: Process) -> u64 {
    match process {
        Process::Master => 0,
        Process::Manager => MANAGER,
        Process::SpareManager => SPARE_MANAGER,
        Process::Worker(key) => WORKER | u64::from(key.slot.0) << 32 | u64::from(key.generation.0),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the fields are taken apart by exactly their widths"
)]
fn unpack(word: u64) -> Process {
    match word & 0xffff << 48 {
        MANAGER => Process::Manager,
        SPARE_MANAGER => Process::SpareManager,
        WORKER => Process::Worker(WorkerKey::new((word >> 32) as u16, word as u32)),
        _ => Process::Master,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_labels_survive_packing() {
        let workers = [(0, 1), (1023, 7), (u16::MAX, u32::MAX)]
            .map(|(slot, generation)| Process::Worker(WorkerKey::new(slot, generation)));
        for process in
            [Process::Master, Process::Manager, Process::SpareManager].into_iter().chain(workers)
        {
            assert_eq!(unpack(pack(process)), process);
        }
    }

    #[test]
    fn log_labels_are_the_documented_ones() {
        assert_eq!(Process::Master.to_string(), "master");
        assert_eq!(Process::Manager.to_string(), "manager");
        assert_eq!(Process::Worker(WorkerKey::new(0, 3)).to_string(), "w0.3");
    }
}
