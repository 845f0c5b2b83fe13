//! The worker's end of its out rings: append privately, publish all lanes by one word (protocol
//! §5).

use crate::fault::{Step, step};
use crate::record::{HEADER_SIZE, Header};
use crate::ring::{self, RingBytes};
use crate::sync::{Ordering, fence};
use crate::words::{DownWords, ProcessWords, UpWords};

/// There is no room in the out ring now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// The private cursors of the writing side of one lane's out ring.
#[derive(Debug, Default)]
pub struct Outbox {
    head: u64,
    published: u64,
    read_seen: u64,
    seq: u64,
}

impl Outbox {
    /// Whether a record with `payload_len` bytes fits now.
    pub fn has_room(&mut self, down: &DownWords, capacity: u64, payload_len: u64) -> bool {
        let placed = ring::place(self.head, HEADER_SIZE as u64 + payload_len, capacity);
        if placed.end - self.read_seen <= capacity {
            return true;
        }
        self.read_seen = down.consumed.out_read.load(Ordering::Acquire);
        placed.end.saturating_sub(self.read_seen) <= capacity
    }

    /// Appends a record whose payload is the given pieces one after another. Not visible before
    /// [`Committer::commit`]. `len` and `seq` of the header are set here.
    ///
    /// # Errors
    /// [`NoRoom`] when the reactor has not consumed enough yet, or the record is larger than a
    /// quarter of the ring.
    pub fn append(
        &mut self,
        down: &DownWords,
        bytes: &impl RingBytes,
        header: Header,
        payload: &[&[u8]],
    ) -> Result<(), NoRoom> {
        let capacity = bytes.capacity();
        let payload_len: u64 = payload.iter().map(|piece| piece.len() as u64).sum();
        let len = HEADER_SIZE as u64 + payload_len;
        if len > ring::max_record(capacity) || !self.has_room(down, capacity, payload_len) {
            return Err(NoRoom);
        }
        let placed = ring::place(self.head, len, capacity);
        let header = Header { len: len as u32, ..header };
        ring::write_record(bytes, (self.head, placed), &mut self.seq, header, payload);
        self.head = placed.end;
        step(Step::Appended);
        Ok(())
    }

    /// Where what was appended ends.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.head
    }

    /// Up to where the reactor has read, and given the space back.
    pub fn read_up_to(&mut self, down: &DownWords) -> u64 {
        self.read_seen = down.consumed.out_read.load(Ordering::Acquire);
        self.read_seen
    }

    /// Bytes appended and not yet published.
    #[must_use]
    pub const fn staged(&self) -> u64 {
        self.head - self.published
    }
}

/// The commit counter of one worker process.
#[derive(Debug, Default)]
pub struct Committer {
    committed: u64,
}

impl Committer {
    /// The number that records appended now carry: they exist once this transaction is committed.
    #[must_use]
    pub const fn open_transaction(&self) -> u64 {
        self.committed + 1
    }

    /// Step 1 of a publish, once per touched lane: how far this lane is written.
    pub fn store_written(outbox: &mut Outbox, up: &UpWords) {
        if outbox.staged() > 0 {
            outbox.published = outbox.head;
            up.out.out_written.store(outbox.head, Ordering::Release);
            step(Step::OutWritten);
        }
    }

    /// Step 2: the point. Everything appended on all lanes exists from here on.
    pub fn commit(&mut self, process: &ProcessWords) {
        self.committed += 1;
        process.commit.commit.store(self.committed, Ordering::Release);
        step(Step::Committed);
    }

    /// Step 3: the fence between the stores and the look at the reactors' sleep words.
    pub fn fence() {
        fence(Ordering::SeqCst);
    }
}
