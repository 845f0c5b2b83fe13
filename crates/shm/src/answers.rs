//! Both ends of a lane's ring for answers (protocol §5): what a worker waits for never stands
//! behind packages.
//!
//! There are no transactions and no recall here: an answer that was read is the worker's, also when
//! it dies at once; what was not read never was.

use crate::giver::ProtocolViolation;
use crate::outbox::NoRoom;
use crate::record::{HEADER_SIZE, Header, RecordKind};
use crate::ring::{self, RingBytes};
use crate::sync::Ordering;
use crate::words::{DownWords, UpWords};

/// The private cursors of the reactor's end.
#[derive(Debug, Default)]
pub struct AnswerGiver {
    head: u64,
    published: u64,
    read_seen: u64,
    seq: u64,
    waits: bool,
}

impl AnswerGiver {
    /// How far the worker has read.
    ///
    /// # Errors
    /// [`ProtocolViolation`] when that is impossible.
    pub fn read(&mut self, up: &UpWords) -> Result<u64, ProtocolViolation> {
        let read = up.ctl_read.out_written.load(Ordering::Acquire);
        let is_possible = read >= self.read_seen && read <= self.published;
        if !is_possible || !read.is_multiple_of(HEADER_SIZE as u64) {
            return Err(ProtocolViolation("answers were read that were not given"));
        }
        self.read_seen = read;
        Ok(read)
    }

    /// Appends an answer with this payload; not visible before [`AnswerGiver::publish`]. `len` and
    /// `seq` of the header are set here. Returns the position behind it.
    ///
    /// # Errors
    /// [`NoRoom`] when the worker has not read enough by the last [`AnswerGiver::read`], or the
    /// record is longer than a quarter of the ring.
    pub fn append(
        &mut self,
        bytes: &impl RingBytes,
        header: Header,
        payload: &[u8],
    ) -> Result<u64, NoRoom> {
        let capacity = bytes.capacity();
        let len = (HEADER_SIZE + payload.len()) as u64;
        let placed = ring::place(self.head, len, capacity);
        if len > ring::max_record(capacity) || placed.end - self.read_seen > capacity {
            return Err(NoRoom);
        }
        let header = Header { len: len as u32, ..header };
        ring::write_record(bytes, (self.head, placed), &mut self.seq, header, &[payload]);
        self.head = placed.end;
        Ok(placed.end)
    }

    /// Makes what was appended visible; true when there was something. The caller then does a
    /// `fence(SeqCst)` and looks at the worker's sleep word.
    pub fn publish(&mut self, down: &DownWords) -> bool {
        let is_dirty = self.head != self.published;
        if is_dirty {
            self.published = self.head;
            down.control.ctl_written.store(self.head, Ordering::Release);
        }
        is_dirty
    }

    /// Says whether answers wait for room: then the worker rings when it has read some. The caller
    /// fences before it sleeps, and looks once more.
    pub fn set_waits(&mut self, waits: bool, down: &DownWords) {
        if self.waits != waits {
            self.waits = waits;
            down.control.ctl_waits.store(u64::from(waits), Ordering::Release);
        }
    }

    /// Whether answers wait and the worker has read some since the last [`AnswerGiver::read`].
    #[must_use]
    pub fn has_room_news(&self, up: &UpWords) -> bool {
        self.waits && up.ctl_read.out_written.load(Ordering::Acquire) != self.read_seen
    }
}

/// What [`AnswerTaker::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeAnswer {
    /// Nothing.
    Empty,
    /// This record; its payload is behind `position`'s header. [`AnswerTaker::done`] gives its
    /// space back.
    Record {
        /// A copy of its header.
        header: Header,
        /// Position of the header.
        position: u64,
    },
    /// The reactor wrote something impossible: this process must not go on.
    Broken,
}

/// The private cursor of the worker's end.
#[derive(Debug, Default)]
pub struct AnswerTaker {
    position: u64,
}

impl AnswerTaker {
    /// Whether there is something to read. For the check before sleeping.
    #[must_use]
    pub fn has_news(&self, down: &DownWords) -> bool {
        down.control.ctl_written.load(Ordering::Acquire) != self.position
    }

    /// The next answer.
    pub fn take(&mut self, down: &DownWords, bytes: &impl RingBytes) -> TakeAnswer {
        let written = down.control.ctl_written.load(Ordering::Acquire);
        while self.position < written {
            let capacity = bytes.capacity();
            let header = bytes.read_header(self.position & (capacity - 1));
            if !ring::length_is_possible(&header, self.position, written, capacity) {
                return TakeAnswer::Broken;
            }
            let position = self.position;
            self.position += ring::aligned(u64::from(header.len));
            if header.kind != RecordKind::Pad as u8 {
                return TakeAnswer::Record { header, position };
            }
        }
        TakeAnswer::Empty
    }

    /// What was taken is this process's, and its space the reactor's again.
    pub fn done(&self, up: &UpWords) {
        up.ctl_read.out_written.store(self.position, Ordering::Release);
    }

    /// After [`AnswerTaker::done`] and a `fence(SeqCst)`: whether the reactor wants to know.
    #[must_use]
    pub fn is_awaited(down: &DownWords) -> bool {
        down.control.ctl_waits.load(Ordering::Acquire) == 1
    }
}
