//! What a manager is made with.

use std::os::fd::{OwnedFd, RawFd};

use ostler_core::supervisor::Settings;

use super::diagnosis::DiagnosisSettings;
use super::memory::MemoryLimits;
use super::programs::ExecSetup;
use crate::inheritance::{Attributes, ProcessMain, Resources};
use crate::options::KillOrphans;
use crate::sys::pidfd::PidFd;
use crate::sys::process::ProcessId;

/// All that managers, spares and workers need; made by the master before the first fork, inherited
/// as memory.
pub(crate) struct ManagerSetup {
    /// The master: readable means that everything has to end.
    pub(crate) master_pidfd: PidFd,
    /// Its number.
    pub(crate) master_pid: ProcessId,
    /// The board, which every worker maps; in BASE mode the commons.
    pub(crate) board: OwnedFd,
    /// The roster, which every worker maps.
    pub(crate) roster: OwnedFd,
    /// Settings of the supervisor.
    pub(crate) settings: Settings,
    /// What workers have in common.
    pub(crate) attributes: Attributes,
    /// What resources each of them takes when it is forked.
    pub(crate) resources: Resources,
    /// The capabilities that managers have which are not root's, to make workers; programs that
    /// are executed to be workers have them up to their own server. 0: nothing is to be done.
    pub(crate) capabilities: u64,
    /// What is told of slow workers and of deaths.
    pub(crate) diagnosis: DiagnosisSettings,
    /// When programs are ended that they have started and left behind.
    pub(crate) kill_orphans: KillOrphans,
    /// How much memory a worker may have.
    pub(crate) memory_limits: MemoryLimits,
    /// Descriptors that are not Ostler's and that all processes keep besides 0, 1 and 2: the log
    /// file, and what the program had open before. Everything else is closed in every child. They
    /// are numbers, so take them when the program can close nothing any more and Ostler has opened
    /// nothing yet: a number given to something of Ostler's would be kept.
    pub(crate) keep: Vec<RawFd>,
    /// How workers are started by exec; `None`: they are forks.
    pub(crate) exec: Option<ExecSetup>,
    /// What processes run, each by its kind.
    pub(crate) process_main: ProcessMain,
}

impl ManagerSetup {
    /// What a child keeps: its own descriptors and [`ManagerSetup::keep`].
    pub(super) fn kept_with(&self, own: impl IntoIterator<Item = RawFd>) -> Vec<RawFd> {
        own.into_iter().chain(self.keep.iter().copied()).collect()
    }
}
