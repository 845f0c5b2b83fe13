//! A message in several parts: whose it is, and what waits until it is complete.

use std::collections::VecDeque;

use super::Refusal;
use super::file_part::Segment;
use crate::ids::LaneSlot;

/// Which part of a message an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the message before it.
    pub offset: usize,
    /// There are more behind it.
    pub more: bool,
    /// The number of the stream that it is a part of, by its sender; 0: a message of a known
    /// length.
    pub stream: u32,
}

impl Part {
    /// All of it.
    pub const WHOLE: Self = Self { offset: 0, more: false, stream: 0 };
}

/// What a waiting piece costs besides its bytes: its place in the queue and the allocation of its
/// own.
const PIECE_COST_BYTES: usize = 64;

/// What a stream that waits costs besides its pieces, or others of one worker: their place and the
/// first allocation of their queue.
const WAITING_COST_BYTES: usize = 256;

/// A message of which parts are still to come, or what waited behind one.
#[derive(Debug)]
pub(super) struct OpenMessage<F> {
    owner: LaneSlot,
    /// Bytes of it that have come; the next part begins there.
    next_offset: usize,
    /// See [`Part::stream`].
    stream: u32,
    /// Bytes of the stream of which its sender was told that they are written; `None`: it was not
    /// even told that it is its turn.
    told: Option<usize>,
    /// Its last part is still to come.
    is_incomplete: bool,
    /// Outputs of other workers, and what its own worker sends beside a stream: each worker's in
    /// its order, the workers in the order in which they came.
    behind: VecDeque<Waiting<F>>,
    /// What all of them count for the marks, and of that what is on credit.
    behind_bytes: usize,
    behind_on_credit: usize,
    pieces: usize,
}

/// A stream of one worker, or other outputs of it.
#[derive(Debug)]
struct Waiting<F> {
    lane: LaneSlot,
    /// See [`Part::stream`].
    stream: u32,
    pieces: VecDeque<Piece<F>>,
    /// What they count for the marks.
    bytes: usize,
    /// It is the stream of its worker that is not complete: it keeps within its credit.
    is_on_credit: bool,
}

/// A message or a part of one.
#[derive(Debug)]
struct Piece<F> {
    part: Part,
    segment: Segment<F>,
}

impl<F> OpenMessage<F> {
    pub(super) const fn new(owner: LaneSlot, next_offset: usize, stream: u32) -> Self {
        Self {
            owner,
            next_offset,
            stream,
            told: None,
            is_incomplete: true,
            behind: VecDeque::new(),
            behind_bytes: 0,
            behind_on_credit: 0,
            pieces: 0,
        }
    }

    pub(super) const fn owner(&self) -> LaneSlot {
        self.owner
    }

    /// Whether an output is a part of it. What its worker sends beside a stream is not.
    pub(super) fn is_continued_by(&self, lane: LaneSlot, part: Part) -> bool {
        self.owner == lane && self.stream == part.stream
    }

    /// A part of the owner's; false when one before it is missing.
    pub(super) const fn take_part(&mut self, len: usize, part: Part) -> bool {
        let fits = self.fits(part);
        self.note(len, part);
        fits
    }

    /// Whether a part follows what has come. The offsets of a stream that is longer than 4 GiB
    /// begin anew.
    const fn fits(&self, part: Part) -> bool {
        self.next_offset as u32 == part.offset as u32
    }

    const fn note(&mut self, len: usize, part: Part) {
        if self.next_offset == 0 {
            self.stream = part.stream;
            self.told = None;
        }
        self.next_offset = if part.more { self.next_offset + len } else { 0 };
        self.is_incomplete = part.more;
    }

    /// Whether a stream is open.
    const fn is_stream(&self) -> bool {
        self.stream != 0 && self.is_incomplete
    }

    /// Whether it is a stream, or was one.
    pub(super) const fn is_of_stream(&self) -> bool {
        self.stream != 0
    }

    /// Bytes of `queued` ones and of those behind for which streams have credit.
    pub(super) fn on_credit(&self, queued: usize) -> usize {
        let open = if self.is_stream() { self.in_flight(queued) } else { 0 };
        open + self.behind_on_credit
    }

    /// Bytes of the open message that are not written, of `unsent` in all: it is the last of them.
    pub(super) fn in_flight(&self, unsent: usize) -> usize {
        self.next_offset.min(unsent)
    }

    /// How much of an open stream is written, if its sender is to be told: it was told nothing yet,
    /// that is a `step` more than it knows, or all that has come.
    pub(super) fn progress(&mut self, unsent: usize, step: usize) -> Option<(u32, usize)> {
        if !self.is_stream() {
            return None;
        }
        let in_flight = self.in_flight(unsent);
        let written = self.next_offset - in_flight;
        let is_news = self
            .told
            .is_none_or(|told| written >= told + step || (in_flight == 0 && written > told));
        is_news.then(|| {
            self.told = Some(written);
            (self.stream, written)
        })
    }

    /// Whether parts are still to come.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    pub(super) fn push_behind(&mut self, lane: LaneSlot, part: Part, segment: Segment<F>) {
        let (len, stream) = (segment.weight(), part.stream);
        self.behind_bytes += len;
        self.pieces += 1;
        let begins_credit = part.more && self.credit_used(lane, stream).is_some();
        let piece = Piece { part, segment };
        // A stream goes on where it began; what is sent beside it comes behind it.
        let mut of_lane = self.behind.iter_mut().rev().filter(|waiting| waiting.lane == lane);
        let found = match stream {
            0 => of_lane.next().filter(|last| last.stream == 0),
            _ => of_lane.find(|waiting| waiting.stream == stream),
        };
        let Some(waiting) = found else {
            let (pieces, is_on_credit) = (VecDeque::from([piece]), begins_credit);
            self.behind_on_credit += if is_on_credit { len } else { 0 };
            return self.behind.push_back(Waiting {
                lane,
                stream,
                pieces,
                bytes: len,
                is_on_credit,
            });
        };
        if waiting.is_on_credit {
            self.behind_on_credit += len;
        }
        waiting.pieces.push_back(piece);
        waiting.bytes += len;
        if waiting.is_on_credit && !part.more {
            waiting.is_on_credit = false;
            self.behind_on_credit -= waiting.bytes;
        }
    }

    /// How much of its credit a stream that waits has used; `None`: it has none, because it is
    /// complete, or another one of the same worker is not.
    pub(super) fn credit_used(&self, lane: LaneSlot, stream: u32) -> Option<usize> {
        let mut of_lane = self.behind.iter().filter(|waiting| waiting.lane == lane);
        match of_lane.clone().find(|waiting| waiting.is_on_credit) {
            Some(waiting) => (waiting.stream == stream).then_some(waiting.bytes),
            None if stream == 0 || of_lane.any(|waiting| waiting.stream == stream) => None,
            None => Some(0),
        }
    }

    /// Whoever has sent a part of a stream that is not written.
    pub(super) fn streamers(&self) -> impl Iterator<Item = LaneSlot> + use<'_, F> {
        let waiting = self.behind.iter().filter(|waiting| waiting.stream != 0);
        self.is_stream().then_some(self.owner).into_iter().chain(waiting.map(|it| it.lane))
    }

    /// Whether a piece follows now, which [`OpenMessage::take_piece`] then makes a part of what is
    /// written: not when nothing waits, or when the message that waits first is not complete.
    pub(super) fn has_piece(&mut self) -> Result<bool, Refusal> {
        while self.behind.front().is_some_and(|waiting| waiting.pieces.is_empty()) {
            if self.is_incomplete() {
                return Ok(false);
            }
            self.behind.pop_front();
        }
        let Some(waiting) = self.behind.front() else { return Ok(false) };
        let Some(piece) = waiting.pieces.front() else { return Ok(false) };
        if self.fits(piece.part) { Ok(true) } else { Err(Refusal::Truncated) }
    }

    /// The piece that follows.
    pub(super) fn take_piece(&mut self) -> Option<Segment<F>> {
        let waiting = self.behind.front_mut()?;
        let Piece { part, segment } = waiting.pieces.pop_front()?;
        let (owner, len) = (waiting.lane, segment.weight());
        waiting.bytes -= len;
        self.behind_on_credit -= if waiting.is_on_credit { len } else { 0 };
        self.owner = owner;
        self.note(len, part);
        self.behind_bytes -= len;
        self.pieces -= 1;
        Some(segment)
    }

    /// Bytes of all that waits, those of files too. Looks at all of them.
    pub(super) fn behind_left(&self) -> u64 {
        let pieces = self.behind.iter().flat_map(|waiting| &waiting.pieces);
        pieces.map(|piece| piece.segment.left()).sum()
    }

    /// What all that waits counts for the marks.
    pub(super) const fn behind_bytes(&self) -> usize {
        self.behind_bytes
    }

    /// What the waiting pieces are charged; for a file that is what it counts for the marks.
    pub(super) fn behind_cost(&self) -> usize {
        self.behind_bytes + self.pieces * PIECE_COST_BYTES + self.behind.len() * WAITING_COST_BYTES
    }

    pub(super) fn is_owned_by(&self, lane: LaneSlot) -> bool {
        let begun =
            |waiting: &Waiting<F>| waiting.pieces.back().is_some_and(|piece| piece.part.more);
        let waits = |waiting: &Waiting<F>| waiting.lane == lane && begun(waiting);
        (self.owner == lane && self.is_incomplete()) || self.behind.iter().any(waits)
    }
}
