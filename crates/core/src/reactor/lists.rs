//! The lists of runnable sessions: linked through the sessions themselves, so that one that moves on leaves no trace
//! behind, and nothing is ever allocated for a turn.

use super::brain::Brain;
use super::connection::{ConnectionSlot, RunListId};

/// One list, in the order of the turns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    first: Option<ConnectionSlot>,
    last: Option<ConnectionSlot>,
}

impl List {
    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[cfg(test)]
    pub(super) const fn last(&self) -> Option<ConnectionSlot> {
        self.last
    }

    pub(super) const fn first(&self) -> Option<ConnectionSlot> {
        self.first
    }
}

/// Where on a list a session is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    First,
    Last,
}

impl Brain {
    fn list_mut(&mut self, place: RunListId) -> Option<&mut List> {
        match place {
            RunListId::No => None,
            RunListId::Global => Some(&mut self.global),
            RunListId::Lane(lane) => self.lane_mut(lane).map(|lane| &mut lane.runnable),
            RunListId::Slot(worker) => self.slot_waiting.get_mut(usize::from(worker)),
        }
    }

    /// Puts a session that stands on no list on one; on none when there is no such list.
    pub(super) fn link(&mut self, slot: ConnectionSlot, place: RunListId, position: Position) {
        let Some(list) = self.list_mut(place) else { return };
        let (previous, next) = match position {
            Position::First => (None, list.first),
            Position::Last => (list.last, None),
        };
        if previous.is_none() {
            list.first = Some(slot);
        }
        if next.is_none() {
            list.last = Some(slot);
        }
        if let Some(connection) = self.connection(slot) {
            connection.queued = place;
            connection.previous = previous;
            connection.next = next;
        }
        if let Some(previous) = previous.and_then(|previous| self.connection(previous)) {
            previous.next = Some(slot);
        }
        if let Some(next) = next.and_then(|next| self.connection(next)) {
            next.previous = Some(slot);
        }
    }

    /// Takes a session off the list on which it stands, if any.
    pub(super) fn unlink(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connection(slot) else { return };
        let place = std::mem::replace(&mut connection.queued, RunListId::No);
        let (previous, next) = (connection.previous.take(), connection.next.take());
        if place == RunListId::No {
            return;
        }
        if let Some(list) = self.list_mut(place) {
            if previous.is_none() {
                list.first = next;
            }
            if next.is_none() {
                list.last = previous;
            }
        }
        if let Some(previous) = previous.and_then(|previous| self.connection(previous)) {
            previous.next = next;
        }
        if let Some(next) = next.and_then(|next| self.connection(next)) {
            next.previous = previous;
        }
    }

    /// Takes all sessions off a list, in their order.
    pub(super) fn unlink_all(&mut self, place: RunListId) -> Vec<ConnectionSlot> {
        let mut sessions = Vec::new();
        while let Some(slot) = self.list_mut(place).and_then(|list| list.first) {
            self.unlink(slot);
            sessions.push(slot);
        }
        sessions
    }
}
