//! The least loaded worker, for the modes that differ in what a load is.

use super::super::lanes::{Lane, Lanes};
use crate::ids::LaneSlot;

/// The worker slot whose lane has the least load, and that lane; among equals the first from `from`
/// on. `load` is `None` for a lane that takes nothing now.
pub(super) fn least(
    lanes: &Lanes,
    from: usize,
    load: impl Fn(&Lane) -> Option<u32>,
) -> Option<(usize, LaneSlot)> {
    let slots = lanes.slots();
    let mut best: Option<(u32, usize, LaneSlot)> = None;
    for worker in (0..slots).map(|step| (from + step) % slots) {
        let Some((slot, lane)) = lanes.serving_in(worker) else { continue };
        let Some(load) = load(lane) else { continue };
        if best.is_none_or(|(least, _, _)| load < least) {
            best = Some((load, worker, slot));
        }
        if load == 0 {
            break; // nobody has less
        }
    }
    best.map(|(_, worker, slot)| (worker, slot))
}
