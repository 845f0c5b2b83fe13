//! What a manager is made with.

use std::os::fd::{OwnedFd, RawFd};

use ostler_core::supervisor::Settings;

use super::spawn::ProcessBoot;
use crate::options::Harden;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{Dumping, ProcessId};
use crate::sys::process_name::Instance;

/// What a worker has at its other ends, and so the descriptors that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndsKind {
    /// Lanes to so many reactors of the master.
    Lanes(usize),
    /// BASE mode: clients, on so many ports.
    Clients(usize),
}

/// What a worker process runs: it gets its descriptors and returns its exit code.
pub(crate) type WorkerMain = Box<dyn Fn(ProcessBoot) -> i32>;

/// All that managers, spares and workers need; made by the master before the first fork, inherited
/// as memory.
pub(crate) struct ManagerSetup {
    /// The master: readable means that everything has to end.
    pub(crate) master_pidfd: PidFd,
    /// Its number.
    pub(crate) master_pid: ProcessId,
    /// The board, which every worker maps; in BASE mode the commons.
    pub(crate) board: OwnedFd,
    /// Settings of the supervisor.
    pub(crate) settings: Settings,
    /// What a worker has at its other ends.
    pub(crate) ends: EndsKind,
    /// Which processes are not dumpable.
    pub(crate) harden: Harden,
    /// Whether the program was dumpable before it became a server; workers are again unless
    /// `harden` forbids it.
    pub(crate) dumping: Dumping,
    /// Whether event workers run `SCHED_BATCH`.
    pub(crate) sched_batch: bool,
    /// What the processes are called.
    pub(crate) names: Instance,
    /// Descriptors that are not Ostler's and that all processes keep besides 0, 1 and 2: the log
    /// file, and what the program had open before. Everything else is closed in every child. They
    /// are numbers, so take them when the program can close nothing any more and Ostler has opened
    /// nothing yet: a number given to something of Ostler's would be kept.
    pub(crate) keep: Vec<RawFd>,
    /// What event workers run.
    pub(crate) worker_main: WorkerMain,
}

impl ManagerSetup {
    /// What a child keeps: its own descriptors and [`ManagerSetup::keep`].
    pub(super) fn kept_with(&self, own: impl IntoIterator<Item = RawFd>) -> Vec<RawFd> {
        own.into_iter().chain(self.keep.iter().copied()).collect()
    }
}
