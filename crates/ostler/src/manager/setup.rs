//! What a manager is made with, and what it makes a worker with.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::Settings;

use crate::control::LANE_DESCRIPTORS_FIXED;
use crate::options::Harden;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{Dumping, ProcessId};
use crate::sys::process_name::Instance;

/// What a worker process runs: it gets its descriptors and returns its exit code.
pub(crate) type WorkerMain = Box<dyn Fn(WorkerBoot) -> i32>;

/// All that managers, spares and workers need; made by the master before the first fork, inherited
/// as memory.
pub(crate) struct ManagerSetup {
    /// The master: readable means that everything has to end.
    pub(crate) master_pidfd: PidFd,
    /// Its number.
    pub(crate) master_pid: ProcessId,
    /// The board, which every worker maps.
    pub(crate) board: OwnedFd,
    /// Settings of the supervisor.
    pub(crate) settings: Settings,
    /// Number of reactors, hence of lane bells per worker.
    pub(crate) reactors: usize,
    /// Which processes are not dumpable.
    pub(crate) harden: Harden,
    /// Whether the program was dumpable before it became a server; workers are again unless
    /// `harden` forbids it.
    pub(crate) dumping: Dumping,
    /// Whether workers run `SCHED_BATCH`.
    pub(crate) sched_batch: bool,
    /// What the processes are called.
    pub(crate) names: Instance,
    /// Descriptors that are not Ostler's and that all processes keep besides 0, 1 and 2: the log
    /// file, and what the program had open before. Everything else is closed in every child. They
    /// are numbers, so take them when the program can close nothing any more and Ostler has opened
    /// nothing yet: a number given to something of Ostler's would be kept.
    pub(crate) keep: Vec<RawFd>,
    /// What workers run.
    pub(crate) worker_main: WorkerMain,
}

impl ManagerSetup {
    /// What a child keeps: its own descriptors and [`ManagerSetup::keep`].
    pub(super) fn kept_with(&self, own: impl IntoIterator<Item = RawFd>) -> Vec<RawFd> {
        own.into_iter().chain(self.keep.iter().copied()).collect()
    }
}

/// What the master sends for one worker: `[down, up, worker_bell, lane_bell_0 .. lane_bell_{R-1}]`.
#[derive(Debug)]
pub(super) struct LaneDescriptors {
    pub(super) down: OwnedFd,
    pub(super) up: OwnedFd,
    pub(super) worker_bell: OwnedFd,
    pub(super) lane_bells: Vec<OwnedFd>,
}

impl LaneDescriptors {
    /// Sorts the descriptors of a message; `None` when they are not exactly those for this number
    /// of reactors.
    pub(super) fn new(descriptors: Vec<OwnedFd>, reactors: usize) -> Option<Self> {
        if descriptors.len().checked_sub(LANE_DESCRIPTORS_FIXED) != Some(reactors) {
            return None;
        }
        let mut rest = descriptors.into_iter();
        Some(Self {
            down: rest.next()?,
            up: rest.next()?,
            worker_bell: rest.next()?,
            lane_bells: rest.collect(),
        })
    }
}

/// What a worker process begins with: who it is, and all descriptors it has besides those of the
/// program.
#[derive(Debug)]
pub(crate) struct WorkerBoot {
    /// Who it is.
    pub(crate) key: ProcessKey,
    /// Memory that the master writes and the worker reads.
    pub(crate) down: OwnedFd,
    /// Memory that the worker writes and the master reads.
    pub(crate) up: OwnedFd,
    /// Memory that the master writes and all workers read.
    pub(crate) board: OwnedFd,
    /// Rung by reactors, and by TERM; see [`crate::sys::signal::termination_requested`].
    pub(crate) worker_bell: OwnedFd,
    /// Rung by the worker, one per reactor.
    pub(crate) lane_bells: Vec<OwnedFd>,
    /// Words to the manager; see [`crate::control::FromWorker::send`].
    pub(crate) control: OwnedFd,
    /// The master: readable means that it is gone.
    pub(crate) master_pidfd: PidFd,
}

impl WorkerBoot {
    /// The numbers of all its descriptors.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let own = [&self.down, &self.up, &self.board, &self.worker_bell, &self.control];
        own.into_iter()
            .chain(&self.lane_bells)
            .map(AsRawFd::as_raw_fd)
            .chain([self.master_pidfd.as_fd().as_raw_fd()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;

    #[test]
    fn lane_descriptors_must_be_exactly_as_many_as_the_reactors_ask() {
        let some = |count: usize| (0..count).map(|_| eventfd::create().unwrap()).collect();
        let lanes = LaneDescriptors::new(some(5), 2).unwrap();
        assert_eq!(lanes.lane_bells.len(), 2);
        for (count, reactors) in [(4, 2), (6, 2), (0, 0), (2, 0), (0, usize::MAX)] {
            assert!(LaneDescriptors::new(some(count), reactors).is_none());
        }
    }
}
