//! Lanes begin, leave and die; what they had is settled (protocol §7, §9, §10).

use super::brain::{BodyCopier, Brain, BrainAction};
use super::connection::{ConnectionSlot, Phase, Returned, RunListId};
use super::lane::{Lane, LaneSlot, LaneState};
use super::ledger::{DeliveryKind, Entry};
use super::lists::Position;
use super::reason::CloseReason;
use crate::Nanos;
use crate::ids::WorkerKey;
use crate::policy::CrashPolicy;

impl Brain {
    /// A lane to a worker that boots.
    pub fn add_lane(&mut self, key: WorkerKey) -> LaneSlot {
        let estimate = self.slot_estimate.get(usize::from(key.slot.0)).copied().flatten();
        LaneSlot(self.lanes.insert(Lane::new(key, estimate)) as u32)
    }

    /// The worker is ready: packages go to it from now on. Its predecessor in the slot must be told to leave
    /// ([`Brain::leave`]) by the caller first.
    pub fn serve(&mut self, lane_slot: LaneSlot) {
        let Some(lane) = self.lane_mut(lane_slot) else { return };
        if lane.state != LaneState::Booting {
            return;
        }
        lane.state = LaneState::Serving;
        let lane_worker = lane.key.slot.0;
        let worker = usize::from(lane_worker);
        if let Some(serving) = self.serving.get_mut(worker) {
            *serving = Some(lane_slot);
        }
        if let Some(since) = self.down_since.get_mut(worker) {
            *since = None;
        }
        self.requeue_all(RunListId::Slot(lane_worker));
    }

    /// The worker takes no more packages: what it has not started (`position >= t`) comes back.
    pub fn leave(&mut self, lane_slot: LaneSlot, t: u64, now: Nanos, copy: BodyCopier<'_>) {
        let Some(lane) = self.lane_mut(lane_slot) else { return };
        if matches!(lane.state, LaneState::Condemned | LaneState::Leaving) {
            return;
        }
        lane.state = LaneState::Leaving;
        self.not_serving(lane_slot, now);
        self.recalled(lane_slot, t, copy);
        if self.lanes.get(lane_slot.0 as usize).is_some_and(|lane| lane.ledger.is_empty()) {
            self.actions.push_back(BrainAction::LaneDrained(lane_slot));
        }
    }

    /// A recall ended with the boundary `t`: deliveries not started go back to the front of their sessions.
    pub fn recalled(&mut self, lane_slot: LaneSlot, t: u64, copy: BodyCopier<'_>) {
        let no_prefetch_ns = self.settings.prefetch_ns.saturating_add(1).saturating_mul(8);
        while let Some(entry) =
            self.lane_mut(lane_slot).and_then(|lane| lane.ledger.pop_unstarted(t))
        {
            if let Some(lane) = self.lane_mut(lane_slot) {
                lane.in_hand = lane.in_hand.saturating_sub(1);
            }
            self.books.recalls += 1;
            self.give_back(entry, copy);
        }
        if let Some(lane) = self.lane_mut(lane_slot) {
            lane.recalls_in_row += 1;
            lane.is_full = false;
            if lane.state == LaneState::Serving {
                // What waited behind a slow delivery would only wait there again: no prefetch until it proves fast.
                lane.estimate_ns = lane.estimate_ns.max(no_prefetch_ns);
            }
        }
    }

    /// Puts one delivery, newest first, back to the front of its session's order.
    fn give_back(&mut self, mut entry: Entry, copy: BodyCopier<'_>) {
        let slot = entry.connection;
        let is_package = entry.kind == DeliveryKind::Package;
        if is_package {
            self.books.in_hand = self.books.in_hand.saturating_sub(1);
        }
        let gone = self.phase(slot).is_none_or(|phase| phase != Phase::Open);
        if is_package && gone {
            self.books.dropped_session_gone += 1;
        } else if is_package && entry.deaths_while_waiting > self.settings.deaths_while_waiting_max
        {
            self.books.count_closed_by(CloseReason::Unservable);
            self.close(slot, CloseReason::Unservable);
        } else if entry.kind == DeliveryKind::Connect && self.phase(slot) == Some(Phase::Ended) {
            self.forget_unseen_session(slot, entry.attempt > 0);
        } else {
            self.books.recalled += u64::from(is_package);
            let body = match entry.body.take() {
                Some(body) => body,
                None if is_package => copy(&entry),
                None => Vec::new(),
            };
            let (kind, attempt, deaths_while_waiting) =
                (entry.kind, entry.attempt, entry.deaths_while_waiting);
            let len = body.len() as u64;
            if let Some(connection) = self.connection(slot) {
                connection.returned.push_front(Returned {
                    kind,
                    body,
                    attempt,
                    deaths_while_waiting,
                });
                self.returned_bytes += len;
            }
        }
        // Newest first, each before those given later: the lists keep the order in which the sessions had their turn.
        self.left_lane(slot, Position::First);
    }

    /// The connect event of a session that is over came back: if no worker ever saw it, nobody is to be told its end.
    fn forget_unseen_session(&mut self, slot: ConnectionSlot, was_seen: bool) {
        if let Some(connection) = self.connection(slot)
            && !was_seen
        {
            connection.owes_closed = false;
            // The close event, if it came back too.
            connection.returned.clear();
            connection.is_closed = true;
        }
    }

    /// The worker wrote nonsense: every session with a delivery at this lane ends now, nothing more is given.
    pub fn condemn(&mut self, lane_slot: LaneSlot, now: Nanos) {
        let Some(lane) = self.lane_mut(lane_slot) else { return };
        if lane.state == LaneState::Condemned {
            return;
        }
        lane.state = LaneState::Condemned;
        let sessions: Vec<_> =
            lane.ledger.iter().filter(|entry| !entry.done).map(|entry| entry.connection).collect();
        self.not_serving(lane_slot, now);
        for slot in sessions {
            self.close(slot, CloseReason::WorkerCondemned);
        }
    }

    /// The worker is dead and its committed outputs are consumed: settles what it had. `t` bounds what it had started.
    pub fn worker_died(&mut self, lane_slot: LaneSlot, t: u64, now: Nanos, copy: BodyCopier<'_>) {
        self.not_serving(lane_slot, now);
        let Some(lane) = self.lane_mut(lane_slot) else { return };
        let condemned = lane.state == LaneState::Condemned;
        lane.state = LaneState::Condemned;
        let worker = usize::from(lane.key.slot.0);
        let estimate = lane.estimate_ns;
        while let Some(entry) = self.lane_mut(lane_slot).and_then(|lane| lane.ledger.pop_newest()) {
            if !entry.done {
                self.settle(entry, t, condemned, copy);
            }
        }
        if let Some(place) = self.slot_estimate.get_mut(worker) {
            *place = Some(estimate);
        }
        self.actions.retain(|action| *action != BrainAction::LaneDrained(lane_slot));
        self.lanes.try_remove(lane_slot.0 as usize);
    }

    fn settle(&mut self, mut entry: Entry, t: u64, condemned: bool, copy: BodyCopier<'_>) {
        let slot = entry.connection;
        if entry.position >= t && !condemned {
            self.books.recalls += 1;
            entry.deaths_while_waiting = entry.deaths_while_waiting.saturating_add(1);
            self.give_back(entry, copy);
            return;
        }
        match self.settings.crash_policy {
            _ if entry.kind == DeliveryKind::Closed => {
                // Started once: never again, whatever the policy.
                self.delivery_ended(slot, DeliveryKind::Closed);
            }
            CrashPolicy::Redeliver(most)
                if !entry.exposed && !condemned && entry.attempt < most =>
            {
                self.settle_by_redelivery(entry, copy);
            }
            CrashPolicy::Drop if !condemned => {
                if entry.kind == DeliveryKind::Package {
                    self.books.in_hand = self.books.in_hand.saturating_sub(1);
                    self.books.dropped_worker_died += 1;
                }
                self.delivery_ended(slot, entry.kind);
            }
            _ => self.settle_by_close(&entry, condemned),
        }
    }

    fn settle_by_redelivery(&mut self, mut entry: Entry, copy: BodyCopier<'_>) {
        let is_package = entry.kind == DeliveryKind::Package;
        if self.phase(entry.connection) == Some(Phase::Open) {
            entry.attempt += 1;
            self.books.redelivered += u64::from(is_package);
            self.give_back(entry, copy);
            return;
        }
        // Nothing of it was seen, and the session ends anyway: what it still has to write is written.
        if is_package {
            self.books.in_hand = self.books.in_hand.saturating_sub(1);
            self.books.dropped_session_gone += 1;
        }
        self.delivery_ended(entry.connection, entry.kind);
    }

    fn settle_by_close(&mut self, entry: &Entry, condemned: bool) {
        let slot = entry.connection;
        let reason = if condemned { CloseReason::WorkerCondemned } else { CloseReason::WorkerDied };
        self.close(slot, reason);
        if entry.kind == DeliveryKind::Package {
            self.books.in_hand = self.books.in_hand.saturating_sub(1);
            if self.connection(slot).is_some_and(|session| session.ended_by == Some(reason)) {
                self.books.count_closed_by(reason);
            } else {
                self.books.dropped_session_gone += 1;
            }
        }
        self.delivery_ended(slot, entry.kind);
    }

    /// The memory of a lane whose worker was never forked is dropped.
    pub fn remove_lane(&mut self, lane_slot: LaneSlot) {
        let unused = !self.serving.contains(&Some(lane_slot))
            && self.lanes.get(lane_slot.0 as usize).is_some_and(|lane| lane.ledger.is_empty());
        if unused {
            self.lanes.remove(lane_slot.0 as usize);
        }
    }

    fn not_serving(&mut self, lane_slot: LaneSlot, now: Nanos) {
        for (serving, since) in self.serving.iter_mut().zip(&mut self.down_since) {
            if *serving == Some(lane_slot) {
                *serving = None;
                *since = Some(now);
            }
        }
        // Bound sessions come back to this list until their deliveries are over; hashed ones move on.
        self.requeue_all(RunListId::Lane(lane_slot));
    }
}
