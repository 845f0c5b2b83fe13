//! Sessions that are at home in one worker slot: where that is, and what becomes of them while no
//! worker serves there (S19).

use super::super::Brain;
use super::super::run_lists::{Position, RunListId};
use super::super::sessions::Connection;
use super::session_hash;
use crate::Nanos;
use crate::ids::LaneSlot;
use crate::policy::Dispatch;

impl Brain {
    /// The worker slot where all deliveries of a session go; `None` when they may go to any.
    pub(in crate::brain) fn home_of(&self, connection: &Connection) -> Option<u16> {
        match self.settings.ports.get(connection.port).dispatch {
            Dispatch::SessionHash => {
                Some(session_hash::home(connection.session, self.settings.workers))
            }
            Dispatch::RoundRobin | Dispatch::IdleFirst => None,
        }
    }

    /// Sessions at home in a slot that is down for too long go to a slot that serves.
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
            self.rehash_peers(worker, &live);
            for slot in self.lists.unlink_all(&mut self.sessions, RunListId::Slot(worker)) {
                let spread = session_hash::spread(self.session(slot).unwrap_or(0));
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
            .filter(|worker| {
                !self.lists.is_empty(RunListId::Slot(*worker)) || self.peers.wait_for_slot(*worker)
            })
            .map(|worker| {
                let since = self.lanes.down_since(usize::from(worker));
                since.map_or(0, |since| since.saturating_add(self.settings.slot_down_ns))
            })
            .min()
    }
}
