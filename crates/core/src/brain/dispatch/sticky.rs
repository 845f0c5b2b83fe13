//! Dispatch `sticky`: a session goes to the worker that has the least in hand when it begins, and
//! stays with that slot. When no worker serves there for too long, it chooses anew.

use super::super::lanes::{Credit, Lanes};
use super::super::sessions::Home;
use super::least_in_hand;
use crate::ids::LaneSlot;

/// The worker slot for a session that has none yet, and its lane.
pub(super) fn pick(lanes: &Lanes, from: usize, credit: Credit) -> Option<(usize, LaneSlot)> {
    least_in_hand::pick(lanes, from, credit)
}

/// Where a session is at home.
pub(super) const fn home(home: Home) -> Option<u16> {
    match home {
        Home::Slot(worker) => Some(worker),
        _ => None,
    }
}
