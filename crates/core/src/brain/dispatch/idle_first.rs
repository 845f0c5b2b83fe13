//! Dispatch `idle_first`: the worker with the least in hand, so that nobody waits behind a slow
//! package while another worker idles (P5).

use super::super::lanes::{Credit, Lanes};
use super::least::least;
use crate::ids::LaneSlot;

/// The worker slot whose lane has credit and the least load, and that lane; among equals the first
/// from `from` on.
pub(super) fn pick(lanes: &Lanes, from: usize, credit: Credit) -> Option<(usize, LaneSlot)> {
    least(lanes, from, |lane| lane.has_credit(credit).then(|| lane.load()))
}
