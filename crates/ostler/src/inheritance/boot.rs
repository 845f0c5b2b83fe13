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
    /// BASE mode: clients.
    Clients {
        /// On so many ports.
        ports: usize,
        /// And a lane to the switch.
        has_switch: bool,
    },
}

/// The lane of a process of BASE mode to the switch, the reactor of the master that has tasks and
/// messages.
#[derive(Debug)]
pub(crate) struct SwitchEnds {
    /// Memory that the master writes and the process reads.
    pub(crate) down: OwnedFd,
    /// Memory that the process writes and the master reads.
    pub(crate) up: OwnedFd,
    /// The board of the switch.
    pub(crate) board: OwnedFd,
    /// Rung by the process.
    pub(crate) bell: OwnedFd,
    /// By which files could be passed: the lane is one like all others.
    pub(crate) file_link: OwnedFd,
}

impl SwitchEnds {
    /// How many they are.
    pub(crate) const COUNT: usize = 5;

    /// The next of these descriptors, in the order of [`SwitchEnds::into_descriptors`].
    pub(crate) fn take(from: &mut impl Iterator<Item = OwnedFd>) -> Option<Self> {
        let mut next = || from.next();
        let (down, up, board) = (next()?, next()?, next()?);
        Some(Self { down, up, board, bell: next()?, file_link: next()? })
    }

    /// All of them.
    pub(crate) fn into_descriptors(self) -> [OwnedFd; Self::COUNT] {
        let Self { down, up, board, bell, file_link } = self;
        [down, up, board, bell, file_link]
    }

    const fn descriptors(&self) -> [&OwnedFd; Self::COUNT] {
        let Self { down, up, board, bell, file_link } = self;
        [down, up, board, bell, file_link]
    }
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
        /// Where tasks and messages go, if there can be any.
        switch: Option<Box<SwitchEnds>>,
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
            Self::Clients { link, switch, listeners, .. } => {
                let switch = switch.iter().flat_map(|switch| switch.descriptors());
                std::iter::once(link).chain(switch).chain(listeners).collect()
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
