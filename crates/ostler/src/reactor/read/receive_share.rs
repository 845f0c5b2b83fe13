//! How much framed sessions may receive before others have their turn.
//!
//! A framed session receives until a package is complete. Without a bound the sender of a big
//! package that is faster than the reactor would keep the whole turn to itself, and everybody else
//! would wait.

use ostler_core::brain::ConnectionSlot;

/// Bytes that one session may receive before the others have their turn: four reads of the default
/// `receive_size`, so that a big package still costs few turns.
pub(in crate::reactor) const SESSION_BYTES: usize = 256 * 1024;
/// Bytes that all framed sessions together may receive before the loop looks at its events again:
/// about a third of a millisecond of copying.
pub(in crate::reactor) const TURN_BYTES: usize = 1024 * 1024;

/// The account of one turn.
#[derive(Debug)]
pub(in crate::reactor) struct ReceiveShare {
    session_bytes: usize,
    turn_bytes: usize,
    /// Bytes that were received in this turn.
    received: usize,
    /// Sessions that used up their share; they go on in the next turn, behind the others.
    waiting: Vec<ConnectionSlot>,
}

impl ReceiveShare {
    pub(in crate::reactor) const fn new(session_bytes: usize, turn_bytes: usize) -> Self {
        Self { session_bytes, turn_bytes, received: 0, waiting: Vec::new() }
    }

    /// Bytes that one session may receive at once.
    pub(in crate::reactor) const fn session_bytes(&self) -> usize {
        self.session_bytes
    }

    /// A turn begins: the sessions that waited for it.
    pub(in crate::reactor) fn begin_turn(&mut self) -> Vec<ConnectionSlot> {
        self.received = 0;
        std::mem::take(&mut self.waiting)
    }

    pub(in crate::reactor) const fn count(&mut self, bytes: usize) {
        self.received += bytes;
    }

    /// Whether the turn's bytes are used up.
    pub(in crate::reactor) const fn is_used_up(&self) -> bool {
        self.received >= self.turn_bytes
    }

    /// The session goes on in the next turn.
    pub(in crate::reactor) fn wait_for_turn(&mut self, slot: ConnectionSlot) {
        self.waiting.push(slot);
    }

    /// Whether a session waits for the next turn.
    pub(in crate::reactor) const fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}
