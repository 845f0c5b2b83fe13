//! Dispatch `least_in_hand`: the worker with the fewest unfinished deliveries, those included that
//! it has deferred. It is for handlers that wait for others and work on many packages at once:
//! their workers look idle to `idle_first`, because their callbacks are over.

use super::super::lanes::{Credit, Lanes};
use super::least::least;
use crate::ids::LaneSlot;

/// The worker slot with credit and the fewest unfinished deliveries, and its lane; among equals the
/// first from `from` on.
pub(super) fn pick(lanes: &Lanes, from: usize, credit: Credit) -> Option<(usize, LaneSlot)> {
    least(lanes, from, |lane| {
        lane.has_credit(credit).then(|| lane.unfinished().saturating_add(lane.suspicion()))
    })
}
