//! The reactor's end of an out ring: read what is committed, believe nothing (protocol §6).

use crate::giver::ProtocolViolation;
use crate::record::{HEADER_SIZE, Header, RecordKind};
use crate::ring::{self, RingBytes};
use crate::sync::Ordering;
use crate::words::{DownWords, ProcessWords, UpWords};

/// One committed record, its header copied and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The copy.
    pub header: Header,
    /// The kind, known.
    pub kind: RecordKind,
    /// Offset of the payload in the ring; `header.payload_len()` bytes from there are inside the
    /// ring.
    pub payload_offset: u64,
}

/// The private cursors of the consuming side of one lane's out ring.
#[derive(Debug, Default)]
pub struct Consumer {
    read: u64,
    released: u64,
    commit_seen: u64,
    commit: u64,
    written: u64,
    seq: u64,
    transaction: u64,
}

impl Consumer {
    /// Whether the worker published anything since the last look. For the check before sleeping.
    #[must_use]
    pub fn has_news(&self, process: &ProcessWords, up: &UpWords) -> bool {
        process.commit.commit.load(Ordering::Acquire) != self.commit_seen
            && up.out.out_written.load(Ordering::Acquire) != self.read
    }

    /// Looks at `commit`, then at `out_written`: the order in which a committed record cannot be
    /// missed.
    ///
    /// # Errors
    /// [`ProtocolViolation`] when either is impossible.
    pub fn look(
        &mut self,
        process: &ProcessWords,
        up: &UpWords,
        capacity: u64,
    ) -> Result<(), ProtocolViolation> {
        let commit = process.commit.commit.load(Ordering::Acquire);
        let written = up.out.out_written.load(Ordering::Acquire);
        if commit < self.commit_seen {
            return Err(ProtocolViolation("commit went back"));
        }
        if written < self.read || written - self.read > capacity || written < self.written {
            return Err(ProtocolViolation("out_written is outside the ring"));
        }
        if !written.is_multiple_of(HEADER_SIZE as u64) {
            return Err(ProtocolViolation("out_written is not aligned"));
        }
        self.commit = commit;
        self.commit_seen = commit;
        self.written = written;
        Ok(())
    }

    /// The next committed record seen by the last [`Consumer::look`]; `None` when there is none.
    ///
    /// # Errors
    /// [`ProtocolViolation`] when the record is impossible: wrong length, kind, sequence or
    /// transaction.
    pub fn next(&mut self, bytes: &impl RingBytes) -> Result<Option<Record>, ProtocolViolation> {
        let capacity = bytes.capacity();
        while self.read != self.written {
            let offset = self.read & (capacity - 1);
            let header = bytes.read_header(offset);
            if header.stamp > self.commit {
                return Ok(None); // of a transaction that does not exist (yet)
            }
            if header.stamp < self.transaction {
                return Err(ProtocolViolation("a record's transaction went back"));
            }
            if header.seq != self.seq + 1 {
                return Err(ProtocolViolation("a record's sequence number is wrong"));
            }
            if !ring::length_is_possible(&header, self.read, self.written, capacity) {
                return Err(ProtocolViolation("a record's length is impossible"));
            }
            let Some(kind) = RecordKind::from_byte(header.kind) else {
                return Err(ProtocolViolation("a record's kind is unknown"));
            };
            self.transaction = header.stamp;
            self.seq += 1;
            self.read += ring::aligned(u64::from(header.len));
            if kind != RecordKind::Pad {
                let payload_offset = offset + HEADER_SIZE as u64;
                return Ok(Some(Record { header, kind, payload_offset }));
            }
        }
        Ok(None)
    }

    /// Gives the space of consumed records back to the worker. The caller then does a
    /// `fence(SeqCst)` and looks at the worker's `room_want`. False when there was nothing to give
    /// back.
    pub fn release(&mut self, down: &DownWords) -> bool {
        if self.released == self.read {
            return false;
        }
        self.released = self.read;
        down.consumed.out_read.store(self.read, Ordering::Release);
        true
    }

    /// Bytes consumed and not yet released.
    #[must_use]
    pub const fn unreleased(&self) -> u64 {
        self.read - self.released
    }
}
