//! Giving: events, packages that came back, and what was received, to a destination.

use ostler_core::body::Body;
use ostler_core::brain::{Assignment, ConnectionSlot, Content, DeliveryKind, Subject};
use ostler_core::invariant;
use ostler_core::send_queue::BufferEvent;
use ostler_shm::giver::Opening;
use ostler_shm::record::{FLAG_IN_AREA, FLAG_LAST, FLAG_REDELIVERED, Header, RecordKind};

use super::Destination;
use crate::reactor::{ClientSide, Reactor};

impl Reactor {
    pub(in crate::reactor) fn give(&mut self, assignment: Assignment) {
        match self.destinations.get_mut(assignment.lane) {
            Some(destination) => self.clients.give(destination, assignment),
            None => self.clients.brain.no_room(assignment),
        }
    }
}

impl ClientSide {
    fn give(&mut self, destination: &mut Destination, mut assignment: Assignment) {
        match std::mem::replace(&mut assignment.content, Content::Read) {
            Content::Connect => self.give_event(
                destination,
                Assignment { content: Content::Connect, ..assignment },
                RecordKind::Connect,
            ),
            Content::Closed => self.give_event(
                destination,
                Assignment { content: Content::Closed, ..assignment },
                RecordKind::Closed,
            ),
            Content::Buffer(event) => self.give_event(
                destination,
                Assignment { content: Content::Buffer(event), ..assignment },
                kind_of(DeliveryKind::Buffer(event)),
            ),
            Content::Returned(returned) => {
                let kind = kind_of(returned.kind);
                self.give_returned(
                    destination,
                    Assignment { content: Content::Returned(returned), ..assignment },
                    kind,
                );
            }
            Content::Read => match assignment.subject {
                Subject::Session(slot) => {
                    if self.is_over_rate(slot) {
                        return self.refuse_over_rate(destination, slot, assignment);
                    }
                    self.give_counted(destination, slot, assignment);
                }
                Subject::Peer(_) => {
                    invariant!(false, "a datagram is given when it is read, or kept")
                }
            },
        }
    }

    /// Gives what a session has sent, and counts it.
    pub(in crate::reactor) fn give_counted(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        let (before, session) = (self.brain.books().received, assignment.subject_number);
        self.give_input(destination, slot, assignment);
        if self.brain.books().received != before {
            self.note_given(slot, session);
            self.meter(slot, 1, 0);
            self.count_package_of_address(slot);
        }
    }

    pub(in crate::reactor) fn header(
        &self,
        assignment: &Assignment,
        kind: RecordKind,
        total: u32,
    ) -> Header {
        Header {
            kind: kind as u8,
            port: assignment.port.0,
            seq: assignment.seq,
            subject: assignment.subject_number,
            stamp: self.now,
            received: assignment.received_at,
            total,
            ..Header::default()
        }
    }

    fn give_event(
        &mut self,
        destination: &mut Destination,
        assignment: Assignment,
        kind: RecordKind,
    ) {
        let Some(opening) = destination.open(0, 0) else {
            return self.brain.no_room(assignment);
        };
        let header = self.header(&assignment, kind, 0);
        let position = destination.complete(opening, header, 0);
        self.brain.record_written(assignment, position, 0, None, false, self.now);
    }

    fn give_returned(
        &mut self,
        destination: &mut Destination,
        mut assignment: Assignment,
        kind: RecordKind,
    ) {
        let Content::Returned(returned) = &mut assignment.content else {
            return invariant!(false, "what is given again has come back");
        };
        let mut flags = if returned.attempt > 0 { FLAG_REDELIVERED } else { 0 };
        let keeps_unused = self.settings.ports.get(assignment.port).keeps_unused;
        let is_data = kind == RecordKind::Data;
        if is_data && keeps_unused && self.brain.is_input_ended(assignment.subject) {
            flags |= FLAG_LAST;
        }
        let body = std::mem::take(&mut returned.body);
        if body.shared().is_some() {
            let Some(opening) = destination.open(0, 0) else {
                returned.body = body;
                return self.brain.no_room(assignment);
            };
            return self.give_shared(destination, opening, assignment, body, flags, false);
        }
        if body.len() > self.settings.sizes.payload_max() {
            return self.begin_sending(destination, assignment, kind, body, flags, false);
        }
        let len = body.len() as u64;
        let Some(opening) = destination.open(len, len) else {
            returned.body = body;
            return self.brain.no_room(assignment);
        };
        destination.space(&opening, body.len()).copy_from(&body);
        let header = Header { flags, ..self.header(&assignment, kind, body.len() as u32) };
        let position = destination.complete(opening, header, len);
        self.brain.record_written(assignment, position, len as u32, None, false, self.now);
    }

    /// Gives the first `len` bytes of what was received of a session. Returns false when the ring
    /// has no room for them.
    pub(in crate::reactor) fn give_package(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
        len: usize,
        flags: u8,
        more: bool,
    ) -> bool {
        let payload_max = self.settings.sizes.payload_max();
        let Some(intake) = self.intake_mut(slot) else { return false };
        let before = intake.charged();
        if intake.is_shared() {
            let Some(opening) = destination.open(0, 0) else {
                self.brain.no_room(assignment);
                return false;
            };
            let body = intake.take(len);
            self.intake_shrank(slot, before);
            self.give_shared(destination, opening, assignment, body, flags, more);
            return true;
        }
        if len > payload_max {
            let body = intake.take(len);
            let freed = before.saturating_sub(intake.charged());
            self.intake_shrank(slot, freed);
            self.begin_sending(destination, assignment, RecordKind::Data, body, flags, more);
            return true;
        }
        let Some(opening) = destination.open(len as u64, len as u64) else {
            self.brain.no_room(assignment);
            return false;
        };
        destination.space(&opening, len).copy_from(intake.front(len));
        intake.consume(len);
        let freed = before.saturating_sub(intake.charged());
        self.intake_shrank(slot, freed);
        let header = Header { flags, ..self.header(&assignment, RecordKind::Data, len as u32) };
        let position = destination.complete(opening, header, len as u64);
        self.brain.record_written(assignment, position, len as u32, None, more, self.now);
        true
    }
}

impl ClientSide {
    /// Gives a package that the worker reads from where it lies.
    fn give_shared(
        &mut self,
        destination: &mut Destination,
        opening: Opening,
        assignment: Assignment,
        body: Body,
        flags: u8,
        more: bool,
    ) {
        let len = body.len() as u32;
        let header = Header {
            flags: flags | FLAG_IN_AREA,
            part_offset: body.shared().map_or(0, |shared| shared.place()),
            ..self.header(&assignment, RecordKind::Data, len)
        };
        let position = destination.complete(opening, header, 0);
        self.brain.record_written(assignment, position, len, Some(body), more, self.now);
    }
}

/// The kind of record that tells a worker of a delivery.
const fn kind_of(kind: DeliveryKind) -> RecordKind {
    match kind {
        DeliveryKind::Connect => RecordKind::Connect,
        DeliveryKind::Package => RecordKind::Data,
        DeliveryKind::Datagram => RecordKind::Datagram,
        DeliveryKind::Buffer(BufferEvent::Full) => RecordKind::BufferFull,
        DeliveryKind::Buffer(BufferEvent::Empty) => RecordKind::BufferEmpty,
        DeliveryKind::Closed => RecordKind::Closed,
    }
}
