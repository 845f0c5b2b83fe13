//! Reading sessions: how what clients send becomes packages. One file per way of reading.

pub(super) mod framed;
pub(super) mod intake;
pub(super) mod kept_input;
pub(super) mod raw;
mod refused;
pub(super) mod stream;
#[cfg(test)]
mod tests;

use ostler_core::brain::{Assignment, ConnectionSlot};

use super::ClientSide;
use super::destination::Destination;

/// The least ring space worth a read; a smaller rest waits until more is free.
pub(super) const READ_MIN_BYTES: u64 = 2 * 1024;

impl ClientSide {
    /// Gives the next package of a session, read as its framing says.
    pub(super) fn give_input(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        if self.settings.ports.get(assignment.port).keeps_unused {
            self.give_stream(destination, slot, assignment);
        } else if self.intake_mut(slot).is_some() {
            self.give_framed(destination, slot, assignment);
        } else {
            self.give_raw(destination, slot, assignment);
        }
    }
}
