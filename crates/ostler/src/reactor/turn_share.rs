//! How much sessions may have of something before others have their turn.
//!
//! A framed session receives until a package is complete, and a file is sent until it is written.
//! Without a bound a client that is faster than the reactor would keep the whole turn to itself,
//! and everybody else would wait.

use ostler_core::brain::ConnectionSlot;

/// Bytes that one session may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Before the others have their turn.
    pub(super) session_bytes: usize,
    /// All sessions together, before the loop looks at its events again.
    pub(super) turn_bytes: usize,
}

/// Bytes that a framed session may receive. Four reads of the default `receive_size`, so that a big
/// package still costs few turns.
const RECEIVE_SESSION_BYTES: usize = 256 * 1024;
/// Bytes that all framed sessions may receive: about a third of a millisecond of copying.
const RECEIVE_TURN_BYTES: usize = 1024 * 1024;
/// Bytes of files that a session may send: as much at once as a slow disk may read while all others
/// wait.
const FILE_SESSION_BYTES: usize = 256 * 1024;
/// Bytes of files that all sessions may send: about a third of a millisecond of copying.
const FILE_TURN_BYTES: usize = 1024 * 1024;

/// What framed sessions may receive.
pub(super) const RECEIVING: Bounds =
    Bounds { session_bytes: RECEIVE_SESSION_BYTES, turn_bytes: RECEIVE_TURN_BYTES };
/// What is sent of files.
pub(super) const SENDING_FILES: Bounds =
    Bounds { session_bytes: FILE_SESSION_BYTES, turn_bytes: FILE_TURN_BYTES };

/// The account of one turn.
#[derive(Debug)]
pub(super) struct TurnShare {
    bounds: Bounds,
    /// Bytes of this turn.
    used: usize,
    /// Sessions that used up their share; they go on in the next turn, behind the others.
    waiting: Vec<ConnectionSlot>,
}

impl TurnShare {
    pub(super) const fn new(bounds: Bounds) -> Self {
        Self { bounds, used: 0, waiting: Vec::new() }
    }

    /// Bytes that one session may have at once.
    pub(super) const fn session_bytes(&self) -> usize {
        self.bounds.session_bytes
    }

    /// A turn begins: the sessions that waited for it.
    pub(super) fn begin_turn(&mut self) -> Vec<ConnectionSlot> {
        self.used = 0;
        std::mem::take(&mut self.waiting)
    }

    pub(super) const fn count(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Whether the turn's bytes are used up.
    pub(super) const fn is_used_up(&self) -> bool {
        self.used >= self.bounds.turn_bytes
    }

    /// The session goes on in the next turn.
    pub(super) fn wait_for_turn(&mut self, slot: ConnectionSlot) {
        self.waiting.push(slot);
    }

    /// These go on in the next turn, before all others.
    pub(super) fn wait_in_front(&mut self, slots: impl Iterator<Item = ConnectionSlot>) {
        self.waiting.splice(..0, slots);
    }

    /// Whether a session waits for the next turn.
    pub(super) const fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}
