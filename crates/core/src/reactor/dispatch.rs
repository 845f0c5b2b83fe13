//! The dispatcher: two kinds of runnable lists, one package per turn, back to the tail (architecture section 5).

use super::brain::{Assignment, Brain, Content};
use super::connection::{ConnectionSlot, RunListId};
use super::lane::{Lane, LaneSlot, LaneState};
use super::lists::Position;
use crate::Nanos;
use crate::policy::Dispatch;

/// A delivery that waited this long behind another is taken back when another worker idles.
const RECALL_AFTER_NS: Nanos = 1_000_000;
/// It waits twice as long with each recall in a row, up to so many times: workers that all seem to idle and are all busy
/// for other reactors would hand it round without end.
const RECALL_DOUBLINGS_MAX: u32 = 2;

impl Brain {
    /// Puts a session on the list where it belongs, if it could be given something and stands on none.
    pub(super) fn enqueue(&mut self, slot: ConnectionSlot) {
        self.enqueue_at(slot, Position::Last);
    }

    /// As [`Brain::enqueue`]; first on the list for one that had its turn, but could not use it.
    pub(super) fn enqueue_at(&mut self, slot: ConnectionSlot, position: Position) {
        let reading = self.reading && !self.paused;
        let window = self.settings.session_window;
        let Some(connection) = self.connection(slot) else { return };
        if connection.queued == RunListId::No
            && connection.has_work(reading)
            && connection.outstanding < window
        {
            let place = self.place_of(slot);
            self.link(slot, place, position);
        }
    }

    /// The list where a session belongs.
    pub(super) fn place_of(&self, slot: ConnectionSlot) -> RunListId {
        let Some(Some(connection)) = self.connections.get(slot.0 as usize) else {
            return RunListId::No;
        };
        if let Some(lane) = connection.bound {
            return RunListId::Lane(lane);
        }
        if self.settings.dispatch != Dispatch::SessionHash {
            return RunListId::Global;
        }
        let worker = home(connection.session, self.settings.workers);
        match self.serving.get(usize::from(worker)).copied().flatten() {
            Some(lane) => RunListId::Lane(lane),
            None => RunListId::Slot(worker),
        }
    }

    /// The next delivery to give, if any session is runnable and any worker has credit.
    pub fn next_give(&mut self) -> Option<Assignment> {
        for _ in 0..2 {
            self.global_turn = !self.global_turn;
            let assignment = if self.global_turn { self.give_global() } else { self.give_bound() };
            if assignment.is_some() {
                return assignment;
            }
        }
        None
    }

    fn give_global(&mut self) -> Option<Assignment> {
        while let Some(slot) = self.global.first() {
            let (worker, lane) = self.pick_lane()?;
            if let Some(assignment) = self.give(slot, lane) {
                self.slot_cursor = worker + 1;
                return Some(assignment);
            }
        }
        None
    }

    fn give_bound(&mut self) -> Option<Assignment> {
        let capacity = self.lanes.capacity();
        for step in 0..capacity {
            let index = (self.lane_cursor + step) % capacity.max(1);
            while let Some(lane) = self.lanes.get(index) {
                if !lane.has_credit(self.settings.prefetch_ns, self.settings.prefetch_packages) {
                    break;
                }
                let Some(slot) = lane.runnable.first() else { break };
                if let Some(assignment) = self.give(slot, LaneSlot(index as u32)) {
                    self.lane_cursor = index + 1;
                    return Some(assignment);
                }
            }
        }
        None
    }

    /// The session leaves its list and gets its next delivery, if it still has one.
    fn give(&mut self, slot: ConnectionSlot, lane: LaneSlot) -> Option<Assignment> {
        let seq = self.lanes.get(lane.0 as usize)?.ledger.next_seq();
        let reading = self.reading && !self.paused;
        self.unlink(slot);
        let connection = self.connection(slot)?;
        let mut returned_len = 0;
        let content = if let Some(returned) = connection.returned.pop_front() {
            returned_len = returned.body.len() as u64;
            Content::Returned(returned)
        } else if connection.owes_connect {
            Content::Connect
        } else if connection.may_read(reading) && connection.readable {
            Content::Read
        } else if connection.owes_closed {
            Content::Closed
        } else {
            return None;
        };
        let session = connection.session;
        self.returned_bytes = self.returned_bytes.saturating_sub(returned_len);
        Some(Assignment { connection: slot, session, lane, seq, content })
    }

    /// The lane that gets the next free session, and its worker slot.
    fn pick_lane(&self) -> Option<(usize, LaneSlot)> {
        let (prefetch_ns, packages) = (self.settings.prefetch_ns, self.settings.prefetch_packages);
        let slots = self.serving.len();
        let start = self.slot_cursor;
        let mut best: Option<(u32, usize, LaneSlot)> = None;
        for step in 0..slots {
            let index = (start + step) % slots;
            let Some(lane_slot) = self.serving.get(index).copied().flatten() else { continue };
            let Some(lane) = self.lanes.get(lane_slot.0 as usize) else { continue };
            if !lane.has_credit(prefetch_ns, packages) {
                continue;
            }
            if self.settings.dispatch == Dispatch::RoundRobin || lane.load() == 0 {
                best = Some((0, index, lane_slot));
                break;
            }
            if best.is_none_or(|(load, _, _)| lane.load() < load) {
                best = Some((lane.load(), index, lane_slot));
            }
        }
        best.map(|(_, worker, lane)| (worker, lane))
    }

    /// Whether a worker idles while deliveries wait behind others at another: the lane to recall, now or (second value)
    /// at that time. Not with hashed sessions, which may go nowhere else.
    #[must_use]
    pub fn recall_candidate(
        &self,
        now: Nanos,
        taken: impl Fn(LaneSlot) -> u64,
    ) -> Option<(LaneSlot, Nanos)> {
        if self.settings.dispatch == Dispatch::SessionHash || !self.global.is_empty() {
            return None;
        }
        let serving = || {
            self.serving
                .iter()
                .flatten()
                .filter_map(|slot| self.lanes.get(slot.0 as usize).map(|lane| (*slot, lane)))
        };
        let (ns, packages) = (self.settings.prefetch_ns, self.settings.prefetch_packages);
        let idles = |lane: &Lane| {
            lane.in_hand == 0 && lane.runnable.is_empty() && lane.has_credit(ns, packages)
        };
        if !serving().any(|(_, lane)| idles(lane)) {
            return None;
        }
        let outstanding = |slot: ConnectionSlot| match self.connections.get(slot.0 as usize) {
            Some(Some(connection)) => connection.outstanding,
            _ => 0,
        };
        serving()
            .filter(|(_, lane)| lane.in_hand > 0)
            .filter_map(|(slot, lane)| {
                let waiting = lane.ledger.oldest_movable(taken(slot), outstanding)?;
                // Alone it waits behind a package of another reactor; or it has several parts and is on its way.
                if lane.in_hand == 1 && waiting.body.is_some() {
                    return None;
                }
                let patience = RECALL_AFTER_NS << lane.recalls_in_row.min(RECALL_DOUBLINGS_MAX);
                Some((slot, waiting.given_at.saturating_add(patience)))
            })
            .min_by_key(|(_, due)| *due)
            .map(|(slot, due)| (slot, due.max(now)))
    }

    /// Sessions hashed to a slot that is down for too long go to a slot that serves (seed row S19).
    pub fn rehash(&mut self, now: Nanos) {
        let live: Vec<LaneSlot> = self.serving.iter().flatten().copied().collect();
        if live.is_empty() {
            return;
        }
        for worker in 0..self.slot_waiting.len() {
            let Some(since) = self.down_since.get_mut(worker) else { continue };
            let is_down = self.serving.get(worker).is_some_and(Option::is_none);
            if !is_down || now < since.get_or_insert(now).saturating_add(self.settings.slot_down_ns)
            {
                continue;
            }
            for slot in self.unlink_all(RunListId::Slot(worker as u16)) {
                // Not the number that chose the slot: all its sessions would go to one lane.
                let spread = hash(hash(self.session(slot).unwrap_or(0)));
                let index = (spread % live.len() as u64) as usize;
                if let Some(lane) = live.get(index).copied() {
                    self.link(slot, RunListId::Lane(lane), Position::Last);
                }
            }
        }
    }

    /// When [`Brain::rehash`] is due next.
    #[must_use]
    pub fn rehash_due(&self) -> Option<Nanos> {
        if self.serving.iter().all(Option::is_none) {
            return None;
        }
        self.slot_waiting
            .iter()
            .zip(&self.down_since)
            .filter(|(waiting, _)| !waiting.is_empty())
            .map(|(_, since)| {
                since.map_or(0, |since| since.saturating_add(self.settings.slot_down_ns))
            })
            .min()
    }

    /// The sessions on the list of a lane or slot that changed find their new places.
    pub(super) fn requeue_all(&mut self, place: RunListId) {
        for slot in self.unlink_all(place) {
            self.enqueue(slot);
        }
    }

    /// Whether a lane takes packages.
    #[must_use]
    pub fn is_serving(&self, lane: LaneSlot) -> bool {
        self.lane_state(lane) == Some(LaneState::Serving)
    }
}

/// The worker slot of a hashed session.
pub(super) fn home(session: u64, workers: u16) -> u16 {
    (hash(session) % u64::from(workers.max(1))) as u16
}

/// Spreads session ids, whose low bits name the reactor and whose counters are consecutive, over the workers.
const fn hash(session: u64) -> u64 {
    let mixed = (session ^ (session >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}
