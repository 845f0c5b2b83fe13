//! Output: written at once when the kernel takes it, else queued within the limits.

use std::io::ErrorKind;

use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot};
use ostler_shm::lane::RawBytes;
use ostler_shm::sessions::{CLOSING, FULL, QUEUED, REASON_MASK, closing_because};

use super::Reactor;
use super::connection::{Connection, Part, Piece, Stream};
use crate::sys::{lane_io, socket};

impl Reactor {
    /// Writes one output (or one part of one) of a worker to a session.
    pub(super) fn write(
        &mut self,
        slot: ConnectionSlot,
        lane: LaneSlot,
        bytes: RawBytes<'_>,
        part: Part,
    ) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        match connection.stream.as_deref_mut() {
            Some(stream) if stream.owner != lane => {
                return self.wait_behind(slot, lane, bytes, part);
            }
            Some(stream) if stream.next_offset != part.offset => {
                // The message before was never completed.
                return self.brain.close(slot, CloseReason::Truncated);
            }
            Some(stream) => stream.next_offset += bytes.len(),
            None if part.more => {
                if !self.may_queue(slot) {
                    return;
                }
                self.begin_stream(slot, lane, bytes.len());
            }
            None => {}
        }
        if self.write_now(slot, bytes) && !part.more {
            self.end_stream(slot);
        }
    }

    /// From the first part of a message to the last the session has output to write, although none
    /// may be queued.
    fn begin_stream(&mut self, slot: ConnectionSlot, owner: LaneSlot, next_offset: usize) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.stream = Some(Box::new(Stream::new(owner, next_offset)));
        self.publish_output(slot);
    }

    /// Whether the session may take one more message; one that was begun is queued to its end.
    /// False when the session was closed instead.
    fn may_queue(&mut self, slot: ConnectionSlot) -> bool {
        let most = self.settings.send_queue_max;
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        if connection.unsent() > most {
            self.brain.close(slot, CloseReason::SlowReader);
            return false;
        }
        true
    }

    /// An output of another worker while a message in parts is being written: it waits for the last
    /// part.
    fn wait_behind(
        &mut self,
        slot: ConnectionSlot,
        lane: LaneSlot,
        bytes: RawBytes<'_>,
        part: Part,
    ) {
        if bytes.is_empty() || !self.may_queue(slot) {
            return;
        }
        self.charge_output(Piece::cost(bytes.len()));
        if let Some(stream) =
            self.connections.get_mut(slot).and_then(|connection| connection.stream.as_deref_mut())
        {
            stream.push_behind(lane, Piece { part, bytes: bytes.to_vec() });
        }
        self.publish_output(slot);
    }

    /// False when the session was closed instead.
    fn write_now(&mut self, slot: ConnectionSlot, bytes: RawBytes<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        let mut rest = bytes;
        while connection.output.is_empty() && connection.writable && !rest.is_empty() {
            match lane_io::send(&connection.socket, rest) {
                Ok(len) => {
                    // A short write means that the kernel's buffer is full: an edge will tell when
                    // it is not.
                    connection.writable = len == rest.len();
                    rest = rest.skip(len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.peer_lost(slot);
                    return false;
                }
            }
        }
        rest.is_empty() || self.queue(slot, rest.len(), |chunk| rest.append_to(chunk))
    }

    /// Queues bytes within the session's limit and the budget. False when the session was closed
    /// instead.
    fn queue(&mut self, slot: ConnectionSlot, len: usize, fill: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        if connection.stream.is_none() && !self.may_queue(slot) {
            return false;
        }
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        let growth = connection.output.growth(len);
        self.charge_output(growth);
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.output.push(len, fill);
        }
        self.publish_output(slot);
        true
    }

    /// The last part of a message is queued: what waited behind it follows, worker by worker, until
    /// one of them has begun a message that is not complete; that one's the output is then.
    fn end_stream(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(mut stream) = connection.stream.take() else { return };
        while let Some(waiting) = stream.behind.pop_front() {
            let mut expected = 0;
            for piece in waiting.pieces {
                let cost = Piece::cost(piece.bytes.len());
                self.account.release(cost as u64);
                stream.behind_bytes -= cost;
                let fits = piece.part.offset == expected;
                expected = if piece.part.more { expected + piece.bytes.len() } else { 0 };
                let push = |chunk: &mut Vec<u8>| chunk.extend_from_slice(&piece.bytes);
                if !fits {
                    self.brain.close(slot, CloseReason::Truncated);
                }
                if !fits || !self.queue(slot, piece.bytes.len(), push) {
                    // The session is closed; what is left goes with it.
                    self.account.release(stream.behind_bytes as u64);
                    return;
                }
            }
            if expected > 0 {
                stream.owner = waiting.lane;
                stream.next_offset = expected;
                if let Some(connection) = self.connections.get_mut(slot) {
                    connection.stream = Some(stream);
                }
                break;
            }
        }
        self.flush(slot);
        self.publish_output(slot);
    }

    /// Writes queued output until the kernel takes no more.
    pub(super) fn flush(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        if connection.output.is_empty() {
            return;
        }
        let mut freed = 0;
        let mut failed = false;
        while connection.writable && !connection.output.is_empty() {
            let front = connection.output.front();
            let wanted = front.len();
            match socket::send(&connection.socket, front) {
                Ok(len) => {
                    connection.writable = len == wanted;
                    freed += connection.output.advance(len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    failed = true;
                    break;
                }
            }
        }
        self.account.release(freed as u64);
        if failed {
            self.peer_lost(slot);
        }
        self.publish_output(slot);
    }

    /// Tells the brain and the session table how much waits to be written.
    pub(super) fn publish_output(&mut self, slot: ConnectionSlot) {
        let (high, low) = (self.settings.send_queue_high, self.settings.send_queue_low);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let unsent = connection.unsent();
        let mut flags = connection.flags & (CLOSING | REASON_MASK);
        if unsent > 0 {
            flags |= QUEUED;
        }
        // Full above the high mark, not full again below the low one.
        if unsent > high || (connection.flags & FULL != 0 && unsent > low) {
            flags |= FULL;
        }
        let pending = unsent > 0 || connection.stream.is_some();
        self.publish_flags(slot, flags);
        self.brain.output_changed(slot, pending, unsent > low);
    }

    pub(super) fn publish_flags(&mut self, slot: ConnectionSlot, flags: u64) {
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
