//! Dispatch `pull`: all packages wait in one place, and a worker gets its next one when it has
//! finished the one before (S26).
//!
//! What differs from `idle_first`: nothing is kept ready at a busy worker, whatever `prefetch_us`
//! says, and a session is not bound to the worker that has a package of it. So its packages are
//! started in their order, but by several workers at once, and finished as they are finished. Only
//! the connect event is over before the first of them begins, and the close event begins when the
//! last is over.

use super::super::lanes::{Credit, Lanes};
use super::least::least;
use crate::ids::LaneSlot;

/// A worker slot that has nothing in hand, and its lane: one that seems least to be busy for other
/// reactors; among equals the first from `from` on.
pub(super) fn pick(lanes: &Lanes, from: usize, credit: Credit) -> Option<(usize, LaneSlot)> {
    least(lanes, from, |lane| {
        (lane.in_hand() == 0 && lane.has_credit(credit)).then(|| lane.suspicion())
    })
}
