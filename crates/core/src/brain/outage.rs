//! No worker serves, and has not for long: who waits is refused instead of hanging without limit.

use super::{Brain, CloseReason};
use crate::Nanos;

impl Brain {
    /// When [`Brain::begin_refusing`] is due: `slot_down_ns` after the last worker stopped serving.
    /// `None` while one serves, before the first has served, or once it has begun.
    #[must_use]
    pub fn refusal_due(&self) -> Option<Nanos> {
        if self.refusing || self.lanes.serving().next().is_some() {
            return None;
        }
        let since = (0..self.lanes.slots()).filter_map(|slot| self.lanes.down_since(slot)).max()?;
        Some(since.saturating_add(self.settings.slot_down_ns))
    }

    /// From now on until a worker serves, sessions that ask for something are closed. Idle ones
    /// stay: what they will ask for may find a worker.
    pub fn begin_refusing(&mut self) {
        self.refusing = true;
        for slot in self.sessions.places() {
            self.refuse(slot);
        }
        self.refuse_datagrams();
    }

    /// Whether sessions that ask for something are closed because no worker serves.
    #[must_use]
    pub const fn is_refusing(&self) -> bool {
        self.refusing
    }

    /// Closes a session that waits for a worker, or has it answered. One with a delivery at a
    /// worker that leaves is let be until that is over.
    pub(super) fn refuse(&mut self, slot: crate::ids::ConnectionSlot) {
        if self.answers_refused(slot) {
            if self.waits_for_worker(slot) {
                self.answer_refused(slot);
            }
        } else if self.asks_for_worker(slot) {
            self.turn_away(slot, CloseReason::NoWorker);
        }
    }
}
