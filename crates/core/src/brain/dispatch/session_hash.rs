//! Dispatch `session_hash`: always the same worker slot for a session, by its id.

use super::super::Brain;
use super::super::run_lists::{Position, RunListId};
use crate::Nanos;
use crate::ids::LaneSlot;

impl Brain {
    /// Sessions hashed to a slot that is down for too long go to a slot that serves (S19).
    pub fn rehash(&mut self, now: Nanos) {
        let live: Vec<LaneSlot> = self.lanes.serving().map(|(slot, _)| slot).collect();
        if live.is_empty() {
            return;
        }
        for worker in 0..self.settings.workers {
            let down_for = self.lanes.down_for(usize::from(worker), now);
            if down_for.is_none_or(|down_for| down_for < self.settings.slot_down_ns) {
                continue;
            }
            for slot in self.lists.unlink_all(&mut self.sessions, RunListId::Slot(worker)) {
                // Not the number that chose the slot: all its sessions would go to one lane.
                let spread = hash(hash(self.session(slot).unwrap_or(0)));
                let index = (spread % live.len() as u64) as usize;
                if let Some(lane) = live.get(index).copied() {
                    self.lists.link(
                        &mut self.sessions,
                        slot,
                        RunListId::Lane(lane),
                        Position::Last,
                    );
                }
            }
        }
    }

    /// When [`Brain::rehash`] is due next.
    #[must_use]
    pub fn rehash_due(&self) -> Option<Nanos> {
        self.lanes.serving().next()?;
        (0..self.settings.workers)
            .filter(|worker| !self.lists.is_empty(RunListId::Slot(*worker)))
            .map(|worker| {
                let since = self.lanes.down_since(usize::from(worker));
                since.map_or(0, |since| since.saturating_add(self.settings.slot_down_ns))
            })
            .min()
    }
}

/// The worker slot of a hashed session.
pub(in crate::brain) fn home(session: u64, workers: u16) -> u16 {
    (hash(session) % u64::from(workers.max(1))) as u16
}

/// Spreads session ids, whose low bits name the reactor and whose counters are consecutive, over
/// the workers.
const fn hash(session: u64) -> u64 {
    let mixed = (session ^ (session >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}
