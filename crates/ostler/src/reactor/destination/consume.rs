//! Consuming: what a worker published becomes bytes on sockets, or a condemnation (protocol §6).
//!
//! Every branch disposes of its record; nothing waits.

use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot, Phase};
use ostler_core::send_queue::Part;
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{
    FLAG_FIN, FLAG_MORE, FLAG_PARTLY, FLAG_RESET, FLAG_SKIPPED, HEADER_SIZE, RecordKind,
};
use ostler_shm::sync::{Ordering, fence};

use super::lane::LaneEnd;
use crate::reactor::Reactor;
use crate::reactor::mailbox::FromReactor;
use crate::sys::eventfd;

/// Consumed bytes after which the worker gets its space back in the middle of a turn.
const RELEASE_BYTES: u64 = 64 * 1024;
/// Rings in a row that bring nothing before the ringer is condemned (decision 10).
const EMPTY_RINGS_MAX: u32 = 1_000;

impl Reactor {
    /// A worker rang; its outputs are consumed with everybody's in this turn.
    pub(in crate::reactor) fn bell_rang(&mut self, lane: LaneSlot, mark: u32) {
        let Some(end) = self.lanes.get_mut(lane) else { return };
        if end.key.generation.0 & 0xff_ffff != mark || end.condemned {
            return;
        }
        let news = end.consumer.has_news(end.memory.process(), end.memory.up())
            || end.giver.has_freed(end.memory.up());
        end.empty_rings = if news { 0 } else { end.empty_rings + 1 };
        if end.empty_rings > EMPTY_RINGS_MAX {
            self.condemn(lane, "it rings without having anything to say");
        }
    }

    pub(in crate::reactor) fn consume_all(&mut self) {
        for index in 0..self.lanes.len() {
            let lane = LaneSlot(index as u32);
            let Some(end) = self.lanes.get(lane) else { continue };
            let news = end.consumer.has_news(end.memory.process(), end.memory.up())
                || (self.brain.awaits_freed(lane) && end.giver.has_freed(end.memory.up()));
            if news && !end.condemned {
                self.consume(lane);
                if self.holds_outputs_back() {
                    return; // the rest of them in the next turn
                }
            }
        }
    }

    /// Reads what a worker has committed; condemns it for nonsense.
    pub(in crate::reactor) fn consume(&mut self, lane: LaneSlot) {
        let Some(mut end) = self.lanes.take(lane) else { return };
        let result = self.consume_end(lane, &mut end);
        let work_ns = end.memory.process().phase.work_ns.load(Ordering::Relaxed);
        self.lanes.put_back(lane, end);
        match result {
            Ok(()) => self.brain.set_work(lane, work_ns),
            Err(ProtocolViolation(why)) => self.condemn(lane, why),
        }
    }

    fn consume_end(&mut self, lane: LaneSlot, end: &mut LaneEnd) -> Result<(), ProtocolViolation> {
        // `freed` before the outputs: an output may refer to package memory (see
        // `Giver::peek_freed`).
        let freed = end.giver.peek_freed(end.memory.up());
        end.consumer.look(end.memory.process(), end.memory.up(), end.memory.capacity())?;
        let started = end.giver.started_below(end.memory.up())?;
        while let Some(record) = end.consumer.next(&end.memory.outputs)? {
            self.record(lane, end, record, started)?;
            if end.consumer.unreleased() >= RELEASE_BYTES {
                release(end);
            }
        }
        release(end);
        if self.brain.first_unstarted(lane, started).is_some_and(|first| freed > first) {
            return Err(ProtocolViolation("freed is behind a package that was never taken"));
        }
        let memory = &end.memory;
        self.brain
            .keep_bodies(lane, freed, &mut |entry| crate::reactor::lanes::body(memory, entry));
        end.giver.reclaim(freed)?;
        if end.sending.is_none() {
            self.brain.room_freed(lane);
        }
        Ok(())
    }

    fn record(
        &mut self,
        lane: LaneSlot,
        end: &LaneEnd,
        record: Record,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let header = record.header;
        let bytes = end.memory.outputs.raw(record.payload_offset, header.payload_len());
        match record.kind {
            RecordKind::Out => {
                let part = Part {
                    offset: header.part_offset as usize,
                    more: header.flags & FLAG_MORE != 0,
                };
                if part.offset + bytes.len() > self.settings.max_send_bytes {
                    return Err(ProtocolViolation("a message longer than max_send_bytes"));
                }
                self.out(lane, header.subject, bytes, part);
            }
            RecordKind::OutReference => {
                let bytes = self.referred(lane, end, &record, started)?;
                self.out(lane, header.subject, bytes, Part::WHOLE);
            }
            RecordKind::Abort => self.abort(lane, header.subject),
            RecordKind::Close => self.close_session(header.subject, header.flags & FLAG_RESET != 0),
            RecordKind::State => self.set_state(header.subject, bytes),
            RecordKind::Expose => {
                self.brain.expose(lane, header.cause, started).map_err(ProtocolViolation)?
            }
            RecordKind::Fin if header.flags & FLAG_SKIPPED != 0 => {
                self.brain.skip(lane, header.cause, started).map_err(ProtocolViolation)?
            }
            RecordKind::Fin if header.flags & FLAG_PARTLY != 0 => {
                self.finish_partly(lane, end, &header, started)?;
            }
            RecordKind::Fin => {
                self.brain.finish(lane, header.cause, started).map_err(ProtocolViolation)?
            }
            RecordKind::Pad | RecordKind::Connect | RecordKind::Data | RecordKind::Closed => {
                return Err(ProtocolViolation("a record of the other direction"));
            }
        }
        if header.flags & FLAG_FIN != 0 && record.kind != RecordKind::Fin {
            self.brain.finish(lane, header.cause, started).map_err(ProtocolViolation)?;
        }
        Ok(())
    }

    /// The bytes of a reply that lies in its own request, in memory that only this side writes.
    fn referred<'a>(
        &self,
        lane: LaneSlot,
        end: &'a LaneEnd,
        record: &Record,
        started: u64,
    ) -> Result<RawBytes<'a>, ProtocolViolation> {
        let (position, len) = self
            .brain
            .in_ring(lane, record.header.cause, started)
            .ok_or(ProtocolViolation("a reference to a delivery that is not in hand"))?;
        let (offset, total) = (record.header.part_offset, record.header.total);
        if u64::from(offset) + u64::from(total) > u64::from(len) {
            return Err(ProtocolViolation("a reference reaches outside its delivery"));
        }
        let at = (position & (end.memory.capacity() - 1)) + HEADER_SIZE as u64 + u64::from(offset);
        Ok(end.memory.packages.raw(at, total as usize))
    }

    fn out(&mut self, lane: LaneSlot, session: u64, bytes: RawBytes<'_>, part: Part) {
        match self.connections.find(session) {
            Some(slot) if self.takes_output(slot, lane) => self.write(slot, lane, bytes, part),
            _ => self.brain.count_output_gone(bytes.len() as u64),
        }
    }

    /// An open session takes output; one that ends takes the rest of a message that was begun
    /// before.
    fn takes_output(&mut self, slot: ConnectionSlot, lane: LaneSlot) -> bool {
        match self.brain.phase(slot) {
            Some(Phase::Open) => true,
            Some(Phase::Flushing(_)) => self
                .connections
                .get_mut(slot)
                .is_some_and(|connection| connection.is_owned_by(lane)),
            _ => false,
        }
    }

    fn abort(&mut self, lane: LaneSlot, session: u64) {
        if let Some(slot) = self.connections.find(session)
            && let Some(connection) = self.connections.get_mut(slot)
            && connection.is_owned_by(lane)
        {
            self.brain.close(slot, CloseReason::Truncated);
        }
    }

    fn close_session(&mut self, session: u64, reset: bool) {
        if let Some(slot) = self.place_of(session) {
            let reason = if reset { CloseReason::WorkerReset } else { CloseReason::Worker };
            self.brain.close(slot, reason);
            self.publish_closing(slot, reason);
        }
    }

    /// The place of a session that workers may still be told of, also without a socket.
    fn place_of(&self, session: u64) -> Option<ConnectionSlot> {
        let slot = self.connections.place(session);
        (self.brain.session(slot) == Some(session)).then_some(slot)
    }

    fn set_state(&mut self, session: u64, bytes: RawBytes<'_>) {
        if self.place_of(session).is_some()
            && let Some(entry) = self.board.entry(session)
        {
            entry.set_state(&bytes.to_vec());
        }
    }

    /// The worker wrote nonsense: it is read no more, its sessions close, the main thread has it
    /// killed.
    pub(in crate::reactor) fn condemn(&mut self, lane: LaneSlot, why: &'static str) {
        let Some(end) = self.lanes.get_mut(lane) else { return };
        if std::mem::replace(&mut end.condemned, true) {
            return;
        }
        tracing::error!(worker = %end.key, why, "worker wrote nonsense, condemned");
        self.reports.queue.push(FromReactor::Condemned(end.key, why));
        self.brain.condemn(lane, self.now);
        self.drop_streams_of(lane);
    }
}

/// Gives consumed ring space back and wakes the worker if it waits for it.
fn release(end: &mut LaneEnd) {
    if !end.consumer.release(end.memory.down()) {
        return;
    }
    end.empty_rings = 0;
    fence(Ordering::SeqCst);
    if end.room_ringer.needs_bell(&end.memory.process().sleep.room_want) {
        eventfd::ring_own(&end.worker_bell);
    }
}
