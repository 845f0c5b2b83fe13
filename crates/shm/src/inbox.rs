//! The worker's end of a package ring: take one record just before its handler starts (protocol §5,
//! T1-T4).

use crate::fault::{Step, step};
use crate::record::{Header, RecordKind};
use crate::ring::{self, RingBytes};
use crate::sync::{Ordering, fence};
use crate::words::{DownWords, UpWords};

/// What [`Inbox::take`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Nothing to do on this lane. The cursor may have passed a pad or a void: if nothing of the
    /// lane is held any more, the caller says so ([`Inbox::free_up_to`] with [`Inbox::position`])
    /// and looks at the reactor's sleep word before it sleeps itself. `take` does not, for it
    /// cannot know what is held.
    Empty,
    /// A recall is in progress: look again at once (yield first).
    GateClosed,
    /// This record is started; its payload is `header.payload_len()` bytes behind `position`'s
    /// header.
    Record {
        /// A copy of its header.
        header: Header,
        /// Position of the header.
        position: u64,
    },
    /// The reactor wrote something impossible: this process must not go on.
    Broken,
}

/// The private cursors of the taking side of one lane.
#[derive(Debug, Default)]
pub struct Inbox {
    position: u64,
    written: u64,
    gate_seen: u64,
    void_from: u64,
    void_to: u64,
    freed: u64,
}

impl Inbox {
    /// Whether something can be taken, without announcing anything. For the check before sleeping.
    #[must_use]
    pub fn has_news(&self, down: &DownWords) -> bool {
        let position = self.over_the_void(self.position);
        down.package.pkg_written.load(Ordering::Acquire) != position
            || down.gate.gate.load(Ordering::Acquire) != self.gate_seen
    }

    /// Whether the reactor will never give again and all it gave was taken.
    #[must_use]
    pub fn is_left(&self, down: &DownWords) -> bool {
        Self::is_told_to_leave(down) && !self.has_news(down)
    }

    /// Whether the reactor will never give again, whatever there is to be taken.
    #[must_use]
    pub fn is_told_to_leave(down: &DownWords) -> bool {
        down.control.leave.load(Ordering::Acquire) == 1
    }

    /// Takes the next record: announces it in `taken`, and only if no recall took it back reads it.
    pub fn take(&mut self, down: &DownWords, up: &UpWords, bytes: &impl RingBytes) -> Take {
        loop {
            self.position = self.over_the_void(self.position); // T1: always tested
            // Not `==`: the jump over a void may lead beyond the last `pkg_written` seen here (what
            // was given since then was recalled as well). `void_to` is below the current
            // `pkg_written`, which was stored before the gate.
            if self.position >= self.written {
                self.written = down.package.pkg_written.load(Ordering::Acquire); // T2
                if self.position >= self.written {
                    // The gate may have news although there is nothing to take: a recall of
                    // everything. It has to be seen, or the sleep check would find news for ever.
                    if down.gate.gate.load(Ordering::Acquire) != self.gate_seen {
                        if !self.read_gate(down) {
                            return Take::GateClosed;
                        }
                        continue;
                    }
                    return Take::Empty;
                }
            }
            step(Step::BeforeTaken);
            up.taken.taken.store(self.position + 1, Ordering::Release); // T3
            fence(Ordering::SeqCst);
            step(Step::Taken);
            if down.gate.gate.load(Ordering::Acquire) != self.gate_seen {
                if !self.read_gate(down) {
                    return Take::GateClosed;
                }
                if self.is_void(self.position) {
                    continue;
                }
            }
            match self.read(bytes) {
                Take::Empty => {} // a pad
                found => return found,
            }
        }
    }

    /// T4: only now is record memory read.
    fn read(&mut self, bytes: &impl RingBytes) -> Take {
        let capacity = bytes.capacity();
        let header = bytes.read_header(self.position & (capacity - 1));
        if !ring::length_is_possible(&header, self.position, self.written, capacity) {
            return Take::Broken;
        }
        let position = self.position;
        self.position += ring::aligned(u64::from(header.len));
        if header.kind == RecordKind::Pad as u8 {
            return Take::Empty;
        }
        step(Step::HeaderRead);
        Take::Record { header, position }
    }

    /// Reads the void consistently; false when a recall is in progress.
    fn read_gate(&mut self, down: &DownWords) -> bool {
        let gate = down.gate.gate.load(Ordering::Acquire);
        if gate & 1 == 1 {
            return false;
        }
        let from = down.gate.void_from.load(Ordering::Acquire);
        let to = down.gate.void_to.load(Ordering::Acquire);
        if down.gate.gate.load(Ordering::Acquire) != gate {
            return false;
        }
        self.gate_seen = gate;
        self.void_from = from;
        self.void_to = to;
        true
    }

    const fn is_void(&self, position: u64) -> bool {
        self.void_from <= position && position < self.void_to
    }

    const fn over_the_void(&self, position: u64) -> u64 {
        if self.is_void(position) { self.void_to } else { position }
    }

    /// Position up to which records were taken; what [`Inbox::free_up_to`] is given once nothing of
    /// them is needed.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Tells the reactor that no package memory below `position` is referred to any more. After the
    /// commit of outputs that refer to it, before the fence and the look at the reactor's sleep
    /// word. Answers whether the word moved.
    pub fn free_up_to(&mut self, position: u64, up: &UpWords) -> bool {
        if position <= self.freed {
            return false;
        }
        self.freed = position;
        up.taken.freed.store(position, Ordering::Release);
        step(Step::Freed);
        true
    }
}
