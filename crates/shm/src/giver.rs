//! The reactor's end of a package ring: place, publish, reclaim, recall (protocol §4, §7).
//!
//! Pure of I/O: it moves private cursors, writes ring bytes and this side's words. Whatever it
//! reads from the worker's words is checked; impossible values are [`ProtocolViolation`], after
//! which the lane is condemned.

use crate::record::{HEADER_SIZE, Header};
use crate::ring::{self, RingBytes};
use crate::sync::{Ordering, fence};
use crate::words::{DownWords, UpWords};

/// A peer wrote something that no correct peer can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolViolation(
    /// What was wrong, for the log.
    pub &'static str,
);

/// Space for one record that is not yet written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    head: u64,
    pad: u64,
    /// Position that the record's header will have.
    pub position: u64,
    /// Offset of its payload in the ring.
    pub payload_offset: u64,
    /// The most payload bytes that may be written there.
    pub payload_max: u64,
}

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Position of its header.
    pub position: u64,
    /// Position behind it.
    pub end: u64,
}

/// The private cursors of the giving side of one lane.
#[derive(Debug, Default)]
pub struct Giver {
    head: u64,
    published: u64,
    reuse: u64,
    freed_seen: u64,
    taken_seen: u64,
    gate: u64,
    void_from: u64,
    void_to: u64,
}

impl Giver {
    /// Finds space for a payload of at most `payload_want` bytes; a smaller opening is offered when
    /// at least `payload_min` bytes fit. `None`: no room now.
    #[must_use]
    pub fn open(&self, capacity: u64, payload_want: u64, payload_min: u64) -> Option<Opening> {
        let header = HEADER_SIZE as u64;
        let want = payload_want.min(ring::max_record(capacity) - header);
        let free = capacity.saturating_sub(self.head - self.reuse);
        let before_wrap = capacity - (self.head & (capacity - 1));
        let fits_here = before_wrap.min(free);
        let behind_wrap = free.saturating_sub(before_wrap);
        let (pad, space) = if fits_here >= header + want {
            (0, fits_here)
        } else if behind_wrap >= header + want {
            (before_wrap, behind_wrap)
        } else if fits_here >= header + payload_min {
            (0, fits_here)
        } else if behind_wrap >= header + payload_min {
            (before_wrap, behind_wrap)
        } else {
            return None;
        };
        let position = self.head + pad;
        Some(Opening {
            head: self.head,
            pad,
            position,
            payload_offset: (position & (capacity - 1)) + header,
            payload_max: want.min(space - header),
        })
    }

    /// Writes the header of an opening whose payload is in place. Not visible before
    /// [`Giver::publish`]. `header.len` is set here from `payload_len` (clipped to the opening).
    pub fn complete(
        &mut self,
        bytes: &impl RingBytes,
        opening: Opening,
        mut header: Header,
        payload_len: u64,
    ) -> Given {
        debug_assert_eq!(opening.head, self.head, "an opening is used before the next is made");
        let payload_len = payload_len.min(opening.payload_max);
        if opening.pad > 0 {
            ring::write_pad(bytes, opening.head, opening.pad, 0, 0);
        }
        let len = HEADER_SIZE as u64 + payload_len;
        header.len = len as u32;
        bytes.write_header(opening.position & (bytes.capacity() - 1), &header);
        self.head = opening.position + ring::aligned(len);
        Given { position: opening.position, end: self.head }
    }

    /// Whether records wait for [`Giver::publish`].
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        self.head != self.published
    }

    /// Makes all completed records visible. The caller then does one `fence(SeqCst)` for all lanes
    /// of its turn and rings the bells that are needed.
    pub fn publish(&mut self, down: &DownWords) {
        if self.is_dirty() {
            self.published = self.head;
            down.package.pkg_written.store(self.head, Ordering::Release);
        }
    }

    /// Reads the worker's `freed` word. To be read *before* the worker's outputs are consumed and
    /// applied (with [`Giver::reclaim`]) after: an output may refer to package memory, and `freed`
    /// is stored after the commit that publishes such an output.
    #[must_use]
    pub fn peek_freed(&self, up: &UpWords) -> u64 {
        up.taken.freed.load(Ordering::Acquire)
    }

    /// Whether the worker has freed space since the last [`Giver::reclaim`]. For the check before
    /// sleeping of a reactor that waits for ring space.
    #[must_use]
    pub fn has_freed(&self, up: &UpWords) -> bool {
        self.peek_freed(up) != self.freed_seen
    }

    /// Allows the space below `freed` to be used again; also the recalled range when nothing before
    /// it is in use.
    ///
    /// # Errors
    /// [`ProtocolViolation`] when `freed` went back, beyond what was published, or is no record's
    /// position. Whether it lies behind a record that was never taken only the ledger can tell:
    /// that check is the caller's (protocol §6).
    pub fn reclaim(&mut self, freed: u64) -> Result<(), ProtocolViolation> {
        if freed < self.freed_seen || freed > self.published {
            return Err(ProtocolViolation("freed is outside what was given"));
        }
        if !freed.is_multiple_of(HEADER_SIZE as u64) {
            return Err(ProtocolViolation("freed is not the position of a record"));
        }
        self.freed_seen = freed;
        self.reuse = self.reuse.max(self.over_the_void(freed));
        Ok(())
    }

    fn over_the_void(&self, position: u64) -> u64 {
        if self.void_from <= position && position < self.void_to { self.void_to } else { position }
    }

    /// Takes back everything that the worker has not started, and answers `t`: a record at position
    /// `p` stays in hand when `p < t`, and is the reactor's again when `p >= t` (protocol §7).
    /// Never waits.
    ///
    /// # Errors
    /// [`ProtocolViolation`] when `taken` is impossible.
    pub fn recall(&mut self, down: &DownWords, up: &UpWords) -> Result<u64, ProtocolViolation> {
        self.publish(down);
        down.gate.gate.store(self.gate + 1, Ordering::Release);
        fence(Ordering::SeqCst);
        let result = self.started_below(up);
        if let Ok(t) = result {
            self.void_from = t;
            self.void_to = self.published;
            down.gate.void_from.store(self.void_from, Ordering::Release);
            down.gate.void_to.store(self.void_to, Ordering::Release);
        }
        self.gate += 2;
        down.gate.gate.store(self.gate, Ordering::Release);
        if result.is_ok() {
            self.reuse = self.reuse.max(self.over_the_void(self.freed_seen));
        }
        result
    }

    /// The boundary `t` of a worker that is dead: what it had started and what not (protocol §10).
    ///
    /// # Errors
    /// [`ProtocolViolation`] when `taken` is impossible.
    pub fn started_below(&mut self, up: &UpWords) -> Result<u64, ProtocolViolation> {
        let taken = up.taken.taken.load(Ordering::Acquire);
        if taken < self.taken_seen || taken > self.published {
            return Err(ProtocolViolation("taken is outside what was given"));
        }
        self.taken_seen = taken;
        // An announcement inside the last void: the worker looked at the gate and started nothing
        // there.
        if self.void_from < taken && taken <= self.void_to { Ok(self.void_from) } else { Ok(taken) }
    }

    /// Whether the worker has announced a start since the last look (for the dispatcher's decision
    /// to recall).
    #[must_use]
    pub fn peek_taken(&self, up: &UpWords) -> u64 {
        up.taken.taken.load(Ordering::Acquire)
    }

    /// Bytes published and not yet reusable, and bytes written: for figures.
    #[must_use]
    pub fn in_use(&self) -> u64 {
        self.head - self.reuse
    }

    /// Tells the worker that nothing more will ever be given on this lane. Call it after the last
    /// recall.
    pub fn leave(&self, down: &DownWords) {
        down.control.leave.store(1, Ordering::Release);
    }
}
