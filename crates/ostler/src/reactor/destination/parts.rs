//! Packages larger than one record: written in parts, as far as the ring has room (protocol §8).

use ostler_core::body::Body;
use ostler_core::brain::{Assignment, LaneSlot};
use ostler_shm::record::{FLAG_MORE, Header, RecordKind};

use super::Destination;
use crate::reactor::read::READ_MIN_BYTES;
use crate::reactor::{ClientSide, Reactor};

/// Position of a package whose last part is not written: no worker can have started it.
const NOT_WRITTEN: u64 = u64::MAX;

/// A package of several parts that is being written into a package ring. Its body is the brain's,
/// with the delivery.
#[derive(Clone, Copy, Debug)]
pub(in crate::reactor) struct Sending {
    seq: u64,
    /// The number by which records name what it is about.
    subject: u64,
    port: u16,
    received_at: u64,
    kind: RecordKind,
    flags: u8,
    offset: usize,
}

impl ClientSide {
    /// Begins to write a package in parts. Its body stays with the delivery until it is finished;
    /// the lane takes nothing else until the last part is written.
    pub(in crate::reactor) fn begin_sending(
        &mut self,
        destination: &mut Destination,
        assignment: Assignment,
        kind: RecordKind,
        body: Body,
        flags: u8,
        more: bool,
    ) {
        let Assignment { seq, lane, received_at, .. } = assignment;
        let (subject, port) = (assignment.subject_number, assignment.port.0);
        let len = body.len() as u32;
        self.brain.record_written(assignment, NOT_WRITTEN, len, Some(body), more, self.now);
        destination.sending =
            Some(Sending { seq, subject, port, received_at, kind, flags, offset: 0 });
        self.continue_sending(destination, lane);
    }

    fn continue_sending(&mut self, destination: &mut Destination, lane: LaneSlot) {
        // Most of the time nothing waits.
        let Some(mut sending) = destination.sending.take() else { return };
        let payload_max = self.settings.sizes.payload_max();
        while let Some(body) = self.brain.body(lane, sending.seq) {
            let (left, total) = (body.len() - sending.offset, body.len() as u32);
            let part = left.min(payload_max);
            let least = (part as u64).min(READ_MIN_BYTES);
            let Some(opening) = destination.open(part as u64, least) else {
                self.brain.set_full(lane);
                destination.sending = Some(sending);
                return;
            };
            let part = part.min(opening.payload_max as usize);
            let bytes = body.get(sending.offset..sending.offset + part).unwrap_or(&[]);
            destination.space(&opening, part).copy_from(bytes);
            let more = part < left;
            let header = Header {
                kind: sending.kind as u8,
                flags: sending.flags | if more { FLAG_MORE } else { 0 },
                port: sending.port,
                seq: sending.seq,
                subject: sending.subject,
                stamp: self.now,
                received: sending.received_at,
                part_offset: sending.offset as u32,
                total,
                ..Header::default()
            };
            let position = destination.complete(opening, header, part as u64);
            sending.offset += part;
            if !more {
                self.brain.set_position(lane, sending.seq, position);
                self.brain.room_freed(lane);
                return;
            }
        }
    }
}

impl Reactor {
    /// Goes on with packages that wait for ring space.
    pub(in crate::reactor) fn continue_sendings(&mut self) {
        for (lane, destination) in self.destinations.iter_mut() {
            self.clients.continue_sending(destination, lane);
        }
    }
}
