//! The input of a stream: a worker says how much of a package it has used; the rest is kept and
//! given again, with what came since, to whichever worker has its turn.
//!
//! As long as all is used nothing is kept, and the session is read straight into the ring like a
//! raw one.

use std::io::ErrorKind;

use ostler_core::brain::{Assignment, CloseReason, ConnectionSlot, LaneSlot, PortId, Unused};
use ostler_core::framing::Frame;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::record::{FLAG_LAST, Header};

use super::intake::Intake;
use crate::reactor::ClientSide;
use crate::reactor::destination::Destination;

/// What a look at the socket brought, besides bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// There may be more.
    More,
    /// Nothing for now: an edge tells of more.
    Nothing,
    /// The client has shut down its side.
    End,
    /// Reading failed.
    Failed(ErrorKind),
}

impl ClientSide {
    /// Gives what was kept of a session's input, with what came since.
    pub(in crate::reactor) fn give_stream(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        if self.intake_mut(slot).is_none() {
            return self.give_raw(destination, slot, assignment);
        }
        let behind = self.receive_behind(slot, assignment.port);
        let hangup = self
            .connections
            .get_mut(slot)
            .is_none_or(|connection| connection.transport.may_hold_more());
        let Some(intake) = self.intake_mut(slot) else { return self.brain.input_dry(slot) };
        let all = intake.len();
        let (len, is_last) = match (intake.frame(), behind) {
            (Frame::Package { len }, _) => (len, behind == Behind::End && len == all),
            // No more of it comes: the worker sees it once more, and that it is the last.
            (Frame::NeedMore, Behind::End) if all > 0 => (all, true),
            (Frame::NeedMore, Behind::End) => {
                self.brain.input_dry(slot);
                return self.brain.peer_done(slot);
            }
            (Frame::NeedMore, Behind::Failed(kind)) => {
                return self.read_failed(slot, kind);
            }
            // A stream has no header that could say more: these two are not its answers.
            (Frame::NeedMore | Frame::Incomplete { .. } | Frame::Malformed, _) => {
                return self.brain.input_dry(slot);
            }
            (Frame::TooLong, _) => {
                self.brain.input_dry(slot);
                return self.brain.end_input(slot, CloseReason::PackageTooLong);
            }
        };
        let flags = if is_last { FLAG_LAST } else { 0 };
        let more = behind != Behind::Nothing || hangup || len < all;
        if !self.give_package(destination, slot, assignment, len, flags, more) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(slot) {
            if let Some(timing) = connection.timing.as_deref_mut() {
                timing.clock.part_given(self.now);
            }
            // A session without a rest keeps nothing.
            connection.intake.take_if(|intake| intake.len() == 0);
        }
        if is_last {
            self.brain.end_input(slot, CloseReason::Peer);
        }
    }

    /// Receives behind what is kept of a session's input: as much as is kept already, so that a
    /// long message that is given again and again until it is complete does not cost the square of
    /// its length.
    fn receive_behind(&mut self, slot: ConnectionSlot, port: PortId) -> Behind {
        let kept = self.intake_mut(slot).map_or(0, |intake| intake.len());
        if self.connections.get_mut(slot).is_none() {
            // The client is gone: this is all.
            return if kept > 0 { Behind::End } else { Behind::Failed(ErrorKind::NotConnected) };
        }
        if !self.brain.takes_fresh_input() {
            return Behind::More;
        }
        let share = self.receive_share.session_bytes();
        // It is copied, too.
        self.receive_share.count(kept);
        let port = self.settings.ports.get(port);
        let room = port.package_max_length.saturating_sub(kept);
        let mut want = kept.max(port.receive_size).min(share).min(room);
        while want > 0 {
            let most = want.min(self.scratch.len());
            match self.receive_framed(slot, most, None) {
                Ok(Some(0)) => return Behind::End,
                Ok(Some(len)) => {
                    self.receive_share.count(len);
                    self.part_was_received(slot, len);
                    want -= len;
                }
                // The budget wakes the session when there is memory again.
                Ok(None) => return Behind::Nothing,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.went_dry(slot);
                    return Behind::Nothing;
                }
                Err(error) => return Behind::Failed(error.kind()),
            }
        }
        Behind::More
    }

    /// A worker has finished a package and used only the first `total` bytes of it.
    pub(in crate::reactor) fn finish_partly(
        &mut self,
        lane: LaneSlot,
        destination: &Destination,
        header: &Header,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let (seq, used) = (header.cause, header.total);
        let rest = &mut |entry: &_| destination.body(entry, used);
        let unused =
            self.brain.finish_partly(lane, seq, used, started, rest).map_err(ProtocolViolation)?;
        if let Some(unused) = unused {
            self.put_back(&unused);
        }
        Ok(())
    }

    fn put_back(&mut self, unused: &Unused) {
        let Unused { connection: slot, port, used, bytes } = unused;
        let framer = self.settings.ports.get(*port).rest_framer;
        if let Some(connection) = self.connections.get_mut(*slot) {
            connection.intake.get_or_insert_with(|| Box::new(Intake::new(framer)));
        }
        let Some(intake) = self.intake_mut(*slot) else {
            return self.put_back_of_lost(unused);
        };
        let growth = intake.growth_in_front(bytes.len());
        intake.put_back(*used as usize, bytes);
        let is_too_long = intake.frame() == Frame::TooLong;
        self.publish_input(*slot);
        self.intake_grew(*slot, growth);
        self.rest_was_left(*slot, *used > 0);
        if is_too_long {
            self.brain.end_input(*slot, CloseReason::PackageTooLong);
        }
    }

    /// The client is gone and nothing else of it is kept.
    fn put_back_of_lost(&mut self, unused: &Unused) {
        let mut intake = Box::new(Intake::new(self.settings.ports.get(unused.port).rest_framer));
        let growth = intake.growth_in_front(unused.bytes.len());
        intake.put_back(unused.used as usize, &unused.bytes);
        self.charge_put_back(growth);
        self.keep_or_drop_input(unused.connection, intake, CloseReason::PeerError);
    }
}
