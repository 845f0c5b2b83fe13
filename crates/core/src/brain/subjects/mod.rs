//! What a delivery is about decides what becomes of it: one file for each kind of subject, and here
//! every question that depends on the kind.
//!
//! The ledger, lanes, credits, recall and the settling of the dead go through these questions. So
//! another kind is another variant of [`Subject`], an arm in each function here, and its own file.

mod datagram;
mod session;

use super::ledger::Entry;
use super::peers::Peers;
use super::sessions::Sessions;
use super::settle::HolderEnd;
use super::{Assignment, BodyCopier, Brain, PortSettings, Unused};
use crate::ids::{DeliveryKind, PortId, Subject};
use crate::per_port::PerPort;

impl Brain {
    /// A delivery is at a lane. `more` says that its subject may have more input.
    pub(super) fn given(&mut self, assignment: &Assignment, more: bool) {
        match assignment.subject {
            Subject::Session(slot) => self.session_given(slot, assignment, more),
            Subject::Peer(slot) => self.peer_given(slot, assignment),
        }
    }

    /// A lane had no room for a delivery: the subject has its turn again, before the others.
    pub(super) fn not_given(&mut self, assignment: Assignment) {
        match assignment.subject {
            Subject::Session(slot) => self.session_not_given(slot, assignment.content),
            Subject::Peer(slot) => self.peer_not_given(slot, assignment.content),
        }
    }

    /// A delivery that no worker has started comes back, newest first: to the front of its order.
    pub(super) fn give_back(&mut self, entry: Entry, copy: BodyCopier<'_>) {
        match entry.subject {
            Subject::Session(slot) => self.give_back_to_session(slot, entry, copy),
            Subject::Peer(slot) => self.give_back_to_peer(slot, entry, copy),
        }
    }

    /// A delivery was started, or may have been by a condemned worker, and that worker is dead.
    pub(super) fn settle_started(&mut self, entry: Entry, end: HolderEnd, copy: BodyCopier<'_>) {
        match entry.subject {
            Subject::Session(slot) => self.settle_started_of_session(slot, entry, end, copy),
            Subject::Peer(slot) => self.settle_started_of_peer(slot, entry, end, copy),
        }
    }

    /// The worker that has a delivery of it wrote nonsense.
    pub(super) fn holder_condemned(&mut self, subject: Subject) {
        match subject {
            Subject::Session(slot) => self.session_holder_condemned(slot),
            // There is nothing to close: its datagrams are settled when the worker is dead.
            Subject::Peer(_) => {}
        }
    }

    /// One delivery is over, finished or settled.
    pub(super) fn delivery_ended(&mut self, subject: Subject, kind: DeliveryKind) {
        match subject {
            Subject::Session(slot) => self.session_delivery_ended(slot, kind),
            Subject::Peer(slot) => self.datagram_left(slot, false),
        }
    }

    /// A worker is through with a package of it.
    pub(super) fn package_served(&mut self, subject: Subject) {
        match subject {
            Subject::Session(slot) => self.session_served(slot),
            Subject::Peer(_) => {}
        }
    }

    /// Whether a worker may leave a part of a package unused.
    pub(super) fn keeps_unused(&self, subject: Subject) -> bool {
        match subject {
            Subject::Session(slot) => self.session_keeps_unused(slot),
            Subject::Peer(_) => false,
        }
    }

    /// A worker has used only `used` bytes of a package. `None`: the rest is thrown away, counted.
    pub(super) fn keep_unused(
        &mut self,
        subject: Subject,
        used: u32,
        bytes: Vec<u8>,
        unused: u64,
    ) -> Option<Unused> {
        match subject {
            Subject::Session(slot) => self.keep_unused_of_session(slot, used, bytes, unused),
            Subject::Peer(_) => {
                crate::invariant!(false, "a datagram is always used as a whole");
                None
            }
        }
    }

    /// The port on which it came.
    #[must_use]
    pub fn port_of(&self, subject: Subject) -> PortId {
        match subject {
            Subject::Session(slot) => self.session_port(slot),
            Subject::Peer(slot) => self.peer_port(slot),
        }
    }

    /// Whether nothing of the subject's input comes behind what was given.
    #[must_use]
    pub fn is_input_ended(&self, subject: Subject) -> bool {
        match subject {
            Subject::Session(slot) => self.is_session_input_ended(slot),
            Subject::Peer(_) => false,
        }
    }

    /// Whether the deliveries of it that wait at a lane, unstarted, so many of them, could go to
    /// another one.
    pub(super) fn may_move(&self, subject: Subject, waiting: u32) -> bool {
        match subject {
            Subject::Session(slot) => self.session_may_move(slot, waiting),
            Subject::Peer(slot) => self.peer_may_move(slot, waiting),
        }
    }

    /// A package in several parts is written to its end.
    pub(super) fn package_written(&mut self, subject: Subject) {
        match subject {
            Subject::Session(slot) => self.session_package_written(slot),
            Subject::Peer(_) => {}
        }
    }
}

/// Whether packages of the subject are given to workers, those that came back too: only then a
/// package is kept that may have to be given again.
pub(super) fn is_served(sessions: &Sessions, subject: Subject) -> bool {
    match subject {
        Subject::Session(slot) => session::is_served(sessions, slot),
        Subject::Peer(_) => true,
    }
}

/// Whether a package that a worker has started may have to be given again.
pub(super) fn may_come_back(
    sessions: &Sessions,
    peers: &Peers,
    ports: &PerPort<PortSettings>,
    entry: &Entry,
) -> bool {
    match entry.subject {
        Subject::Session(slot) => session::may_come_back(sessions, ports, slot, entry),
        Subject::Peer(slot) => datagram::may_be_given_again(peers, ports, slot, entry),
    }
}
