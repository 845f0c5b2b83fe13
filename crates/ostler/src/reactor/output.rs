//! Output: written at once when the kernel takes it, else queued within the limits.

use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot};
use ostler_core::invariant;
use ostler_core::send_queue::{Part, Refusal, Route, stream_step};
use ostler_shm::sessions::{BINDING, CLOSING, FULL, MARKS, QUEUED, REASON_MASK, closing_because};

use super::ClientSide;
use super::connection::Connection;
use super::disk_wait::DISK_LOOK_NS;
use super::files::Written;
use super::outgoing::Outgoing;
use super::timers::Timed;
use crate::sys::socket::is_passing;

impl ClientSide {
    /// Writes one output (or one part of one) of a worker to a session.
    pub(super) fn write(
        &mut self,
        slot: ConnectionSlot,
        lane: LaneSlot,
        bytes: Outgoing<'_>,
        part: Part,
    ) {
        let Some(connection) = self.connections.get_mut(slot) else {
            invariant!(false, "output goes to a session that was found");
            return;
        };
        self.traffic.messages += u64::from(!part.more);
        let marks = &self.settings.ports.get(connection.port).marks;
        match connection.output.route(lane, bytes.len(), part, marks) {
            Route::Now => {
                if part.more {
                    // From its first part to the last there is output to write, although none may
                    // be queued.
                    self.publish_output(slot);
                }
                if self.write_now(slot, bytes) && !part.more {
                    self.end_message(slot);
                }
                if part.stream != 0 {
                    self.publish_stream(slot);
                }
            }
            Route::Behind => {
                let before = connection.output.charged();
                connection.output.push_behind(lane, part, bytes.bytes().to_vec());
                self.output_resized(slot, before);
                self.publish_output(slot);
            }
            Route::Refused(refusal) => self.refuse(slot, refusal),
        }
    }

    pub(super) fn refuse(&mut self, slot: ConnectionSlot, refusal: Refusal) {
        self.brain.close(
            slot,
            match refusal {
                Refusal::TooMuch => CloseReason::SlowReader,
                Refusal::Truncated => CloseReason::Truncated,
            },
        );
    }

    /// A queue changed: the account follows what it holds now.
    pub(super) fn output_resized(&mut self, slot: ConnectionSlot, before: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            invariant!(false, "a queue that changed is a connection's");
            return;
        };
        let after = connection.output.charged();
        if after > before {
            self.traffic.unsent_bytes += (after - before) as u64;
            self.charge_output(after - before);
        } else {
            self.output_left(before - after);
        }
    }

    /// Bytes of output are not held any more.
    pub(super) fn output_left(&mut self, bytes: usize) {
        self.traffic.unsent_bytes = self.traffic.unsent_bytes.saturating_sub(bytes as u64);
        self.memory.release(bytes as u64);
    }

    /// False when the session was closed instead.
    fn write_now(&mut self, slot: ConnectionSlot, bytes: Outgoing<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(slot) else {
            invariant!(false, "output goes to a session that was found");
            return false;
        };
        let mut rest = bytes;
        let mut sent = 0;
        let owed = connection.transport.unsent();
        while connection.output.is_empty() && connection.transport.takes_output() && rest.len() > 0
        {
            match connection.transport.send_from(rest.bytes()) {
                Ok(len) => {
                    rest = rest.skip(len);
                    sent += len as u64;
                    self.traffic.sent_bytes += len as u64;
                    if let Some(timing) = connection.timing.as_deref_mut() {
                        timing.clock.wrote(self.now);
                    }
                }
                Err(error) if is_passing(&error) => {}
                Err(_) => {
                    self.peer_lost(slot);
                    return false;
                }
            }
        }
        let owes = connection.transport.unsent();
        // What it took since is behind what it owed before, which is gone then.
        if owes > 0 && (owed == 0 || sent > 0 || owes < owed) {
            self.output_waits(slot);
        }
        self.note_sent(slot, sent);
        self.transport_changed(slot);
        rest.len() == 0 || self.queue(slot, rest)
    }

    /// Queues bytes within the session's limit. False when the session was closed instead.
    fn queue(&mut self, slot: ConnectionSlot, rest: Outgoing<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(slot) else {
            invariant!(false, "what is not written is queued before its session can end");
            return false;
        };
        if !connection.output.may_push(&self.settings.ports.get(connection.port).marks) {
            self.refuse(slot, Refusal::TooMuch);
            return false;
        }
        let (before, begins) = (connection.output.charged(), connection.unsent() == 0);
        rest.push_to(&mut connection.output);
        if begins {
            self.output_waits(slot);
        }
        self.output_resized(slot, before);
        self.publish_output(slot);
        true
    }

    /// The last part of a message is written or queued: what waited behind it follows.
    pub(super) fn end_message(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else {
            invariant!(false, "a message ends while its session has a connection");
            return;
        };
        if !connection.output.has_open_message() {
            return;
        }
        let (before, begins) = (connection.output.charged(), connection.output.is_empty());
        let marks = &self.settings.ports.get(connection.port).marks;
        let ended = connection.output.end_message(marks);
        if begins && !connection.output.is_empty() {
            self.output_waits(slot);
        }
        self.output_resized(slot, before);
        match ended {
            Ok(()) => {
                self.flush(slot);
                self.publish_output(slot);
            }
            Err(refusal) => self.refuse(slot, refusal),
        }
    }

    /// Writes queued output until the kernel takes no more.
    pub(super) fn flush(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else {
            invariant!(false, "only a connection that is there is flushed");
            return;
        };
        if connection.unsent() == 0 {
            return;
        }
        let before = connection.output.charged();
        let owed = connection.transport.unsent();
        let flushed = connection.transport.flush();
        if connection.transport.unsent() < owed
            && let Some(timing) = connection.timing.as_deref_mut()
        {
            timing.clock.took(self.now);
        }
        let mut written = match flushed {
            Err(error) if !is_passing(&error) => Written::Failed,
            _ => Written::More,
        };
        let mut of_files = self.file_share.session_bytes();
        let mut sent = 0;
        while matches!(written, Written::More)
            && connection.transport.takes_output()
            && !connection.output.is_empty()
        {
            written = connection.write_front(
                &mut of_files,
                &mut self.file_share,
                &mut self.file_counts,
                &mut self.traffic,
                self.now,
                &mut sent,
            );
        }
        if matches!(written, Written::WaitsForDisk) && connection.disk.begin_waiting() {
            self.timers.arm(Timed::Disk(slot), self.now + DISK_LOOK_NS);
        }
        if matches!(written, Written::WaitsForTurn) && !connection.waits_for_turn {
            connection.waits_for_turn = true;
            self.file_share.wait_for_turn(slot);
        }
        let has_stream = connection.output.has_open_message();
        self.note_sent(slot, sent);
        self.output_resized(slot, before);
        self.transport_changed(slot);
        match written {
            Written::Failed => self.peer_lost(slot),
            Written::FileFailed(error) => self.file_failed(slot, error),
            Written::More | Written::WaitsForTurn | Written::WaitsForDisk => {}
        }
        self.publish_output(slot);
        if has_stream {
            self.publish_stream(slot);
        }
    }

    /// Tells the worker that streams to a session how much of that is written: so much it may send
    /// again. It is woken at the end of the turn.
    fn publish_stream(&mut self, slot: ConnectionSlot) {
        // A write has failed, and the connection went with it.
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let step = stream_step(self.settings.ports.get(connection.port).marks.high);
        let Some(progress) = connection.output.progress(step) else { return };
        let Some(owner) = self.brain.lane_key(progress.lane) else { return };
        if let Some(entry) = self.board.entry(connection.session) {
            entry.set_stream(owner.pack(), progress.stream, progress.written as u64);
        }
        add_once(&mut self.senders_to_wake, progress.lane);
    }

    /// Who streams to a session that ends learns it at once, to let go what it holds for it.
    pub(super) fn wake_streamers(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let woken = &mut self.senders_to_wake;
        connection.output.streamers().for_each(|lane| add_once(woken, lane));
    }

    /// Tells the brain and the session table how much waits to be written.
    pub(super) fn publish_output(&mut self, slot: ConnectionSlot) {
        // A write has failed, and the connection went with it.
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let marks = self.settings.ports.get(connection.port).marks;
        let unsent = connection.unsent();
        let counted = connection.output.counted() + connection.transport.unsent();
        let mut flags = connection.flags & (CLOSING | REASON_MASK | MARKS | BINDING);
        if unsent > 0 {
            flags |= QUEUED;
        }
        if marks.is_full(counted, connection.flags & FULL != 0) {
            flags |= FULL;
        }
        if let Some(entry) = self.board.entry(connection.session) {
            entry.note_unsent(unsent as u64);
        }
        let pending = connection.output.is_pending() || connection.transport.unsent() > 0;
        let is_crossed = (flags ^ connection.flags) & FULL != 0;
        self.publish_flags(slot, flags);
        self.brain.output_changed(slot, pending, marks.holds_reading(unsent));
        if is_crossed {
            self.brain.buffer_changed(slot, flags & FULL != 0);
        }
    }

    pub(super) fn publish_flags(&mut self, slot: ConnectionSlot, flags: u64) {
        // A session may be closed by its worker after its client was lost.
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.flags != flags {
            connection.flags = flags;
            if let Some(entry) = self.board.entry(connection.session) {
                entry.set_flags(flags);
            }
        }
    }

    /// Workers learn that the session takes no more output, and why.
    pub(super) fn publish_closing(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        let flags = self.connections.get_mut(slot).map_or(0, |connection| connection.flags);
        self.publish_flags(slot, flags & !REASON_MASK | closing_because(reason as u8));
    }

    /// The owner of unfinished messages is gone: their sessions would wait for ever.
    pub(super) fn drop_streams_of(&mut self, lane: LaneSlot) {
        let owned = |connection: &Connection| connection.is_owned_by(lane);
        let slots: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| owned(connection))
            .map(|(slot, _)| slot)
            .collect();
        for slot in slots {
            self.brain.close(slot, CloseReason::Truncated);
        }
    }
}

fn add_once(lanes: &mut Vec<LaneSlot>, lane: LaneSlot) {
    if !lanes.contains(&lane) {
        lanes.push(lane);
    }
}
