//! What a worker had not started comes back, to the front of its session's order (protocol §7).

use super::books::PackageFate;
use super::ledger::Entry;
use super::run_lists::Position;
use super::{BodyCopier, Brain, CloseReason, Phase, Returned};
use crate::ids::{ConnectionSlot, DeliveryKind, LaneSlot};

impl Brain {
    /// A recall ended with the boundary `t`: deliveries not started go back to the front of their
    /// sessions.
    pub fn recalled(&mut self, lane_slot: LaneSlot, t: u64, copy: BodyCopier<'_>) {
        while let Some(entry) =
            self.lane_mut(lane_slot).and_then(|lane| lane.ledger.pop_unstarted(t))
        {
            if let Some(lane) = self.lane_mut(lane_slot) {
                lane.count_taken_back();
            }
            self.books.delivery_recalled();
            self.give_back(entry, copy);
        }
        if let Some(lane) = self.lane_mut(lane_slot) {
            lane.recalled();
        }
    }

    /// Puts one delivery, newest first, back to the front of its session's order.
    pub(super) fn give_back(&mut self, mut entry: Entry, copy: BodyCopier<'_>) {
        let slot = entry.connection;
        let is_package = entry.kind == DeliveryKind::Package;
        let gone = self.phase(slot).is_none_or(|phase| !phase.is_served());
        if is_package && gone {
            self.books.package_left_worker(PackageFate::DroppedSessionGone);
        } else if is_package && entry.deaths_while_waiting > self.settings.deaths_while_waiting_max
        {
            self.books.package_left_worker(PackageFate::ClosedBy(CloseReason::Unservable));
            self.close(slot, CloseReason::Unservable);
        } else if entry.kind == DeliveryKind::Connect && self.has_nothing_to_serve(slot) {
            self.forget_unseen_session(slot, entry.attempt > 0);
        } else {
            if is_package {
                self.books.package_left_worker(PackageFate::Waits);
            }
            let body = match entry.body.take() {
                Some(body) => body,
                None if is_package => copy(&entry),
                None => Vec::new(),
            };
            let Entry { kind, attempt, deaths_while_waiting, .. } = entry;
            let returned = Returned { kind, body, attempt, deaths_while_waiting };
            self.sessions.push_returned(slot, returned);
        }
        // Newest first, each before those given later: the lists keep the order in which the
        // sessions had their turn.
        self.left_lane(slot, Position::First);
    }

    /// Whether the socket is closed and no package is left.
    fn has_nothing_to_serve(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(|connection| match connection.phase {
            Phase::Open | Phase::Flushing(_) => false,
            Phase::PeerGone => !connection.readable && !connection.has_returned_package(),
            Phase::Ended => true,
        })
    }

    /// The connect event of a session that is over came back: if no worker ever saw it, nobody is
    /// to be told its end.
    fn forget_unseen_session(&mut self, slot: ConnectionSlot, was_seen: bool) {
        if let Some(connection) = self.connection(slot)
            && !was_seen
        {
            connection.owes_closed = false;
            connection.is_closed = true;
            // The close event, if it came back too.
            self.sessions.drop_returned(slot, |_| true);
        }
    }
}
