//! The memory budget in a reactor: charge, and when nothing is left, end the session that holds the
//! most (decision 13).

use ostler_core::brain::{CloseReason, ConnectionSlot};

use super::Reactor;

impl Reactor {
    /// Charges `bytes` that a session is about to hold. When the budget is exhausted the session
    /// with the largest queue of this reactor is closed, until there is room; false when that was
    /// this session itself.
    pub(super) fn charge_for(&mut self, slot: ConnectionSlot, bytes: usize) -> bool {
        loop {
            if self.account.charge(bytes as u64) {
                self.publish_pressure();
                return true;
            }
            let own = self.connections.get_mut(slot).map_or(0, |connection| connection.charged());
            let largest = self
                .connections
                .iter()
                .map(|(slot, connection)| (connection.charged(), slot))
                .filter(|(charged, other)| *charged > own + bytes && *other != slot)
                .max_by_key(|(charged, _)| *charged);
            let victim = largest.map_or(slot, |(_, other)| other);
            self.brain.close(victim, CloseReason::MemoryBudget);
            self.carry_out();
            if victim == slot {
                return false;
            }
        }
    }

    pub(super) fn publish_pressure(&self) {
        let tight = self.account.budget().is_tight();
        if tight != self.board.pressure() {
            self.board.set_pressure(tight);
        }
    }

    /// Bodies of deliveries are the brain's; their charge follows once per turn. They cannot be
    /// refused, for their packages were accepted already, and no session that merely reads slowly
    /// is to blame: while the budget does not cover them nothing fresh is read.
    pub(super) fn settle_charges(&mut self) {
        let held = self.brain.held_bytes();
        let covered = if held > self.charged_held {
            self.account.charge(held - self.charged_held)
        } else {
            self.account.release(self.charged_held - held);
            true
        };
        if covered {
            self.charged_held = held;
        }
        self.brain.pause_reading(!covered);
        self.publish_pressure();
    }
}
