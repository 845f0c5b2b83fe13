//! Consuming: what a worker published becomes bytes on sockets, or a condemnation (protocol §6).
//!
//! Every branch disposes of its record; nothing waits.

use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot, Phase};
use ostler_core::invariant;
use ostler_core::send_queue::Part;
use ostler_shm::consumer::Record;
use ostler_shm::file_range::FileRange;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{
    FLAG_FIN, FLAG_IN_FILE, FLAG_MORE, FLAG_PARTLY, FLAG_RESET, FLAG_SKIPPED, Header, RecordKind,
};
use ostler_shm::sessions::{BINDING, MARKS, PAUSED, PROTECTED, bound_to};

use super::{Destination, Looked, Passed};
use crate::reactor::mailbox::FromReactor;
use crate::reactor::outgoing::Outgoing;
use crate::reactor::states::{NewState, length_in_file};
use crate::reactor::{ClientSide, Reactor};

/// Consumed bytes after which the worker gets its space back in the middle of a turn.
const RELEASE_BYTES: u64 = 64 * 1024;

impl Reactor {
    /// A worker rang; its outputs are consumed with everybody's in this turn.
    pub(in crate::reactor) fn bell_rang(&mut self, lane: LaneSlot, mark: u32) {
        // A bell may ring after its lane is gone, or when the place has another owner already.
        let Some(destination) = self.destinations.get_mut(lane) else { return };
        if destination.mark() != mark || destination.is_condemned() {
            return;
        }
        let has_let_go = self.clients.news_of_let_go(lane, destination).is_some();
        if !destination.rang(has_let_go) {
            self.condemn(lane, "it rings without having anything to say");
        }
    }

    pub(in crate::reactor) fn consume_all(&mut self) {
        self.clients.go_on_with_casts();
        for lane in self.destinations.slots() {
            let Some(destination) = self.destinations.get(lane) else { continue };
            let has_news = destination.has_news(self.clients.awaits_freed(lane))
                || self.clients.news_of_let_go(lane, destination).is_some()
                || self.clients.groups.is_interrupted(lane);
            if has_news && !destination.is_condemned() && !self.clients.groups.is_casting(lane) {
                self.consume(lane);
                if self.clients.holds_outputs_back() {
                    return; // the rest of them in the next turn
                }
            }
        }
    }

    /// Reads what a worker has committed; condemns it for nonsense.
    pub(in crate::reactor) fn consume(&mut self, lane: LaneSlot) {
        let Some(destination) = self.destinations.get_mut(lane) else {
            return invariant!(false, "who is consumed has a place");
        };
        match self.clients.consume(lane, destination) {
            Ok(()) => {
                self.clients.brain.set_work(lane, destination.work_ns());
            }
            Err(ProtocolViolation(why)) => self.condemn(lane, why),
        }
    }

    /// The worker wrote nonsense: it is read no more, its sessions close, the main thread has it
    /// killed.
    pub(in crate::reactor) fn condemn(&mut self, lane: LaneSlot, why: &'static str) {
        let Some(destination) = self.destinations.get_mut(lane) else {
            return invariant!(false, "who is condemned has a place");
        };
        if !destination.condemn() {
            return;
        }
        let key = destination.key();
        tracing::error!(worker = %key, why, "worker wrote nonsense, condemned");
        self.clients.reports.queue.push(FromReactor::Condemned(key, why));
        // First: a session that has a part of a message must not end as if that were all of it.
        self.clients.drop_streams_of(lane);
        self.clients.drop_messages_of(lane);
        self.clients.brain.condemn(lane, self.clients.now);
    }
}

impl ClientSide {
    /// Whether something waits for package memory of a lane.
    pub(in crate::reactor) fn awaits_freed(&self, lane: LaneSlot) -> bool {
        let tasks = self.tasks.as_ref();
        self.brain.awaits_freed(lane) || tasks.is_some_and(|tasks| tasks.awaits_freed(lane))
    }

    fn consume(
        &mut self,
        lane: LaneSlot,
        destination: &mut Destination,
    ) -> Result<(), ProtocolViolation> {
        self.groups.resume(lane);
        // Before the outputs: one of them may refer to an answer.
        let let_go = self.news_of_let_go(lane, destination);
        let Looked { freed, started } = destination.look()?;
        while let Some(record) = destination.next_output()? {
            self.record(lane, destination, record, started)?;
            if destination.unreleased() >= RELEASE_BYTES {
                destination.release();
            }
            if self.groups.is_casting(lane) {
                // The rest comes behind this message. What it refers to must stay until then.
                self.groups.interrupt(lane);
                destination.release();
                return Ok(());
            }
        }
        destination.release();
        if self.brain.first_unstarted(lane, started).is_some_and(|first| freed > first) {
            return Err(ProtocolViolation("freed is behind a package that was never taken"));
        }
        self.brain.keep_bodies(lane, freed, &mut |entry| destination.body(entry, 0));
        destination.reclaim(freed)?;
        if let Some(tasks) = &mut self.tasks {
            tasks.consumed(lane, destination.work_ns(), freed);
        }
        if let Some(count) = let_go {
            self.answers_let_go(lane, count)?;
        }
        if destination.sending.is_none() {
            self.brain.room_freed(lane);
        }
        Ok(())
    }

    fn record(
        &mut self,
        lane: LaneSlot,
        destination: &mut Destination,
        record: Record,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let header = record.header;
        let bytes = destination.output(&record);
        match record.kind {
            RecordKind::Out | RecordKind::Stream => {
                self.message(lane, record.kind, &header, bytes)?;
            }
            RecordKind::File => {
                let range = FileRange::from_bytes(&bytes.to_vec())
                    .ok_or(ProtocolViolation("no part of a file"))?;
                let passed = destination.take_file(header.total)?;
                self.file(lane, header.subject, range, passed);
            }
            RecordKind::OutReference => {
                self.out_by_reference(lane, destination, &record, started)?;
            }
            RecordKind::SendTo => self.send_to(lane, &record, bytes)?,
            RecordKind::Abort => self.abort(lane, header.subject),
            RecordKind::Close => self.close_session(header.subject, header.flags & FLAG_RESET != 0),
            RecordKind::State if header.flags & FLAG_IN_FILE != 0 => {
                let len = length_in_file(&bytes.to_vec())?;
                self.state_in_file(header.subject, len, destination.take_file(header.total)?)?;
            }
            RecordKind::State => self.state_record(header.subject, &NewState::Here(bytes))?,
            RecordKind::Mark => self.mark(header.subject, header.part_offset, header.total)?,
            RecordKind::Bind => self.bind_session(header.subject, header.total),
            RecordKind::Join => self.join(header.subject, bytes)?,
            RecordKind::Leave => self.leave_group(header.subject, bytes)?,
            RecordKind::ToGroup => self.send_to_group(lane, &record, bytes)?,
            RecordKind::AskTask | RecordKind::Result => {
                self.task_record(lane, destination, &record, bytes, started)?;
            }
            RecordKind::SendMessage => {
                self.message_record(lane, destination.key(), &record, bytes)?;
            }
            RecordKind::Expose | RecordKind::Fin if destination.runs_tasks() => {
                self.task_progress(lane, record.kind, header.cause, started)?;
            }
            RecordKind::Expose => {
                self.brain.expose(lane, header.cause, started).map_err(ProtocolViolation)?
            }
            RecordKind::Fin => self.finish(lane, destination, &header, started)?,
            RecordKind::Pad
            | RecordKind::Connect
            | RecordKind::Data
            | RecordKind::Datagram
            | RecordKind::Closed
            | RecordKind::BufferFull
            | RecordKind::BufferEmpty
            | RecordKind::Task
            | RecordKind::Answer
            | RecordKind::TaskEnd
            | RecordKind::Message
            | RecordKind::MessageEnd => {
                return Err(ProtocolViolation("a record of the other direction"));
            }
        }
        if header.flags & FLAG_FIN != 0 && record.kind != RecordKind::Fin {
            self.brain.finish(lane, header.cause, started).map_err(ProtocolViolation)?;
        }
        Ok(())
    }

    /// A delivery is finished, and its handler has seen all of its package, a part, or nothing.
    fn finish(
        &mut self,
        lane: LaneSlot,
        destination: &mut Destination,
        header: &Header,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        if header.flags & FLAG_SKIPPED != 0 {
            return self.brain.skip(lane, header.cause, started).map_err(ProtocolViolation);
        }
        if header.flags & FLAG_PARTLY != 0 {
            return self.finish_partly(lane, destination, header, started);
        }
        self.brain.finish(lane, header.cause, started).map_err(ProtocolViolation)
    }

    /// A message for a session, or a part of one.
    fn message(
        &mut self,
        lane: LaneSlot,
        kind: RecordKind,
        header: &Header,
        bytes: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let stream = if kind == RecordKind::Stream { header.total } else { 0 };
        if kind == RecordKind::Stream && stream == 0 {
            return Err(ProtocolViolation("a stream without a number"));
        }
        self.out(lane, header.subject, bytes.into(), part_of(header, stream))
    }

    pub(super) fn out(
        &mut self,
        lane: LaneSlot,
        session: u64,
        bytes: Outgoing<'_>,
        part: Part,
    ) -> Result<(), ProtocolViolation> {
        match self.open_place_of(session) {
            Some(slot) if self.takes_output(slot, lane) => {
                if part.stream == 0 && part.offset + bytes.len() > self.max_send_bytes(slot) {
                    return Err(ProtocolViolation("a message longer than max_send_bytes"));
                }
                self.write(slot, lane, bytes, part);
            }
            _ => self.brain.count_output_gone(bytes.len() as u64),
        }
        Ok(())
    }

    /// A part of a file for a session.
    fn file(&mut self, lane: LaneSlot, session: u64, range: FileRange, passed: Passed) {
        match self.open_place_of(session) {
            Some(slot) if self.takes_output(slot, lane) => {
                self.write_file(slot, lane, range, passed);
            }
            _ => self.brain.count_output_gone(range.len()),
        }
    }

    /// The longest message of one send to a session.
    fn max_send_bytes(&mut self, slot: ConnectionSlot) -> usize {
        let port = self.connections.get_mut(slot).map(|connection| connection.port);
        port.map_or(0, |port| self.settings.ports.get(port).max_send_bytes)
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
        if let Some(slot) = self.open_place_of(session)
            && let Some(connection) = self.connections.get_mut(slot)
            && connection.is_owned_by(lane)
        {
            self.brain.close(slot, CloseReason::Truncated);
        }
    }

    fn close_session(&mut self, session: u64, reset: bool) {
        if let Some(slot) = self.told_place_of(session) {
            let reason = if reset { CloseReason::WorkerReset } else { CloseReason::Worker };
            self.brain.close(slot, reason);
            self.publish_closing(slot, reason);
        }
    }

    /// A worker sets and takes away marks of a session. They are the connection's, and go with it.
    fn mark(&mut self, session: u64, set: u32, clear: u32) -> Result<(), ProtocolViolation> {
        let (set, clear) = (u64::from(set), u64::from(clear));
        if (set | clear) & !MARKS != 0 || set & clear != 0 {
            return Err(ProtocolViolation("marks that no session has"));
        }
        let Some(slot) = self.open_place_of(session) else { return Ok(()) };
        let flags = self.connections.get_mut(slot).map_or(0, |connection| connection.flags);
        if flags & clear & PROTECTED != 0 {
            self.protection_ended(slot);
        }
        let flags = flags & !clear | set;
        self.publish_flags(slot, flags);
        self.brain.pause_session(slot, flags & PAUSED != 0);
        Ok(())
    }

    /// A worker has bound a session to a number. The table shows that as long as there is a
    /// connection.
    fn bind_session(&mut self, session: u64, user: u32) {
        let Some(slot) = self.told_place_of(session) else { return };
        self.brain.bind(slot, user);
        if let Some(connection) = self.connections.get_mut(slot) {
            let flags = connection.flags & !BINDING | bound_to(user);
            self.publish_flags(slot, flags);
        }
    }

    /// The place of a session that workers may still be told of, also without a socket. The id is a
    /// worker's word: it may be anything, and that of a session of another reactor.
    pub(in crate::reactor) fn place_of(&self, session: u64) -> Option<ConnectionSlot> {
        let home = self.board.home(session)?;
        let slot = ConnectionSlot(home.place);
        let is_here = usize::from(home.reactor) == self.index;
        (is_here && self.brain.session(slot) == Some(session)).then_some(slot)
    }

    /// The same, of whose session a worker says something: no other master knows of that.
    pub(in crate::reactor) fn told_place_of(&mut self, session: u64) -> Option<ConnectionSlot> {
        let slot = self.place_of(session)?;
        self.brain.withdraw(slot);
        Some(slot)
    }

    /// The same, of a session that has a socket.
    fn open_place_of(&mut self, session: u64) -> Option<ConnectionSlot> {
        let slot = self.told_place_of(session)?;
        self.connections.get_mut(slot).is_some().then_some(slot)
    }
}

/// Which part of what message a record brings.
const fn part_of(header: &Header, stream: u32) -> Part {
    Part { offset: header.part_offset as usize, more: header.flags & FLAG_MORE != 0, stream }
}
