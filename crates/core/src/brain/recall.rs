//! What a worker had not started comes back, to the front of its order (protocol §7).

use super::{BodyCopier, Brain};
use crate::ids::LaneSlot;

impl Brain {
    /// A recall ended with the boundary `t`: deliveries not started go back to the front of their
    /// order.
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
}
