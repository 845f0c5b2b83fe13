//! `Inbox::take` again, with a defect to choose; without one it is the same algorithm as the real
//! one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code
#![allow(missing_docs, dead_code)] // test code

use super::{Lane, Shared};
use ostler_shm::fault::{Step, step};
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::{self, RingBytes};
use ostler_shm::sync::{Ordering, fence};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// None: the copy must pass where the real one passes.
    Faithful,
    /// T3 without its fence.
    NoFence,
    /// T3 without a look at the gate.
    NoGateCheck,
    /// The void is tested only when the gate moved (the first draft).
    VoidOnlyWhenGateMoved,
    /// The header is read before the announcement.
    ReadFirst,
    /// The cursor is compared with `pkg_written` for equality only (a defect that these models
    /// found).
    StaleWritten,
    /// The record behind a pad is read without an announcement of its own.
    PadNotAnnounced,
    /// A gate that is odd is taken for news and not waited for.
    OddGateIgnored,
}

pub struct MutantInbox {
    pub defect: Defect,
    pub position: u64,
    written: u64,
    gate_seen: u64,
    void_from: u64,
    void_to: u64,
}

impl MutantInbox {
    pub fn new(defect: Defect) -> Self {
        Self { defect, position: 0, written: 0, gate_seen: 0, void_from: 0, void_to: 0 }
    }

    fn at_end(&self) -> bool {
        match self.defect {
            Defect::StaleWritten => self.position == self.written,
            _ => self.position >= self.written,
        }
    }

    fn jump(&mut self) {
        if self.is_void() {
            self.position = self.void_to;
        }
    }

    fn is_void(&self) -> bool {
        self.void_from <= self.position && self.position < self.void_to
    }

    pub fn take(&mut self, shared: &Shared) -> Option<(Header, u64)> {
        let lane = &shared.lanes[0];
        loop {
            if self.defect != Defect::VoidOnlyWhenGateMoved {
                self.jump();
            }
            if self.at_end() {
                self.written = lane.down.package.pkg_written.load(Ordering::Acquire);
                if self.at_end() {
                    if lane.down.gate.gate.load(Ordering::Acquire) == self.gate_seen {
                        return None;
                    }
                    self.read_gate(lane);
                    continue;
                }
            }
            let capacity = lane.packages.capacity();
            let early = (self.defect == Defect::ReadFirst)
                .then(|| lane.packages.read_header(self.position & (capacity - 1)));
            step(Step::BeforeTaken);
            lane.up.taken.taken.store(self.position + 1, Ordering::Release);
            if self.defect != Defect::NoFence {
                fence(Ordering::SeqCst);
            }
            step(Step::Taken);
            if self.defect != Defect::NoGateCheck
                && lane.down.gate.gate.load(Ordering::Acquire) != self.gate_seen
            {
                self.read_gate(lane);
                if self.is_void() {
                    self.jump();
                    continue;
                }
            }
            let header =
                early.unwrap_or_else(|| lane.packages.read_header(self.position & (capacity - 1)));
            assert!(header.len as usize >= HEADER_SIZE, "the worker read nonsense");
            let position = self.position;
            self.position += ring::aligned(u64::from(header.len));
            if header.kind == RecordKind::Pad as u8 && self.defect == Defect::PadNotAnnounced {
                let position = self.position;
                let header = lane.packages.read_header(position & (capacity - 1));
                self.position += ring::aligned(u64::from(header.len));
                return Some((header, position));
            }
            if header.kind != RecordKind::Pad as u8 {
                step(Step::HeaderRead);
                return Some((header, position));
            }
        }
    }

    fn read_gate(&mut self, lane: &Lane) {
        loop {
            let gate = lane.down.gate.gate.load(Ordering::Acquire);
            if gate & 1 == 1 && self.defect != Defect::OddGateIgnored {
                loom::thread::yield_now();
                continue;
            }
            self.void_from = lane.down.gate.void_from.load(Ordering::Acquire);
            self.void_to = lane.down.gate.void_to.load(Ordering::Acquire);
            let same = lane.down.gate.gate.load(Ordering::Acquire) == gate;
            if same || self.defect == Defect::OddGateIgnored {
                self.gate_seen = gate;
                return;
            }
            loom::thread::yield_now();
        }
    }

    pub fn free(&self, shared: &Shared) {
        shared.lanes[0].up.taken.freed.store(self.position, Ordering::Release);
    }
}
