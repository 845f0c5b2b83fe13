//! Dispatch `round_robin`: the next worker in turn that has credit.

use super::super::lanes::{Credit, Lanes};
use crate::ids::LaneSlot;

/// The first worker slot from `from` on whose lane has credit, and that lane.
pub(super) fn pick(lanes: &Lanes, from: usize, credit: Credit) -> Option<(usize, LaneSlot)> {
    let slots = lanes.slots();
    (0..slots).map(|step| (from + step) % slots).find_map(|worker| {
        let (slot, lane) = lanes.serving_in(worker)?;
        lane.has_credit(credit).then_some((worker, slot))
    })
}
