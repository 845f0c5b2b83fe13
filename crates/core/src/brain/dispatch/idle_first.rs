//! Dispatch `idle_first`: the worker with the least in hand, so that nobody waits behind a slow
//! package while another worker idles (P5).

use super::super::lanes::{Credit, Lanes};
use crate::ids::LaneSlot;

/// The worker slot whose lane has credit and the least load, and that lane; among equals the first
/// from `from` on.
pub(super) fn pick(lanes: &Lanes, from: usize, credit: Credit) -> Option<(usize, LaneSlot)> {
    let slots = lanes.slots();
    let mut best: Option<(u32, usize, LaneSlot)> = None;
    for worker in (0..slots).map(|step| (from + step) % slots) {
        let Some((slot, lane)) = lanes.serving_in(worker) else { continue };
        if !lane.has_credit(credit) {
            continue;
        }
        let load = lane.load();
        if best.is_none_or(|(least, _, _)| load < least) {
            best = Some((load, worker, slot));
        }
        if load == 0 {
            break; // nobody has less
        }
    }
    best.map(|(_, worker, slot)| (worker, slot))
}
