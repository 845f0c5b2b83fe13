//! Reading with framing. A package that comes at once is received straight into the ring; what
//! comes in pieces, or behind another package, goes into the session's intake, and from there one
//! package after the other.

use std::io::{self, ErrorKind};

use ostler_core::brain::{Assignment, CloseReason, ConnectionSlot};
use ostler_core::framing::{Frame, NextBytes};
use ostler_core::invariant;
use ostler_shm::giver::Opening;
use ostler_shm::record::RecordKind;

use super::READ_MIN_BYTES;
use crate::reactor::ClientSide;
use crate::reactor::destination::Destination;
use crate::reactor::transport::Received;

/// What a look at the socket brought: how many bytes, `None` when there is no memory for any.
type Look = io::Result<Option<usize>>;

/// What became of bytes that were received into the ring.
#[derive(Debug)]
enum InPlace {
    /// The first `len` of them are a package: the payload of the opening is in place.
    Package { len: usize, more: bool },
    /// There is no whole package yet: they are in the intake.
    Kept(Look),
}

impl ClientSide {
    /// Gives the next message of a framed session; receives until there is one, or until the
    /// session has had its share.
    pub(in crate::reactor) fn give_framed(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        let port = self.settings.ports.get(assignment.port);
        let mut share = self.receive_share.session_bytes().min(port.burst_max);
        if self.has_nothing_kept(slot) {
            let want = self.settings.ports.get(assignment.port).receive_size.min(share) as u64;
            let Some(opening) = destination.open(want, READ_MIN_BYTES.min(want)) else {
                return self.brain.no_room(assignment);
            };
            match self.receive_in_place(destination, &opening, slot) {
                InPlace::Package { len, more } => {
                    let header = self.header(&assignment, RecordKind::Data, len as u32);
                    let position = destination.complete(opening, header, len as u64);
                    let len = len as u32;
                    return self
                        .brain
                        .record_written(assignment, position, len, None, more, self.now);
                }
                InPlace::Kept(look) => {
                    if !self.goes_on(slot, look, &mut share) {
                        return;
                    }
                }
            }
        }
        self.give_kept(destination, slot, assignment, share);
    }

    fn give_kept(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
        share: usize,
    ) {
        let Some(len) = self.next_message(slot, share) else { return };
        // Whether more is there is known only by looking: the socket may hold more than was
        // received.
        if self.give_package(destination, slot, assignment, len, 0, true) {
            self.package_was_given(slot);
            if self.draining {
                self.hold_whole_message(slot);
            }
        }
    }

    /// Receives until a whole message is at the front of what is kept of a session, and answers its
    /// length. `None`, of which the brain knows: there is none for now.
    pub(in crate::reactor) fn next_message(
        &mut self,
        slot: ConnectionSlot,
        mut share: usize,
    ) -> Option<usize> {
        loop {
            let Some(intake) = self.intake_mut(slot) else {
                invariant!(false, "a framed session has an intake to its end");
                self.brain.input_dry(slot);
                return None;
            };
            let stated = match intake.frame() {
                Frame::Package { len } => return Some(len),
                // What came before it is still answered.
                Frame::TooLong => {
                    self.brain.input_dry(slot);
                    self.brain.end_input(slot, CloseReason::PackageTooLong);
                    return None;
                }
                Frame::Malformed => {
                    self.brain.input_dry(slot);
                    self.brain.end_input(slot, CloseReason::PackageMalformed);
                    return None;
                }
                Frame::NeedMore => None,
                Frame::Incomplete { len } => Some(len),
            };
            if share == 0 {
                // What the kernel holds is received in the next turn.
                self.brain.input_dry(slot);
                self.receive_share.wait_for_turn(slot);
                return None;
            }
            let look = self.receive_framed(slot, share, stated);
            if !self.goes_on(slot, look, &mut share) {
                return None;
            }
        }
    }

    /// A drain begins: whole messages that were received are served, whatever comes behind them is
    /// not read any more.
    pub(in crate::reactor) fn hold_whole_messages(&mut self) {
        let slots: Vec<_> = self.connections.iter().map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.hold_whole_message(slot));
    }

    /// While the server drains: whether another message is there.
    pub(in crate::reactor) fn hold_whole_message(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        // What is kept of a stream has no messages, and is given again by other rules.
        let is_framed = !self.settings.ports.get(connection.port).keeps_unused;
        let intake =
            connection.intake.as_deref_mut().filter(|intake| is_framed && intake.len() > 0);
        if intake.is_some_and(|intake| matches!(intake.frame(), Frame::Package { .. })) {
            self.brain.hold_message(slot);
        }
    }

    /// Takes note of a look at the socket; false when there is nothing to be given for now.
    fn goes_on(&mut self, slot: ConnectionSlot, look: Look, share: &mut usize) -> bool {
        match look {
            Ok(None) => self.brain.input_dry(slot),
            Ok(Some(0)) => {
                self.brain.input_dry(slot);
                self.brain.peer_done(slot);
            }
            Ok(Some(len)) => {
                *share = share.saturating_sub(len);
                self.receive_share.count(len);
                self.part_was_received(slot, len);
                return true;
            }
            Err(error) => self.read_failed(slot, error.kind()),
        }
        false
    }

    /// Whether the client is there and everything that was received of it is given.
    fn has_nothing_kept(&mut self, slot: ConnectionSlot) -> bool {
        let connection = self.connections.get_mut(slot);
        let intake = connection.and_then(|connection| connection.intake.as_deref());
        intake.is_some_and(|intake| intake.len() == 0)
    }

    /// Receives into the opening. If a package is there whole it stays, and only what follows it is
    /// copied into the intake; else everything is.
    fn receive_in_place(
        &mut self,
        destination: &mut Destination,
        opening: &Opening,
        slot: ConnectionSlot,
    ) -> InPlace {
        let (most, room) = self.room_to_receive(slot, opening.payload_max as usize);
        if most == 0 {
            return InPlace::Kept(Ok(None));
        }
        let Some(connection) = self.connections.get_mut(slot) else {
            return InPlace::Kept(Err(ErrorKind::NotConnected.into()));
        };
        let mut space = destination.space(opening, most);
        let received = connection.transport.recv_into(&mut space);
        let mut grown = 0;
        let mut package = None;
        if let (Ok(Received { len, more }), Some(intake)) =
            (&received, connection.intake.as_deref_mut())
        {
            let bytes = space.filled(*len);
            let first = match intake.frame_elsewhere(bytes) {
                Frame::Package { len } => len,
                _ => 0,
            };
            let behind = bytes.get(first..).unwrap_or_default();
            if !behind.is_empty() {
                let before = intake.charged();
                intake.push(behind, room);
                grown = intake.charged().saturating_sub(before);
            }
            let more = *more || !behind.is_empty();
            package = (first > 0).then_some((first, more));
            if let Some(timing) = connection.timing.as_deref_mut()
                && first > 0
            {
                timing.read_package(self.now, more);
            }
        }
        self.memory.release(room.saturating_sub(grown) as u64);
        self.transport_changed(slot);
        match (received, package) {
            (Ok(Received { len: all, .. }), Some((len, more))) => {
                self.receive_share.count(all);
                self.bytes_came(slot, all);
                InPlace::Package { len, more }
            }
            (received, _) => InPlace::Kept(received.map(|received| Some(received.len))),
        }
    }

    /// Receives up to `share` bytes, as far as there is memory for them. `None`: there is none.
    /// `stated`: what the header of the package says that is being received.
    pub(in crate::reactor) fn receive_framed(
        &mut self,
        slot: ConnectionSlot,
        share: usize,
        stated: Option<usize>,
    ) -> Look {
        let buffered = self.intake_mut(slot).map_or(0, |intake| intake.len());
        if let Some(len) = stated
            && self.fills(slot, len, buffered)
        {
            return self.receive_to_share(slot, share);
        }
        if let NextBytes::Stay { capacity } = NextBytes::of(buffered, stated)
            && self.charge_whole(slot, capacity)
        {
            let connection = self.connections.get_mut(slot).ok_or(ErrorKind::NotConnected)?;
            let intake = connection.intake.as_deref_mut().ok_or(ErrorKind::NotConnected)?;
            let most = share.min(capacity.saturating_sub(buffered));
            let received = connection.transport.recv_behind(intake.grow_to(capacity), most);
            self.transport_changed(slot);
            return received.map(Some);
        }
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
        self.transport_changed(slot);
        received.map(Some)
    }

    /// Whether a package of `len` bytes is received where its worker will read it: one that was
    /// begun there, or begins now that enough of it has come.
    fn fills(&mut self, slot: ConnectionSlot, len: usize, buffered: usize) -> bool {
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        let Some(intake) = connection.intake.as_deref_mut() else { return false };
        if intake.is_filling(len) {
            return true;
        }
        let (NextBytes::Stay { capacity }, Some(area)) =
            (NextBytes::of(buffered, Some(len)), &self.bodies)
        else {
            return false;
        };
        let before = intake.charged();
        if !self.memory.charge(capacity as u64) {
            return false;
        }
        let begins = intake.begin_filling(area, capacity);
        self.memory.release(if begins { before } else { capacity } as u64);
        begins
    }

    /// Receives up to `share` bytes of such a package.
    fn receive_to_share(&mut self, slot: ConnectionSlot, share: usize) -> Look {
        let connection = self.connections.get_mut(slot).ok_or(ErrorKind::NotConnected)?;
        let intake = connection.intake.as_deref_mut().ok_or(ErrorKind::NotConnected)?;
        let Some(space) = intake.space_to_fill() else {
            invariant!(false, "it was begun");
            return Err(ErrorKind::NotConnected.into());
        };
        let received = connection.transport.recv_into(&mut space.first(share));
        if let Ok(Received { len, .. }) = received {
            intake.filled(len);
        }
        self.transport_changed(slot);
        received.map(|received| Some(received.len))
    }

    /// Charges memory for a whole package, if there is some.
    fn charge_whole(&mut self, slot: ConnectionSlot, len: usize) -> bool {
        let connection = self.connections.get_mut(slot);
        let Some(intake) = connection.and_then(|connection| connection.intake.as_deref()) else {
            return false;
        };
        self.memory.charge(intake.growth_to(len) as u64)
    }
}
