//! A message in several parts: whose it is, and what waits until it is complete.

use std::collections::VecDeque;

use super::Refusal;
use crate::ids::LaneSlot;

/// Which part of a message an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the message before it.
    pub offset: usize,
    /// There are more behind it.
    pub more: bool,
}

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self { offset: 0, more: false };
}

/// What a waiting piece costs besides its bytes: its place in the queue and the allocation of its
/// own.
const PIECE_COST_BYTES: usize = 64;

/// A message of which parts are still to come, or what waited behind one.
#[derive(Debug)]
pub(super) struct OpenMessage {
    owner: LaneSlot,
    /// Bytes of it that have come; the next part begins there.
    next_offset: usize,
    /// Its last part is still to come.
    is_incomplete: bool,
    /// Outputs of other workers, each worker's in its order; the workers in the order in which they
    /// came.
    behind: VecDeque<Waiting>,
    /// Bytes of all of them.
    behind_bytes: usize,
    pieces: usize,
}

/// Outputs of one worker.
#[derive(Debug)]
struct Waiting {
    lane: LaneSlot,
    pieces: VecDeque<Piece>,
}

/// A message or a part of one.
#[derive(Debug)]
struct Piece {
    part: Part,
    bytes: Vec<u8>,
}

impl OpenMessage {
    pub(super) const fn new(owner: LaneSlot, next_offset: usize) -> Self {
        Self {
            owner,
            next_offset,
            is_incomplete: true,
            behind: VecDeque::new(),
            behind_bytes: 0,
            pieces: 0,
        }
    }

    pub(super) const fn owner(&self) -> LaneSlot {
        self.owner
    }

    /// A part of the owner's; false when one before it is missing.
    pub(super) const fn take_part(&mut self, len: usize, part: Part) -> bool {
        let fits = self.next_offset == part.offset;
        self.note(len, part);
        fits
    }

    const fn note(&mut self, len: usize, part: Part) {
        self.next_offset = if part.more { part.offset + len } else { 0 };
        self.is_incomplete = part.more;
    }

    /// Whether parts are still to come.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    pub(super) fn push_behind(&mut self, lane: LaneSlot, part: Part, bytes: Vec<u8>) {
        self.behind_bytes += bytes.len();
        self.pieces += 1;
        let piece = Piece { part, bytes };
        match self.behind.iter_mut().find(|waiting| waiting.lane == lane) {
            Some(waiting) => waiting.pieces.push_back(piece),
            None => self.behind.push_back(Waiting { lane, pieces: VecDeque::from([piece]) }),
        }
    }

    /// The piece that follows now, which becomes a part of what is written: `None` when nothing
    /// waits, or when the message that waits first is not complete.
    pub(super) fn next_piece(&mut self) -> Result<Option<&[u8]>, Refusal> {
        while self.behind.front().is_some_and(|waiting| waiting.pieces.is_empty()) {
            if self.is_incomplete() {
                return Ok(None);
            }
            self.behind.pop_front();
        }
        let Some(waiting) = self.behind.front() else { return Ok(None) };
        let Some(piece) = waiting.pieces.front() else { return Ok(None) };
        if piece.part.offset != self.next_offset {
            return Err(Refusal::Truncated);
        }
        Ok(Some(&piece.bytes))
    }

    /// The piece that [`OpenMessage::next_piece`] answered was queued.
    pub(super) fn drop_piece(&mut self) {
        let Some(waiting) = self.behind.front_mut() else { return };
        let Some(piece) = waiting.pieces.pop_front() else { return };
        let owner = waiting.lane;
        self.owner = owner;
        self.note(piece.bytes.len(), piece.part);
        self.behind_bytes -= piece.bytes.len();
        self.pieces -= 1;
    }

    pub(super) const fn behind_bytes(&self) -> usize {
        self.behind_bytes
    }

    /// What the waiting pieces are charged.
    pub(super) const fn behind_cost(&self) -> usize {
        self.behind_bytes + self.pieces * PIECE_COST_BYTES
    }

    pub(super) fn is_owned_by(&self, lane: LaneSlot) -> bool {
        let begun = |waiting: &Waiting| waiting.pieces.back().is_some_and(|piece| piece.part.more);
        let waits = |waiting: &Waiting| waiting.lane == lane && begun(waiting);
        (self.owner == lane && self.is_incomplete()) || self.behind.iter().any(waits)
    }
}
