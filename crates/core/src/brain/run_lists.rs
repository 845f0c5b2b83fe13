//! The lists of runnable sessions: linked through the sessions themselves, so that one that moves
//! on leaves no trace behind, and nothing is ever allocated for a turn.

use super::dispatch::Pick;
use super::sessions::{Connection, Sessions};
use crate::ids::{ConnectionSlot, LaneSlot};

/// On which list of runnable sessions a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RunListId {
    /// On none.
    #[default]
    No,
    /// On one of those whose sessions may go to any worker; that is chosen in this way.
    Free(Pick),
    /// On a lane's: sessions that are bound to it or at home there.
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

/// Whether a session has had a package finished before.
///
/// Every list takes turns between those that have and those that have not. So neither a crowd of
/// new sessions whose packages kill their workers holds up clients that have been served for long,
/// nor the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum History {
    #[default]
    New,
    Served,
}

impl History {
    /// The other one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::New => Self::Served,
            Self::Served => Self::New,
        }
    }
}

/// A session's place on its list. Only [`RunLists`] reads or writes it: the two neighbours always
/// agree about each other.
#[derive(Debug, Default)]
pub(super) struct Link {
    list: RunListId,
    history: History,
    previous: Option<ConnectionSlot>,
    next: Option<ConnectionSlot>,
}

impl Link {
    /// The list on which the session stands.
    pub(super) const fn list(&self) -> RunListId {
        self.list
    }
}

/// The ends of one half of a list, in the order of the turns.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    first: Option<ConnectionSlot>,
    last: Option<ConnectionSlot>,
}

/// One list: its two halves take turns.
#[derive(Clone, Copy, Debug, Default)]
struct RunList {
    new: Ends,
    served: Ends,
}

impl RunList {
    const fn half(&self, history: History) -> &Ends {
        match history {
            History::New => &self.new,
            History::Served => &self.served,
        }
    }

    const fn half_mut(&mut self, history: History) -> &mut Ends {
        match history {
            History::New => &mut self.new,
            History::Served => &mut self.served,
        }
    }
}

/// All lists of one reactor. A session stands on one of them at most, and only while it could be
/// given something.
#[derive(Debug)]
pub(super) struct RunLists {
    /// By the number of the [`Pick`].
    free: [RunList; Pick::ALL.len()],
    /// By lane; `None` where there is no lane.
    lanes: Vec<Option<RunList>>,
    /// By worker slot: the sessions that are at home in a slot without a serving lane.
    slots: Vec<RunList>,
}

impl RunLists {
    pub(super) fn new(workers: u16) -> Self {
        Self {
            free: [RunList::default(); Pick::ALL.len()],
            lanes: Vec::new(),
            slots: vec![RunList::default(); usize::from(workers)],
        }
    }

    /// There are lists for so many worker slots from now on, or more.
    pub(super) fn open_slots(&mut self, workers: u16) {
        if self.slots.len() < usize::from(workers) {
            self.slots.resize(usize::from(workers), RunList::default());
        }
    }

    /// A lane begins: it has a list from now on.
    pub(super) fn open_lane(&mut self, lane: LaneSlot) {
        let index = lane.0 as usize;
        if self.lanes.len() <= index {
            self.lanes.resize(index + 1, None);
        }
        if let Some(place) = self.lanes.get_mut(index) {
            *place = Some(RunList::default());
        }
    }

    /// A lane is gone, and its list with it; no session stands there any more.
    pub(super) fn close_lane(&mut self, lane: LaneSlot) {
        debug_assert!(self.is_empty(RunListId::Lane(lane)), "sessions wait at a lane that goes");
        if let Some(place) = self.lanes.get_mut(lane.0 as usize) {
            *place = None;
        }
    }

    fn list(&self, id: RunListId) -> Option<&RunList> {
        match id {
            RunListId::No => None,
            RunListId::Free(pick) => self.free.get(pick as usize),
            RunListId::Lane(lane) => self.lanes.get(lane.0 as usize)?.as_ref(),
            RunListId::Slot(worker) => self.slots.get(usize::from(worker)),
        }
    }

    fn list_mut(&mut self, id: RunListId) -> Option<&mut RunList> {
        match id {
            RunListId::No => None,
            RunListId::Free(pick) => self.free.get_mut(pick as usize),
            RunListId::Lane(lane) => self.lanes.get_mut(lane.0 as usize)?.as_mut(),
            RunListId::Slot(worker) => self.slots.get_mut(usize::from(worker)),
        }
    }

    /// The session whose turn is next on a list when it is the turn of those with this history; of
    /// the others, if there is none.
    pub(super) fn first(&self, id: RunListId, turn_of: History) -> Option<ConnectionSlot> {
        let list = self.list(id)?;
        list.half(turn_of).first.or(list.half(turn_of.other()).first)
    }

    /// Whether no session stands on a list.
    pub(super) fn is_empty(&self, id: RunListId) -> bool {
        self.first(id, History::New).is_none()
    }

    /// Puts a session that stands on no list on one; on none when there is no such list.
    pub(super) fn link(
        &mut self,
        sessions: &mut Sessions,
        slot: ConnectionSlot,
        id: RunListId,
        position: Position,
    ) {
        let history = sessions.get(slot).map(Connection::history).unwrap_or_default();
        let Some(list) = self.list_mut(id) else {
            crate::invariant!(false, "a session waits for a lane or slot that is there");
            return;
        };
        let ends = list.half_mut(history);
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
            connection.link = Link { list: id, history, previous, next };
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
        let Some(connection) = sessions.get_mut(slot) else {
            crate::invariant!(false, "a session leaves its list before its place is free");
            return;
        };
        let Link { list, history, previous, next } = std::mem::take(&mut connection.link);
        if list == RunListId::No {
            return;
        }
        if let Some(ends) = self.list_mut(list).map(|list| list.half_mut(history)) {
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

    /// Whether no session waits that may go to any worker.
    pub(super) fn no_free_waits(&self) -> bool {
        Pick::ALL.into_iter().all(|pick| self.is_empty(RunListId::Free(pick)))
    }

    /// Takes all sessions off a list, in their order within each half.
    pub(super) fn unlink_all(
        &mut self,
        sessions: &mut Sessions,
        id: RunListId,
    ) -> Vec<ConnectionSlot> {
        let mut taken = Vec::new();
        while let Some(slot) = self.first(id, History::Served) {
            self.unlink(sessions, slot);
            taken.push(slot);
        }
        taken
    }

    /// The sessions of a list, those that were served first, in their order; fails when two
    /// neighbours disagree.
    #[cfg(test)]
    pub(super) fn walk(&self, sessions: &Sessions, id: RunListId) -> Vec<ConnectionSlot> {
        let Some(list) = self.list(id) else { return Vec::new() };
        let mut slots = Vec::new();
        for history in [History::Served, History::New] {
            let ends = list.half(history);
            let (mut next, mut previous) = (ends.first, None);
            while let Some(slot) = next {
                let link = &sessions.get(slot).unwrap().link;
                assert_eq!((link.list, link.history, link.previous), (id, history, previous));
                slots.push(slot);
                (previous, next) = (Some(slot), link.next);
            }
            assert_eq!(ends.last, previous);
        }
        slots
    }
}
