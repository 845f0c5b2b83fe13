//! Reading without framing: from the socket straight into a lane's package ring.

use std::io::ErrorKind;

use ostler_core::brain::{Assignment, ConnectionSlot};
use ostler_shm::record::RecordKind;

use super::READ_MIN_BYTES;
use crate::reactor::ClientSide;
use crate::reactor::destination::Destination;
use crate::reactor::transport::Received;

impl ClientSide {
    /// Reads a raw session straight into the ring.
    pub(in crate::reactor) fn give_raw(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        let want = self.settings.ports.get(assignment.port).receive_size as u64;
        let least = READ_MIN_BYTES.min(want);
        let Some(opening) = destination.open(want, least) else {
            return self.brain.no_room(assignment);
        };
        let Some(connection) = self.connections.get_mut(slot) else {
            // Its client was lost, and all that was kept of its input is given.
            return self.brain.input_dry(slot);
        };
        let mut space = destination.space(&opening, opening.payload_max as usize);
        let received = connection.transport.recv_into(&mut space);
        if let (Ok(Received { len: 1.., more }), Some(timing)) =
            (&received, connection.timing.as_deref_mut())
        {
            timing.read_package(self.now, *more);
        }
        self.transport_changed(slot);
        match received {
            Ok(Received { len: 0, .. }) => {
                self.brain.input_dry(slot);
                self.brain.peer_done(slot);
            }
            Ok(Received { len, more }) => {
                self.bytes_came(slot, len);
                let header = self.header(&assignment, RecordKind::Data, len as u32);
                let position = destination.complete(opening, header, len as u64);
                self.brain.record_written(assignment, position, len as u32, None, more, self.now);
            }
            Err(error) => self.read_failed(slot, error.kind()),
        }
    }

    pub(in crate::reactor) fn read_failed(&mut self, slot: ConnectionSlot, kind: ErrorKind) {
        match kind {
            ErrorKind::WouldBlock => {
                self.brain.input_dry(slot);
                self.went_dry(slot);
            }
            ErrorKind::Interrupted => {
                self.brain.input_dry(slot);
                self.brain.readable(slot);
            }
            _ => {
                self.brain.input_dry(slot);
                self.peer_lost(slot);
            }
        }
    }
}
