//! Which process a line is from.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_core::ids::ProcessKey;

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
    Worker(ProcessKey),
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

// A word is 8 bits of label, below them the key of the worker.
const MANAGER: u64 = 1 << 56;
const SPARE_MANAGER: u64 = 2 << 56;
const WORKER: u64 = 3 << 56;

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
        Process::Worker(key) => WORKER | key.pack(),
    }
}

fn unpack(word: u64) -> Process {
    match (word & 0xff << 56, ProcessKey::unpack(word)) {
        (MANAGER, _) => Process::Manager,
        (SPARE_MANAGER, _) => Process::SpareManager,
        (WORKER, Some(key)) => Process::Worker(key),
        _ => Process::Master,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_labels_survive_packing() {
        let workers = [(0, 1), (1023, 7), (u16::MAX, u32::MAX)]
            .map(|(slot, generation)| Process::Worker(ProcessKey::event(slot, generation)));
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
        assert_eq!(Process::Worker(ProcessKey::event(0, 3)).to_string(), "w0.3");
    }
}
