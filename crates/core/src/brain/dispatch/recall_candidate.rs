//! When a worker idles while deliveries wait behind a slow one at another: late binding.

use super::super::Brain;
use super::super::lanes::Lane;
use super::super::run_lists::RunListId;
use crate::Nanos;
use crate::ids::LaneSlot;

/// A delivery that waited this long behind another is taken back when another worker idles.
const RECALL_AFTER_NS: Nanos = 1_000_000;
/// It waits twice as long with each recall in a row, up to so many times: workers that all seem to
/// idle and are all busy for other reactors would hand it round without end.
const RECALL_DOUBLINGS_MAX: u32 = 2;

impl Brain {
    /// Whether a worker idles while deliveries wait behind others at another: the lane to recall,
    /// now or (second value) at that time. What is at home at one worker may go nowhere else.
    #[must_use]
    pub fn recall_candidate(
        &self,
        now: Nanos,
        taken: impl Fn(LaneSlot) -> u64,
    ) -> Option<(LaneSlot, Nanos)> {
        if !self.lists.no_free_waits() || self.peers.wait_for_any() {
            return None;
        }
        let credit = self.credit();
        let idles = |(slot, lane): (LaneSlot, &Lane)| {
            lane.in_hand() == 0
                && self.lists.is_empty(RunListId::Lane(slot))
                && !self.peers.wait_for_lane(slot)
                && lane.has_credit(credit)
        };
        if !self.lanes.serving().any(idles) {
            return None;
        }
        let may_move = |subject, waiting| self.may_move(subject, waiting);
        self.lanes
            .serving()
            .filter(|(_, lane)| lane.in_hand() > 0)
            .filter_map(|(slot, lane)| {
                let waiting = lane.ledger.oldest_movable(taken(slot), may_move)?;
                // Alone it waits behind a package of another reactor; or it has several parts and
                // is on its way.
                if lane.in_hand() == 1 && waiting.body.is_some() {
                    return None;
                }
                let patience = RECALL_AFTER_NS << lane.recalls_in_row().min(RECALL_DOUBLINGS_MAX);
                Some((slot, waiting.given_at.saturating_add(patience)))
            })
            .min_by_key(|(_, due)| *due)
            .map(|(slot, due)| (slot, due.max(now)))
    }
}
