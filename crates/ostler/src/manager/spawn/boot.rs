//! The descriptors that a process is made with.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use ostler_core::ids::ProcessKey;

use crate::control::{BASE_DESCRIPTORS_FIXED, LANE_DESCRIPTORS_FIXED};
use crate::manager::setup::EndsKind;
use crate::sys::pidfd::PidFd;

/// What the master sends for one process: `[down, up, worker_bell, lane_bell_0 ..
/// lane_bell_{R-1}]`, or in BASE mode `[worker_bell, link, listener_0 .. listener_{P-1}]`.
#[derive(Debug)]
pub(in crate::manager) struct LaneDescriptors {
    pub(in crate::manager) worker_bell: OwnedFd,
    pub(in crate::manager) ends: ProcessEnds,
}

/// What is at the other ends of a process.
#[derive(Debug)]
pub(crate) enum ProcessEnds {
    /// The reactors of the master.
    Lanes {
        /// Memory that the master writes and the worker reads.
        down: OwnedFd,
        /// Memory that the worker writes and the master reads.
        up: OwnedFd,
        /// Rung by the worker, one per reactor.
        lane_bells: Vec<OwnedFd>,
    },
    /// BASE mode: clients.
    Clients {
        /// Its place in the commons.
        seat: usize,
        /// Words from and to the master.
        link: OwnedFd,
        /// Where its clients come, for each port in order.
        listeners: Vec<OwnedFd>,
    },
}

impl LaneDescriptors {
    /// Sorts the descriptors of a message; `None` when they are not exactly those for these ends.
    pub(in crate::manager) fn new(
        descriptors: Vec<OwnedFd>,
        ends: EndsKind,
        seat: u16,
    ) -> Option<Self> {
        let (fixed, others) = match ends {
            EndsKind::Lanes(reactors) => (LANE_DESCRIPTORS_FIXED, reactors),
            EndsKind::Clients(ports) => (BASE_DESCRIPTORS_FIXED, ports),
        };
        if descriptors.len().checked_sub(fixed) != Some(others) {
            return None;
        }
        let mut rest = descriptors.into_iter();
        Some(match ends {
            EndsKind::Lanes(_) => {
                let (down, up, worker_bell) = (rest.next()?, rest.next()?, rest.next()?);
                let ends = ProcessEnds::Lanes { down, up, lane_bells: rest.collect() };
                Self { worker_bell, ends }
            }
            EndsKind::Clients(_) => {
                let (worker_bell, link) = (rest.next()?, rest.next()?);
                let (seat, listeners) = (usize::from(seat), rest.collect());
                Self { worker_bell, ends: ProcessEnds::Clients { seat, link, listeners } }
            }
        })
    }
}

impl ProcessEnds {
    fn descriptors(&self) -> Vec<&OwnedFd> {
        match self {
            Self::Lanes { down, up, lane_bells } => {
                [down, up].into_iter().chain(lane_bells).collect()
            }
            Self::Clients { link, listeners, .. } => {
                std::iter::once(link).chain(listeners).collect()
            }
        }
    }
}

/// What a process of any kind begins with: who it is, and all descriptors it has besides those of
/// the program. Every kind has a control socket to the manager.
#[derive(Debug)]
pub(crate) struct ProcessBoot {
    /// Who it is.
    pub(crate) key: ProcessKey,
    /// Memory that the master writes and all workers read; in BASE mode the commons, which all
    /// write.
    pub(crate) board: OwnedFd,
    /// What it writes about itself; taken when that is mapped.
    pub(crate) black_box: Option<OwnedFd>,
    /// Rung by reactors, and by TERM; see [`crate::sys::signal::termination_requested`].
    pub(crate) worker_bell: OwnedFd,
    /// What is at its other ends.
    pub(crate) ends: ProcessEnds,
    /// Words to the manager; see [`crate::control::FromWorker::send`].
    pub(crate) control: OwnedFd,
    /// The master: readable means that it is gone.
    pub(crate) master_pidfd: PidFd,
}

impl ProcessBoot {
    /// The numbers of all its descriptors.
    pub(in crate::manager) fn descriptors(&self) -> Vec<RawFd> {
        let own = [&self.board, &self.worker_bell, &self.control];
        own.into_iter()
            .chain(self.black_box.as_ref())
            .chain(self.ends.descriptors())
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
        let lanes = LaneDescriptors::new(some(5), EndsKind::Lanes(2), 0).unwrap();
        assert_eq!(lanes.ends.descriptors().len(), 4);
        for (count, reactors) in [(4, 2), (6, 2), (0, 0), (2, 0), (0, usize::MAX)] {
            assert!(LaneDescriptors::new(some(count), EndsKind::Lanes(reactors), 0).is_none());
        }
        let base = LaneDescriptors::new(some(5), EndsKind::Clients(3), 7).unwrap();
        assert_eq!(base.ends.descriptors().len(), 4);
        for (count, ports) in [(4, 3), (6, 3), (0, 0), (1, 0), (0, usize::MAX)] {
            assert!(LaneDescriptors::new(some(count), EndsKind::Clients(ports), 7).is_none());
        }
    }
}
