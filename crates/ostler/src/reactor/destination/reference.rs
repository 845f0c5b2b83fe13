//! Outputs whose bytes a worker was given: they lie in memory that only this side writes, and the
//! worker says where.

use ostler_core::brain::LaneSlot;
use ostler_core::send_queue::Part;
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{FLAG_REFERENCE, Header};

use super::Destination;
use crate::reactor::ClientSide;
use crate::reactor::outgoing::Outgoing;
use crate::reactor::tasks::Lying;

const OUTSIDE: ProtocolViolation = ProtocolViolation("a reference reaches outside its delivery");

/// The bytes.
pub(in crate::reactor) enum Referred<'a> {
    /// In the body area.
    Lying(Lying),
    /// In the package ring.
    Raw(RawBytes<'a>),
}

impl ClientSide {
    /// The bytes of a delivery that is in hand at a worker, to which a record of that refers.
    pub(in crate::reactor) fn referred<'a>(
        &self,
        lane: LaneSlot,
        destination: &'a Destination,
        header: &Header,
        started: u64,
    ) -> Result<Referred<'a>, ProtocolViolation> {
        let Header { cause, part_offset: offset, total, .. } = *header;
        if destination.runs_tasks() {
            let lying = self.task_in_hand(lane, cause, started)?;
            return lying.part(offset, total).map(Referred::Lying).ok_or(OUTSIDE);
        }
        if let Some(body) = self.brain.shared_in_hand(lane, cause, started) {
            return Lying::all(body).part(offset, total).map(Referred::Lying).ok_or(OUTSIDE);
        }
        let (position, len) = self
            .brain
            .in_ring(lane, cause, started)
            .ok_or(ProtocolViolation("a reference to a delivery that is not in hand"))?;
        if u64::from(offset) + u64::from(total) > u64::from(len) {
            return Err(OUTSIDE);
        }
        Ok(Referred::Raw(destination.payload(position, offset, total)))
    }

    /// A reply that lies in its own request, or in an answer.
    pub(super) fn out_by_reference(
        &mut self,
        lane: LaneSlot,
        destination: &Destination,
        record: &Record,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let Header { cause, part_offset, total, subject, flags, .. } = record.header;
        let referred = if flags & FLAG_REFERENCE == 0 {
            self.referred(lane, destination, &record.header, started)?
        } else {
            let tasks = self.tasks.as_ref();
            let answer = tasks.and_then(|tasks| tasks.body_answer(lane, cause));
            let answer = answer
                .ok_or(ProtocolViolation("a reference to an answer that it does not have"))?;
            Referred::Lying(answer.part(part_offset, total).ok_or(OUTSIDE)?)
        };
        match referred {
            Referred::Raw(bytes) => self.out(lane, subject, bytes.into(), Part::WHOLE),
            Referred::Lying(lying) => {
                let (whole, offset) = lying.whole();
                let bytes = Outgoing::of(whole, offset as u32, total).ok_or(OUTSIDE)?;
                self.out(lane, subject, bytes, Part::WHOLE)
            }
        }
    }
}
