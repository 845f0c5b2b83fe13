//! Lanes begin, leave and die; what they had is settled (protocol §9, §10).

use super::ledger::Entry;
use super::peers::Place;
use super::run_lists::RunListId;
use super::{BodyCopier, Brain, LaneState};
use crate::Nanos;
use crate::ids::{ConnectionSlot, LaneSlot, ProcessKey, Subject};

/// How the worker ended that had a delivery in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HolderEnd {
    /// It died.
    Died,
    /// It had written nonsense: nobody knows what was seen of the delivery.
    Condemned,
    /// It was killed because it was late with this delivery.
    Late,
}

impl Brain {
    /// The worker is about to be killed because it is late with a delivery of this session; `None`:
    /// it is not after all.
    pub fn set_late(&mut self, lane_slot: LaneSlot, session: Option<ConnectionSlot>) {
        if let Some(lane) = self.lane_mut(lane_slot) {
            lane.late = session;
        }
    }

    /// A lane to a worker that boots.
    pub fn add_lane(&mut self, key: ProcessKey) -> LaneSlot {
        let lane = self.lanes.add(key);
        self.lists.open_lane(lane);
        lane
    }

    /// The worker is ready: packages go to it from now on. Its predecessor in the slot must be told
    /// to leave ([`Brain::leave`]) by the caller first.
    pub fn serve(&mut self, lane_slot: LaneSlot) {
        if let Some(worker) = self.lanes.begin_serving(lane_slot) {
            if let (Some(first), Some(lane)) = (self.turns.first, self.lanes.get_mut(lane_slot)) {
                lane.begin_with(first);
            }
            self.refusing = false;
            if worker >= self.homes {
                self.set_homes(worker.saturating_add(1));
            }
            self.requeue_all(RunListId::Slot(worker));
            self.place_peers_of(Place::Slot(worker));
        }
    }

    /// The worker takes no more packages: what it has not started (`position >= t`) comes back.
    pub fn leave(&mut self, lane_slot: LaneSlot, t: u64, now: Nanos, copy: BodyCopier<'_>) {
        let Some(state) = self.lane_state(lane_slot) else { return };
        if matches!(state, LaneState::Condemned | LaneState::Leaving) {
            return;
        }
        self.stop_serving(lane_slot, LaneState::Leaving, now);
        self.recalled(lane_slot, t, copy);
    }

    /// The worker wrote nonsense: what it has in hand ends now (a session is closed), nothing more
    /// is given.
    pub fn condemn(&mut self, lane_slot: LaneSlot, now: Nanos) {
        let Some(lane) = self.lane_mut(lane_slot) else { return };
        if lane.state() == LaneState::Condemned {
            return;
        }
        let subjects: Vec<_> =
            lane.ledger.iter().filter(|entry| !entry.done).map(|entry| entry.subject).collect();
        self.stop_serving(lane_slot, LaneState::Condemned, now);
        for subject in subjects {
            self.holder_condemned(subject);
        }
    }

    /// The worker is dead and its committed outputs are consumed: settles what it had. `t` bounds
    /// what it had started.
    pub fn worker_died(&mut self, lane_slot: LaneSlot, t: u64, now: Nanos, copy: BodyCopier<'_>) {
        let Some(state) = self.lane_state(lane_slot) else { return };
        let condemned = state == LaneState::Condemned;
        self.note_whose_it_was(lane_slot, t);
        self.stop_serving(lane_slot, LaneState::Condemned, now);
        let late = self.lanes.get(lane_slot).and_then(|lane| lane.late).map(Subject::Session);
        let suspect = self.lanes.get(lane_slot).and_then(|lane| lane.ledger.suspect(t));
        while let Some(mut entry) =
            self.lane_mut(lane_slot).and_then(|lane| lane.ledger.pop_newest())
        {
            if suspect == Some(entry.position) {
                entry.deaths_while_waiting = entry.deaths_while_waiting.saturating_add(1);
            }
            let end = match late {
                _ if condemned => HolderEnd::Condemned,
                Some(late) if late == entry.subject => HolderEnd::Late,
                _ => HolderEnd::Died,
            };
            if !entry.done {
                self.settle(entry, t, end, copy);
            }
        }
        self.lanes.remove(lane_slot);
        self.lists.close_lane(lane_slot);
    }

    /// What a worker that is dead did at last, as far as deliveries say it; `t` bounds what it had
    /// started. To be asked before [`Brain::worker_died`].
    #[must_use]
    pub fn begun_last(&self, lane: LaneSlot, t: u64) -> Option<&Entry> {
        self.lanes.get(lane)?.ledger.begun_last(t)
    }

    /// A worker died of a delivery, as far as anybody knows: the next one begins with sessions that
    /// have another history than that one's. So whoever the storm comes from, it is the others'
    /// turn first in every new process.
    fn note_whose_it_was(&mut self, lane_slot: LaneSlot, t: u64) {
        let subject = self.begun_last(lane_slot, t).map(|entry| entry.subject);
        if let Some(Subject::Session(slot)) = subject
            && let Some(connection) = self.sessions.get(slot)
        {
            self.turns.first = Some(connection.history().other());
        }
    }

    fn settle(&mut self, entry: Entry, t: u64, end: HolderEnd, copy: BodyCopier<'_>) {
        if entry.position >= t && end != HolderEnd::Condemned {
            self.books.delivery_recalled();
            return self.give_back(entry, copy);
        }
        self.settle_started(entry, end, copy);
    }

    /// The memory of a lane whose worker was never forked is dropped.
    pub fn remove_lane(&mut self, lane_slot: LaneSlot) {
        let unused = !self.lanes.is_serving(lane_slot)
            && self.lanes.get(lane_slot).is_some_and(|lane| lane.ledger.is_empty());
        if unused {
            self.lanes.remove(lane_slot);
            self.lists.close_lane(lane_slot);
        }
    }

    fn stop_serving(&mut self, lane_slot: LaneSlot, state: LaneState, now: Nanos) {
        self.lanes.stop_serving(lane_slot, state, now);
        // Bound sessions come back to this list until their deliveries are over; hashed ones move
        // on.
        self.requeue_all(RunListId::Lane(lane_slot));
        self.place_peers_of(Place::lane(lane_slot));
    }
}
