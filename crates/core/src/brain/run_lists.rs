//! The lists of runnable sessions: linked through the sessions themselves, so that one that moves
//! on leaves no trace behind, and nothing is ever allocated for a turn.

use super::sessions::Sessions;
use crate::ids::{ConnectionSlot, LaneSlot};

/// On which list of runnable sessions a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RunListId {
    /// On none.
    #[default]
    No,
    /// On the global one.
    Global,
    /// On a lane's: sessions that are bound or hashed to it.
    Lane(LaneSlot),
    /// On a slot's, waiting for a worker to serve there.
    Slot(u16),
}

/// Where on a list a session is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    First,
    Last,
}

/// A session's place on its list. Only [`RunLists`] reads or writes it: the two neighbours always
/// agree about each other.
#[derive(Debug, Default)]
pub(super) struct Link {
    list: RunListId,
    previous: Option<ConnectionSlot>,
    next: Option<ConnectionSlot>,
}

impl Link {
    /// The list on which the session stands.
    pub(super) const fn list(&self) -> RunListId {
        self.list
    }
}

/// The ends of one list, in the order of the turns.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    first: Option<ConnectionSlot>,
    last: Option<ConnectionSlot>,
}

/// All lists of one reactor. A session stands on one of them at most, and only while it could be
/// given something.
#[derive(Debug)]
pub(super) struct RunLists {
    global: Ends,
    /// By lane; `None` where there is no lane.
    lanes: Vec<Option<Ends>>,
    /// By worker slot: the sessions that are hashed to a slot without a serving lane.
    slots: Vec<Ends>,
}

impl RunLists {
    pub(super) fn new(workers: u16) -> Self {
        Self {
            global: Ends::default(),
            lanes: Vec::new(),
            slots: vec![Ends::default(); usize::from(workers)],
        }
    }

    /// A lane begins: it has a list from now on.
    pub(super) fn open_lane(&mut self, lane: LaneSlot) {
        let index = lane.0 as usize;
        if self.lanes.len() <= index {
            self.lanes.resize(index + 1, None);
        }
        if let Some(place) = self.lanes.get_mut(index) {
            *place = Some(Ends::default());
        }
    }

    /// A lane is gone, and its list with it; no session stands there any more.
    pub(super) fn close_lane(&mut self, lane: LaneSlot) {
        debug_assert!(
            self.first(RunListId::Lane(lane)).is_none(),
            "sessions wait at a lane that goes"
        );
        if let Some(place) = self.lanes.get_mut(lane.0 as usize) {
            *place = None;
        }
    }

    fn ends(&self, id: RunListId) -> Option<&Ends> {
        match id {
            RunListId::No => None,
            RunListId::Global => Some(&self.global),
            RunListId::Lane(lane) => self.lanes.get(lane.0 as usize)?.as_ref(),
            RunListId::Slot(worker) => self.slots.get(usize::from(worker)),
        }
    }

    fn ends_mut(&mut self, id: RunListId) -> Option<&mut Ends> {
        match id {
            RunListId::No => None,
            RunListId::Global => Some(&mut self.global),
            RunListId::Lane(lane) => self.lanes.get_mut(lane.0 as usize)?.as_mut(),
            RunListId::Slot(worker) => self.slots.get_mut(usize::from(worker)),
        }
    }

    /// The session whose turn is next on a list.
    pub(super) fn first(&self, id: RunListId) -> Option<ConnectionSlot> {
        self.ends(id)?.first
    }

    /// Whether no session stands on a list.
    pub(super) fn is_empty(&self, id: RunListId) -> bool {
        self.first(id).is_none()
    }

    /// Puts a session that stands on no list on one; on none when there is no such list.
    pub(super) fn link(
        &mut self,
        sessions: &mut Sessions,
        slot: ConnectionSlot,
        id: RunListId,
        position: Position,
    ) {
        let Some(ends) = self.ends_mut(id) else { return };
        let (previous, next) = match position {
            Position::First => (None, ends.first),
            Position::Last => (ends.last, None),
        };
        if previous.is_none() {
            ends.first = Some(slot);
        }
        if next.is_none() {
            ends.last = Some(slot);
        }
        if let Some(connection) = sessions.get_mut(slot) {
            connection.link = Link { list: id, previous, next };
        }
        if let Some(previous) = previous.and_then(|previous| sessions.get_mut(previous)) {
            previous.link.next = Some(slot);
        }
        if let Some(next) = next.and_then(|next| sessions.get_mut(next)) {
            next.link.previous = Some(slot);
        }
    }

    /// Takes a session off the list on which it stands, if any.
    pub(super) fn unlink(&mut self, sessions: &mut Sessions, slot: ConnectionSlot) {
        let Some(connection) = sessions.get_mut(slot) else { return };
        let Link { list, previous, next } = std::mem::take(&mut connection.link);
        if list == RunListId::No {
            return;
        }
        if let Some(ends) = self.ends_mut(list) {
            if previous.is_none() {
                ends.first = next;
            }
            if next.is_none() {
                ends.last = previous;
            }
        }
        if let Some(previous) = previous.and_then(|previous| sessions.get_mut(previous)) {
            previous.link.next = next;
        }
        if let Some(next) = next.and_then(|next| sessions.get_mut(next)) {
            next.link.previous = previous;
        }
    }

    /// Takes all sessions off a list, in their order.
    pub(super) fn unlink_all(
        &mut self,
        sessions: &mut Sessions,
        id: RunListId,
    ) -> Vec<ConnectionSlot> {
        let mut taken = Vec::new();
        while let Some(slot) = self.first(id) {
            self.unlink(sessions, slot);
            taken.push(slot);
        }
        taken
    }

    /// The sessions of a list in their order; fails when two neighbours disagree.
    #[cfg(test)]
    pub(super) fn walk(&self, sessions: &Sessions, id: RunListId) -> Vec<ConnectionSlot> {
        let Some(ends) = self.ends(id) else { return Vec::new() };
        let (mut slots, mut next, mut previous) = (Vec::new(), ends.first, None);
        while let Some(slot) = next {
            let link = &sessions.get(slot).unwrap().link;
            assert_eq!((link.list, link.previous), (id, previous));
            slots.push(slot);
            (previous, next) = (Some(slot), link.next);
        }
        assert_eq!(ends.last, previous);
        slots
    }
}
