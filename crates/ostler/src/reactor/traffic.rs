//! What came and went with a session, as the session table shows it: times are those of the turn,
//! so that no clock is read for it.

use ostler_core::brain::ConnectionSlot;
use ostler_shm::sessions::Entry;

use super::ClientSide;

impl ClientSide {
    /// Bytes of a session were received.
    pub(super) fn bytes_came(&mut self, slot: ConnectionSlot, len: usize) {
        let now = self.now;
        if let Some(entry) = self.entry_of(slot) {
            entry.note_received(now, len as u64);
        }
        self.meter(slot, 0, len);
    }

    /// A worker was given a package of a session.
    pub(super) fn note_given(&mut self, slot: ConnectionSlot, session: u64) {
        let kept = self.intake_mut(slot).map_or(0, |intake| intake.len());
        if let Some(entry) = self.board.entry(session) {
            entry.note_given(self.now, kept as u64);
        }
    }

    /// Bytes were written to a session.
    pub(super) fn note_sent(&mut self, slot: ConnectionSlot, len: u64) {
        let now = self.now;
        if len > 0
            && let Some(entry) = self.entry_of(slot)
        {
            entry.note_sent(now, len);
        }
    }

    /// Tells the session table how much of a session's input waits in memory.
    pub(super) fn publish_input(&mut self, slot: ConnectionSlot) {
        let kept = self.intake_mut(slot).map_or(0, |intake| intake.len());
        if let Some(entry) = self.entry_of(slot) {
            entry.note_ungiven(kept as u64);
        }
    }

    /// The entry of a session that has a connection.
    fn entry_of(&mut self, slot: ConnectionSlot) -> Option<Entry<'_>> {
        let session = self.connections.get_mut(slot)?.session;
        self.board.entry(session)
    }
}
