//! Reading with framing: into a session's intake, and from there one package after the other.

use std::io::{self, ErrorKind};

use ostler_core::brain::{Assignment, CloseReason, ConnectionSlot};
use ostler_core::framing::Frame;
use ostler_core::invariant;

use crate::reactor::ClientSide;
use crate::reactor::destination::Destination;

impl ClientSide {
    /// Gives the next message of a framed session; receives until there is one, or until the
    /// session has had its share.
    pub(in crate::reactor) fn give_framed(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        let mut share = self.receive_share.session_bytes();
        loop {
            let Some(intake) = self.intake_mut(slot) else {
                invariant!(false, "a framed session has an intake to its end");
                return self.brain.input_dry(slot);
            };
            match intake.frame() {
                Frame::Package { len } => {
                    // Whether more is there is known only by looking: the socket may hold more than
                    // was received.
                    self.give_package(destination, slot, assignment, len, 0, true);
                    return;
                }
                // What came before it is still answered.
                Frame::TooLong => {
                    self.brain.input_dry(slot);
                    return self.brain.end_input(slot, CloseReason::PackageTooLong);
                }
                Frame::Malformed => {
                    self.brain.input_dry(slot);
                    return self.brain.end_input(slot, CloseReason::PackageMalformed);
                }
                Frame::NeedMore | Frame::Incomplete { .. } => {}
            }
            if share == 0 {
                // What the kernel holds is received in the next turn.
                self.brain.input_dry(slot);
                return self.receive_share.wait_for_turn(slot);
            }
            match self.receive_framed(slot, share) {
                Ok(None) => return self.brain.input_dry(slot),
                Ok(Some(0)) => {
                    self.brain.input_dry(slot);
                    return self.brain.peer_done(slot);
                }
                Ok(Some(len)) => {
                    share -= len;
                    self.receive_share.count(len);
                }
                Err(error) => return self.read_failed(slot, error.kind()),
            }
        }
    }

    /// Receives up to `share` bytes, as far as there is memory for them. `None`: there is none.
    pub(in crate::reactor) fn receive_framed(
        &mut self,
        slot: ConnectionSlot,
        share: usize,
    ) -> io::Result<Option<usize>> {
        let (most, room) = self.room_to_receive(slot, share.min(self.scratch.len()));
        if most == 0 {
            return Ok(None);
        }
        let connection = self.connections.get_mut(slot).ok_or(ErrorKind::NotConnected)?;
        let space = self.scratch.get_mut(..most).unwrap_or_default();
        let received = connection.transport.recv(space);
        let mut grown = 0;
        if let (Ok(len), Some(intake)) = (&received, connection.intake.as_deref_mut()) {
            let before = intake.charged();
            intake.push(space.get(..*len).unwrap_or_default(), room);
            grown = intake.charged().saturating_sub(before);
        }
        self.memory.release(room.saturating_sub(grown) as u64);
        received.map(Some)
    }
}
