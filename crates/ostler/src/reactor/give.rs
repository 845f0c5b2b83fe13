//! Giving: from a session's socket (or from what came back) into a lane's package ring.

use std::io::{self, ErrorKind};

use ostler_core::brain::{
    Assignment, CloseReason, ConnectionSlot, Content, DeliveryKind, LaneSlot,
};
use ostler_core::framing::Frame;
use ostler_shm::record::{FLAG_LAST, FLAG_MORE, FLAG_REDELIVERED, Header, RecordKind};

use super::Reactor;
use super::lane_end::{LaneEnd, Sending};
use crate::sys::{lane_io, socket};

/// The least ring space worth a read; a smaller rest waits until more is free.
const READ_MIN_BYTES: u64 = 2 * 1024;
/// Position of a package whose last part is not written: no worker can have started it.
const NOT_WRITTEN: u64 = u64::MAX;

impl Reactor {
    pub(super) fn give(&mut self, mut assignment: Assignment) {
        let Some(mut end) = self.lanes.take(assignment.lane) else {
            return self.brain.no_room(assignment);
        };
        let lane = assignment.lane;
        match std::mem::replace(&mut assignment.content, Content::Read) {
            Content::Connect => self.give_event(
                &mut end,
                Assignment { content: Content::Connect, ..assignment },
                RecordKind::Connect,
            ),
            Content::Closed => self.give_event(
                &mut end,
                Assignment { content: Content::Closed, ..assignment },
                RecordKind::Closed,
            ),
            Content::Returned(returned) => {
                let kind = match returned.kind {
                    DeliveryKind::Connect => RecordKind::Connect,
                    DeliveryKind::Closed => RecordKind::Closed,
                    DeliveryKind::Package => RecordKind::Data,
                };
                self.give_returned(
                    &mut end,
                    Assignment { content: Content::Returned(returned), ..assignment },
                    kind,
                );
            }
            Content::Read if self.settings.keeps_unused => self.give_stream(&mut end, assignment),
            Content::Read if self.intake_mut(assignment.connection).is_some() => {
                self.give_framed(&mut end, assignment)
            }
            Content::Read => self.give_raw(&mut end, assignment),
        }
        self.lanes.put_back(lane, end);
    }

    fn header(&self, assignment: &Assignment, kind: RecordKind, total: u32) -> Header {
        Header {
            kind: kind as u8,
            seq: assignment.seq,
            subject: assignment.session,
            stamp: self.now,
            total,
            ..Header::default()
        }
    }

    fn give_event(&mut self, end: &mut LaneEnd, assignment: Assignment, kind: RecordKind) {
        let Some(opening) = end.giver.open(end.memory.capacity(), 0, 0) else {
            return self.brain.no_room(assignment);
        };
        let header = self.header(&assignment, kind, 0);
        let given = end.giver.complete(&end.memory.packages, opening, header, 0);
        self.brain.record_written(assignment, given.position, 0, None, false, self.now);
    }

    fn give_returned(&mut self, end: &mut LaneEnd, mut assignment: Assignment, kind: RecordKind) {
        let Content::Returned(returned) = &mut assignment.content else { return };
        let mut flags = if returned.attempt > 0 { FLAG_REDELIVERED } else { 0 };
        if self.settings.keeps_unused && self.brain.is_input_ended(assignment.connection) {
            flags |= FLAG_LAST;
        }
        let body = std::mem::take(&mut returned.body);
        if body.len() > self.settings.sizes.payload_max() {
            return self.begin_sending(end, assignment, body, flags, false);
        }
        let len = body.len() as u64;
        let Some(opening) = end.giver.open(end.memory.capacity(), len, len) else {
            returned.body = body;
            return self.brain.no_room(assignment);
        };
        end.memory.packages.raw_mut(opening.payload_offset, body.len()).copy_from(&body);
        let header = Header { flags, ..self.header(&assignment, kind, body.len() as u32) };
        let given = end.giver.complete(&end.memory.packages, opening, header, len);
        self.brain.record_written(assignment, given.position, len as u32, None, false, self.now);
    }

    /// Reads a raw session straight into the ring.
    pub(super) fn give_raw(&mut self, end: &mut LaneEnd, assignment: Assignment) {
        let want = self.settings.receive_size as u64;
        let least = READ_MIN_BYTES.min(want);
        let Some(opening) = end.giver.open(end.memory.capacity(), want, least) else {
            return self.brain.no_room(assignment);
        };
        let Some(connection) = self.connections.get_mut(assignment.connection) else {
            return self.brain.input_dry(&assignment);
        };
        let mut space =
            end.memory.packages.raw_mut(opening.payload_offset, opening.payload_max as usize);
        match lane_io::recv(&connection.socket, &mut space) {
            Ok(0) => {
                self.brain.input_dry(&assignment);
                self.brain.peer_done(assignment.connection);
            }
            Ok(len) => {
                // A short read empties the socket; what comes later is told by a new edge, but the
                // end may be told already.
                let more = len as u64 == opening.payload_max || connection.reads_may_be_short;
                let header = self.header(&assignment, RecordKind::Data, len as u32);
                let given = end.giver.complete(&end.memory.packages, opening, header, len as u64);
                self.brain.record_written(
                    assignment,
                    given.position,
                    len as u32,
                    None,
                    more,
                    self.now,
                );
            }
            Err(error) => self.read_failed(&assignment, error.kind()),
        }
    }

    pub(super) fn read_failed(&mut self, assignment: &Assignment, kind: ErrorKind) {
        match kind {
            ErrorKind::WouldBlock => self.brain.input_dry(assignment),
            ErrorKind::Interrupted => {
                self.brain.input_dry(assignment);
                self.brain.readable(assignment.connection);
            }
            _ => {
                self.brain.input_dry(assignment);
                self.peer_lost(assignment.connection);
            }
        }
    }

    /// Gives the next message of a framed session; receives until there is one, or until the
    /// session has had its share.
    fn give_framed(&mut self, end: &mut LaneEnd, assignment: Assignment) {
        let mut share = self.receive_share.session_bytes();
        loop {
            let Some(intake) = self.intake_mut(assignment.connection) else {
                return self.brain.input_dry(&assignment);
            };
            match intake.frame() {
                Frame::Package { len } => {
                    // Whether more is there is known only by looking: the socket may hold more than
                    // was received.
                    self.give_package(end, assignment, len, 0, true);
                    return;
                }
                Frame::TooLong => {
                    self.brain.input_dry(&assignment);
                    // What came before it is still answered.
                    return self
                        .brain
                        .end_input(assignment.connection, CloseReason::PackageTooLong);
                }
                Frame::NeedMore => {}
            }
            if share == 0 {
                // What the kernel holds is received in the next turn.
                self.brain.input_dry(&assignment);
                return self.receive_share.wait_for_turn(assignment.connection);
            }
            match self.receive_framed(assignment.connection, share) {
                Ok(None) => return self.brain.input_dry(&assignment),
                Ok(Some(0)) => {
                    self.brain.input_dry(&assignment);
                    return self.brain.peer_done(assignment.connection);
                }
                Ok(Some(len)) => {
                    share -= len;
                    self.receive_share.count(len);
                }
                Err(error) => return self.read_failed(&assignment, error.kind()),
            }
        }
    }

    /// Receives up to `share` bytes, as far as there is memory for them. `None`: there is none.
    pub(super) fn receive_framed(
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
        let received = socket::recv(&connection.socket, space);
        let mut grown = 0;
        if let (Ok(len), Some(intake)) = (&received, connection.intake.as_deref_mut()) {
            let before = intake.charged();
            intake.push(space.get(..*len).unwrap_or_default(), room);
            grown = intake.charged().saturating_sub(before);
        }
        self.account.release(room.saturating_sub(grown) as u64);
        received.map(Some)
    }

    /// Gives the first `len` bytes of what was received. Returns false when the ring has no room
    /// for them.
    pub(super) fn give_package(
        &mut self,
        end: &mut LaneEnd,
        assignment: Assignment,
        len: usize,
        flags: u8,
        more: bool,
    ) -> bool {
        let slot = assignment.connection;
        let payload_max = self.settings.sizes.payload_max();
        let Some(intake) = self.intake_mut(slot) else { return false };
        let before = intake.charged();
        if len > payload_max {
            let body = intake.take(len);
            let freed = before.saturating_sub(intake.charged());
            self.intake_shrank(slot, freed);
            self.begin_sending(end, assignment, body, flags, more);
            return true;
        }
        let Some(opening) = end.giver.open(end.memory.capacity(), len as u64, len as u64) else {
            self.brain.no_room(assignment);
            return false;
        };
        end.memory.packages.raw_mut(opening.payload_offset, len).copy_from(intake.front(len));
        intake.consume(len);
        let freed = before.saturating_sub(intake.charged());
        self.intake_shrank(slot, freed);
        let header = Header { flags, ..self.header(&assignment, RecordKind::Data, len as u32) };
        let given = end.giver.complete(&end.memory.packages, opening, header, len as u64);
        self.brain.record_written(assignment, given.position, len as u32, None, more, self.now);
        true
    }

    // ---- packages larger than one record (protocol §8) ------------------------------------------

    /// Begins to write a package in parts. Its body stays with the delivery until it is finished;
    /// the lane takes nothing else until the last part is written.
    fn begin_sending(
        &mut self,
        end: &mut LaneEnd,
        assignment: Assignment,
        body: Vec<u8>,
        flags: u8,
        more: bool,
    ) {
        let (seq, session, lane) = (assignment.seq, assignment.session, assignment.lane);
        let len = body.len() as u32;
        self.brain.record_written(assignment, NOT_WRITTEN, len, Some(body), more, self.now);
        end.sending = Some(Sending { seq, session, flags, offset: 0 });
        self.continue_sending(end, lane);
    }

    fn continue_sending(&mut self, end: &mut LaneEnd, lane: LaneSlot) {
        let Some(mut sending) = end.sending.take() else { return };
        let payload_max = self.settings.sizes.payload_max();
        while let Some(body) = self.brain.body(lane, sending.seq) {
            let (left, total) = (body.len() - sending.offset, body.len() as u32);
            let part = left.min(payload_max);
            let least = (part as u64).min(READ_MIN_BYTES);
            let Some(opening) = end.giver.open(end.memory.capacity(), part as u64, least) else {
                self.brain.set_full(lane);
                end.sending = Some(sending);
                return;
            };
            let part = part.min(opening.payload_max as usize);
            let bytes = body.get(sending.offset..sending.offset + part).unwrap_or(&[]);
            end.memory.packages.raw_mut(opening.payload_offset, part).copy_from(bytes);
            let more = part < left;
            let header = Header {
                kind: RecordKind::Data as u8,
                flags: sending.flags | if more { FLAG_MORE } else { 0 },
                seq: sending.seq,
                subject: sending.session,
                stamp: self.now,
                part_offset: sending.offset as u32,
                total,
                ..Header::default()
            };
            let given = end.giver.complete(&end.memory.packages, opening, header, part as u64);
            sending.offset += part;
            if !more {
                self.brain.set_position(lane, sending.seq, given.position);
                self.brain.room_freed(lane);
                return;
            }
        }
    }

    /// Goes on with packages that wait for ring space.
    pub(super) fn continue_sendings(&mut self) {
        for index in 0..self.lanes.len() {
            let lane = LaneSlot(index as u32);
            if self.lanes.get(lane).is_some_and(|end| end.sending.is_some())
                && let Some(mut end) = self.lanes.take(lane)
            {
                self.continue_sending(&mut end, lane);
                self.lanes.put_back(lane, end);
            }
        }
    }

    /// Makes what was given visible and rings the workers that sleep: once per turn (decision 8).
    pub(super) fn publish(&mut self) {
        let mut dirty = false;
        for (_, end) in self.lanes.iter_mut() {
            end.has_news = end.giver.is_dirty();
            end.giver.publish(end.memory.down());
            dirty |= end.has_news;
        }
        if !dirty {
            return;
        }
        ostler_shm::sync::fence(ostler_shm::sync::Ordering::SeqCst);
        for (_, end) in self.lanes.iter_mut() {
            let word = &end.memory.process().sleep.worker_sleep;
            if end.has_news && end.worker_ringer.needs_bell(word) {
                crate::sys::eventfd::ring_own(&end.worker_bell);
            }
        }
    }
}
