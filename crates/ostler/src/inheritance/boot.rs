//! The descriptors that a process is made with.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use ostler_core::ids::ProcessKey;

use crate::sys::pidfd::PidFd;
use crate::sys::process::ProcessId;

/// What a worker has at its other ends, and so the descriptors that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndsKind {
    /// Lanes to so many reactors of the master.
    Lanes(usize),
    /// BASE mode: clients, on so many ports.
    Clients(usize),
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
        /// By which the worker passes files, one per reactor.
        file_links: Vec<OwnedFd>,
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

impl ProcessEnds {
    /// All of them.
    pub(crate) fn descriptors(&self) -> Vec<&OwnedFd> {
        match self {
            Self::Lanes { down, up, lane_bells, file_links } => {
                [down, up].into_iter().chain(lane_bells).chain(file_links).collect()
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
    /// Its manager, which is its parent.
    pub(crate) manager: ProcessId,
    /// Memory that the master writes and all workers read; in BASE mode the commons, which all
    /// write.
    pub(crate) board: OwnedFd,
    /// What it writes about itself; taken when that is mapped.
    pub(crate) black_box: Option<OwnedFd>,
    /// Where every process shows what it does; taken when that is mapped.
    pub(crate) roster: Option<OwnedFd>,
    /// Rung by reactors, and by TERM; see [`crate::sys::signal::termination_requested`].
    pub(crate) worker_bell: OwnedFd,
    /// What is at its other ends.
    pub(crate) ends: ProcessEnds,
    /// Where the companion is told of events; nobody else has it.
    pub(crate) event_link: Option<OwnedFd>,
    /// Words to the manager; see [`crate::control::FromWorker::send`].
    pub(crate) control: OwnedFd,
    /// The master: readable means that it is gone.
    pub(crate) master_pidfd: PidFd,
}

impl ProcessBoot {
    /// The numbers of all its descriptors.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let own = [&self.board, &self.worker_bell, &self.control];
        own.into_iter()
            .chain(self.black_box.as_ref())
            .chain(self.roster.as_ref())
            .chain(self.event_link.as_ref())
            .chain(self.ends.descriptors())
            .map(AsRawFd::as_raw_fd)
            .chain([self.master_pidfd.as_fd().as_raw_fd()])
            .collect()
    }
}
