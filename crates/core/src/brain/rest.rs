//! Whether a session waits for the server, and since when not: what is asked before its client is
//! held responsible for a silence.

use super::Brain;
use crate::Nanos;
use crate::ids::ConnectionSlot;

/// What a session has to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// A delivery of it is at a worker, or waits for one.
    pub is_served: bool,
    /// It has input that is to be read as soon as there is a worker for it.
    pub has_input: bool,
    /// It is not read because its client does not read, and for no other reason.
    pub is_held_by_output: bool,
    /// When the last of its deliveries left its worker.
    pub since: Nanos,
}

impl Brain {
    /// The time of the present turn, by which sessions come to rest.
    pub const fn begin_turn(&mut self, now: Nanos) {
        self.now = now;
        self.has_given_all = false;
    }

    /// What a session waits for.
    #[must_use]
    pub fn rest(&self, slot: ConnectionSlot) -> Option<Rest> {
        let connection = self.sessions.get(slot)?;
        Some(Rest {
            is_served: connection.outstanding > 0
                || connection.has_returned()
                || connection.owes_connect,
            has_input: connection.readable || connection.has_rest,
            is_held_by_output: connection.output_high
                && !connection.is_paused
                && !connection.is_held_back,
            since: connection.rested_at,
        })
    }
}
