//! The descriptors that a process is made with.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use ostler_core::ids::ProcessKey;

use crate::control::LANE_DESCRIPTORS_FIXED;
use crate::sys::pidfd::PidFd;

/// What the master sends for one process:
/// `[down, up, worker_bell, lane_bell_0 .. lane_bell_{R-1}]`.
#[derive(Debug)]
pub(in crate::manager) struct LaneDescriptors {
    pub(in crate::manager) down: OwnedFd,
    pub(in crate::manager) up: OwnedFd,
    pub(in crate::manager) worker_bell: OwnedFd,
    pub(in crate::manager) lane_bells: Vec<OwnedFd>,
}

impl LaneDescriptors {
    /// Sorts the descriptors of a message; `None` when they are not exactly those for this number
    /// of reactors.
    pub(in crate::manager) fn new(descriptors: Vec<OwnedFd>, reactors: usize) -> Option<Self> {
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

/// What a process of any kind begins with: who it is, and all descriptors it has besides those of
/// the program. Every kind has lanes, and a control socket to the manager.
#[derive(Debug)]
pub(crate) struct ProcessBoot {
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

impl ProcessBoot {
    /// The numbers of all its descriptors.
    pub(in crate::manager) fn descriptors(&self) -> Vec<RawFd> {
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
