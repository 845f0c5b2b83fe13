//! The dispatcher: lists of runnable sessions, those that are bound or at home and those that may
//! go to any worker; one package per turn, back to the tail. One file per mode.

mod address_hash;
mod home;
mod idle_first;
mod least;
mod least_in_hand;
mod pick;
mod pull;
mod recall_candidate;
mod round_robin;
pub(super) mod session_hash;
mod sticky;
mod user_id;

pub(super) use pick::Pick;

use super::run_lists::{History, Position, RunListId};
use super::sessions::Connection;
use super::{Assignment, Brain, Content, LaneState};
use crate::ids::{ConnectionSlot, DeliveryKind, LaneSlot, PortId, Subject};
use crate::policy::Dispatch;

/// Whose turn it is. Only the dispatcher moves these cursors.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Worker slot whose turn it is to get a free session.
    pub(super) slot: usize,
    /// Lane whose turn it is to get a bound session.
    lane: usize,
    /// Way of choosing whose sessions are next.
    pick: usize,
    /// Free sessions were served last; bound ones are next.
    free: bool,
    /// Whose turn it is first at a worker that begins, since a delivery of the others killed one.
    pub(super) first: Option<History>,
    /// It is the turn of datagrams that wait.
    datagram: bool,
    /// Of them, it is the turn of those that may go to any worker.
    pub(super) free_peers: bool,
}

impl Brain {
    /// Puts a session on the list where it belongs, if it could be given something and stands on
    /// none.
    pub(super) fn enqueue(&mut self, slot: ConnectionSlot) {
        self.enqueue_at(slot, Position::Last);
    }

    /// As [`Brain::enqueue`]; first on the list for one that had its turn, but could not use it.
    pub(super) fn enqueue_at(&mut self, slot: ConnectionSlot, position: Position) {
        let reading = self.reading && !self.paused;
        let Some(connection) = self.sessions.get(slot) else { return };
        if connection.link.list() == RunListId::No && self.may_be_given(connection, reading) {
            let place = self.place_of(slot);
            self.lists.link(&mut self.sessions, slot, place, position);
        }
        self.begin_waiting(slot);
        if self.refusing {
            // Also who is on a list: an event that was owed has put it there, and asks for nothing.
            self.refuse(slot);
        }
    }

    /// Whether a session has something that could be given, and may be given it.
    pub(super) fn may_be_given(&self, connection: &Connection, reading: bool) -> bool {
        let port = self.settings.ports.get(connection.port);
        if connection.outstanding >= port.session_window {
            return false;
        }
        let Some(next) = connection.next_kind(reading) else { return false };
        let may_join = next == DeliveryKind::Package && !connection.has_event_out;
        connection.outstanding == 0 || may_join || !port.gives_events_alone()
    }

    /// The list where a session belongs.
    pub(super) fn place_of(&self, slot: ConnectionSlot) -> RunListId {
        let Some(connection) = self.sessions.get(slot) else {
            crate::invariant!(false, "only a session that is there gets a list");
            return RunListId::No;
        };
        if let Some(lane) = connection.bound {
            return RunListId::Lane(lane);
        }
        let Some(worker) = self.home_of(connection) else {
            return RunListId::Free(self.pick_of(connection));
        };
        match self.lanes.serving_in(usize::from(worker)) {
            Some((lane, _)) => RunListId::Lane(lane),
            None => RunListId::Slot(worker),
        }
    }

    /// How a worker is chosen for a session that is at home nowhere.
    fn pick_of(&self, connection: &Connection) -> Pick {
        self.pick_of_port(connection.port)
    }

    /// How a worker is chosen for what comes on a port and is at home nowhere.
    pub(super) fn pick_of_port(&self, port: PortId) -> Pick {
        match self.settings.ports.get(port).dispatch {
            Dispatch::RoundRobin => Pick::RoundRobin,
            Dispatch::LeastInHand => Pick::LeastInHand,
            Dispatch::Sticky => Pick::Sticky,
            Dispatch::Pull => Pick::Pull,
            // Those behind the first are always at home somewhere.
            Dispatch::IdleFirst
            | Dispatch::SessionHash
            | Dispatch::AddressHash
            | Dispatch::UserId
            | Dispatch::UserFunction => Pick::IdleFirst,
        }
    }

    /// The next delivery to give, if any session is runnable and any worker has credit.
    pub fn next_give(&mut self) -> Option<Assignment> {
        let assignment = self.next_give_of_all();
        self.has_given_all |= assignment.is_none();
        assignment
    }

    fn next_give_of_all(&mut self) -> Option<Assignment> {
        if !self.peers.wait() {
            return self.next_give_of_sessions();
        }
        // Sessions and datagrams that wait take turns.
        self.turns.datagram = !self.turns.datagram;
        if self.turns.datagram {
            self.give_waiting_datagram().or_else(|| self.next_give_of_sessions())
        } else {
            self.next_give_of_sessions().or_else(|| self.give_waiting_datagram())
        }
    }

    fn next_give_of_sessions(&mut self) -> Option<Assignment> {
        for _ in 0..2 {
            self.turns.free = !self.turns.free;
            let assignment = if self.turns.free { self.give_free() } else { self.give_bound() };
            if assignment.is_some() {
                return assignment;
            }
        }
        None
    }

    fn give_free(&mut self) -> Option<Assignment> {
        for step in 0..Pick::ALL.len() {
            let index = (self.turns.pick + step) % Pick::ALL.len();
            let Some(pick) = Pick::ALL.get(index).copied() else { continue };
            if let Some(assignment) = self.give_picked(pick) {
                self.turns.pick = index + 1;
                return Some(assignment);
            }
        }
        None
    }

    /// Gives the next session for which a worker is chosen in this way.
    fn give_picked(&mut self, pick: Pick) -> Option<Assignment> {
        let list = RunListId::Free(pick);
        while !self.lists.is_empty(list) {
            let (worker, lane) = pick.lane(&self.lanes, self.turns.slot, self.credit())?;
            let slot = self.lists.first(list, self.lanes.get(lane)?.turn_of())?;
            if let Some(assignment) = self.give(slot, lane) {
                self.turns.slot = worker + 1;
                return Some(assignment);
            }
        }
        None
    }

    fn give_bound(&mut self) -> Option<Assignment> {
        let (credit, capacity) = (self.credit(), self.lanes.capacity());
        for step in 0..capacity {
            let index = (self.turns.lane + step) % capacity;
            let lane_slot = LaneSlot(index as u32);
            while let Some(lane) = self.lanes.get(lane_slot).filter(|lane| lane.has_credit(credit))
            {
                let next = self.lists.first(RunListId::Lane(lane_slot), lane.turn_of());
                let Some(slot) = next else { break };
                if let Some(assignment) = self.give(slot, lane_slot) {
                    self.turns.lane = index + 1;
                    return Some(assignment);
                }
            }
        }
        None
    }

    /// The session leaves its list and gets its next delivery, if it still has one.
    fn give(&mut self, slot: ConnectionSlot, lane: LaneSlot) -> Option<Assignment> {
        let seq = self.lanes.get(lane)?.ledger.next_seq();
        let reading = self.reading && !self.paused;
        self.lists.unlink(&mut self.sessions, slot);
        let connection = self.sessions.get(slot)?;
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.pass_turn(connection.history());
        }
        let (session, port) = (connection.session, connection.port);
        if !self.may_be_given(connection, reading) {
            self.end_waiting(slot);
            return None;
        }
        let has_returned = connection.has_returned();
        let content = match connection.next_kind(reading)? {
            _ if has_returned => Content::Returned(self.sessions.pop_returned(slot)?),
            DeliveryKind::Connect => Content::Connect,
            DeliveryKind::Buffer(event) => Content::Buffer(event),
            DeliveryKind::Package => Content::Read,
            DeliveryKind::Closed => Content::Closed,
            DeliveryKind::Datagram => {
                crate::invariant!(false, "a session has no datagrams");
                return None;
            }
        };
        let subject = Subject::Session(slot);
        let received_at = self.received_at(&content);
        Some(Assignment { subject, subject_number: session, port, lane, seq, received_at, content })
    }

    /// The sessions on the list of a lane or slot that changed find their new places.
    pub(super) fn requeue_all(&mut self, place: RunListId) {
        for slot in self.lists.unlink_all(&mut self.sessions, place) {
            self.enqueue(slot);
        }
    }

    /// Whether a lane takes packages.
    #[must_use]
    pub fn is_serving(&self, lane: LaneSlot) -> bool {
        self.lane_state(lane) == Some(LaneState::Serving)
    }
}
