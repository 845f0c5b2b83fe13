//! A connection's unsent output: what is written in which order, how much of it there may be.
//!
//! A message in several parts belongs to the worker that began it: what other workers send
//! meanwhile waits behind its last part, so that no message is ever torn by another.
//!
//! A part of a file stands in the queue like a message, and its bytes stay in the file.
//!
//! Responsible for: the order of bytes, the marks, and what a queue is charged.
//! Must never: know a socket or a file. The driver writes [`SendQueue::front`] and says how far it
//! came.

mod buffer_events;
mod chunks;
mod file_part;
mod message_owner;
mod water_marks;

use std::ops::Range;
use std::sync::Arc;

use crate::body::SharedBytes;
use crate::ids::LaneSlot;
use chunks::Chunks;
use file_part::Segment;
use message_owner::OpenMessage;

pub use buffer_events::{BufferEvent, BufferEvents};
pub use file_part::{FILE_WEIGHT_BYTES, FilePart, Front};
pub use message_owner::Part;
pub use water_marks::WaterMarks;

/// What is to be done with an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It follows what is queued: write it, or [push](SendQueue::push) it.
    Now,
    /// It [waits behind](SendQueue::push_behind) another worker's message, or behind a stream.
    Behind,
    /// The session is to be closed instead.
    Refused(Refusal),
}

/// How much of a stream is written to its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whose stream.
    pub lane: LaneSlot,
    /// Its number there.
    pub stream: u32,
    /// Bytes of it that are written.
    pub written: usize,
}

/// Why an output ends its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More is unsent than the session may have.
    TooMuch,
    /// A message lacks a part: its worker died, or gave it up.
    Truncated,
}

/// After so many more bytes that were written the sender of a stream is told: often enough that it
/// need not stop while the client reads, seldom enough that waking it costs little. `window` is
/// what it may have on the way. So much it may send before it was told that its turn has come.
#[must_use]
pub const fn stream_step(window: usize) -> usize {
    window / 4
}

/// The unsent output of one connection. `F` is an open file.
#[derive(Debug)]
pub struct SendQueue<F> {
    chunks: Chunks<F>,
    /// A message in parts that is not complete, and what waits behind it.
    open: Option<Box<OpenMessage<F>>>,
}

impl<F> Default for SendQueue<F> {
    fn default() -> Self {
        Self { chunks: Chunks::default(), open: None }
    }
}

impl<F> SendQueue<F> {
    /// Where an output of `len` bytes goes. The answer [`Route::Now`] makes its lane the owner of
    /// the connection when more parts follow.
    pub fn route(&mut self, lane: LaneSlot, len: usize, part: Part, marks: &WaterMarks) -> Route {
        let counted = self.counted();
        match self.open.as_deref_mut() {
            Some(open) if !open.is_continued_by(lane, part) => {
                let is_too_much = match open.credit_used(lane, part.stream) {
                    // However many others wait.
                    Some(bytes) => bytes + len > stream_step(marks.high),
                    None => marks.is_exceeded(counted),
                };
                if is_too_much { Route::Refused(Refusal::TooMuch) } else { Route::Behind }
            }
            Some(open) => {
                let in_flight = open.in_flight(self.chunks.len());
                match open.take_part(len, part) {
                    // Who streams keeps within its credit.
                    true if part.stream != 0 && in_flight + len > marks.high => {
                        Route::Refused(Refusal::TooMuch)
                    }
                    true => Route::Now,
                    false => Route::Refused(Refusal::Truncated),
                }
            }
            None if part.more => {
                if marks.is_exceeded(counted) {
                    return Route::Refused(Refusal::TooMuch);
                }
                self.open = Some(Box::new(OpenMessage::new(lane, part.offset + len, part.stream)));
                Route::Now
            }
            None => Route::Now,
        }
    }

    /// Whether an output that is routed [now](Route::Now) may be queued. A message that was begun
    /// is queued to its end.
    #[must_use]
    pub fn may_push(&self, marks: &WaterMarks) -> bool {
        self.open.is_some() || !marks.is_exceeded(self.counted())
    }

    /// Queues `len` bytes that `fill` puts at the end of the vector it is given.
    pub fn push(&mut self, len: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        self.chunks.push(len, fill);
    }

    /// Queues a part of a package that stays where it is.
    pub fn push_shared(&mut self, body: Arc<dyn SharedBytes>, range: Range<usize>) {
        self.chunks.push_shared(body, range);
    }

    /// Queues an output that waits [behind](Route::Behind) another worker's message.
    pub fn push_behind(&mut self, lane: LaneSlot, part: Part, bytes: Vec<u8>) {
        if let Some(open) = self.open.as_deref_mut() {
            open.push_behind(lane, part, Segment::Bytes(bytes));
        }
    }

    /// Where a part of a file goes that is a message of its own.
    pub fn route_file(&mut self, lane: LaneSlot, marks: &WaterMarks) -> Route {
        self.route(lane, FILE_WEIGHT_BYTES, Part::WHOLE, marks)
    }

    /// Queues a part of a file. An empty one leaves nothing.
    pub fn push_file(&mut self, part: FilePart<F>) {
        self.chunks.push_file(part);
    }

    /// Queues a part of a file that waits [behind](Route::Behind) another message.
    pub fn push_file_behind(&mut self, lane: LaneSlot, part: FilePart<F>) {
        if let Some(open) = self.open.as_deref_mut() {
            open.push_behind(lane, Part::WHOLE, Segment::File(part));
        }
    }

    /// The last part of a message is written or queued. What waited behind it follows, worker by
    /// worker, until one of them has begun a message that is not complete: its worker is the owner
    /// then.
    ///
    /// # Errors
    /// Why the session is to be closed. What could not follow is still part of the queue.
    pub fn end_message(&mut self, marks: &WaterMarks) -> Result<(), Refusal> {
        let Some(open) = self.open.as_deref_mut() else { return Ok(()) };
        // What streams have queued on credit is no reason to refuse what was taken beside it.
        let mut follows_stream = open.is_of_stream();
        while open.has_piece()? {
            if !follows_stream && marks.is_exceeded(self.chunks.weight()) {
                return Err(Refusal::TooMuch);
            }
            if let Some(segment) = open.take_piece() {
                self.chunks.append(segment);
            }
            follows_stream |= open.is_of_stream();
        }
        if !open.is_incomplete() {
            self.open = None;
        }
        Ok(())
    }

    /// Whether a message in parts is not complete, or something waits behind one.
    #[must_use]
    pub const fn has_open_message(&self) -> bool {
        self.open.is_some()
    }

    /// How much of the open stream is written, if its sender is to be told: when its turn has come,
    /// each time that it is a `step` more, and when nothing of it is left to write. Each news is
    /// told once.
    pub fn progress(&mut self, step: usize) -> Option<Progress> {
        let unsent = self.chunks.len();
        let open = self.open.as_deref_mut()?;
        let lane = open.owner();
        let (stream, written) = open.progress(unsent, step)?;
        Some(Progress { lane, stream, written })
    }

    /// The lanes whose workers stream to the session; one may come several times.
    pub fn streamers(&self) -> impl Iterator<Item = LaneSlot> {
        self.open.as_deref().into_iter().flat_map(OpenMessage::streamers)
    }

    /// What is to be written next.
    #[must_use]
    pub fn front(&self) -> Front<'_, F> {
        self.chunks.front()
    }

    /// `len` of the front's bytes were written. Answers whether that was the end of a file, which
    /// is dropped.
    pub fn advance(&mut self, len: usize) -> bool {
        let files = self.chunks.files();
        self.chunks.advance(len);
        self.chunks.files() < files
    }

    /// Whether nothing waits in front of an output that is routed [now](Route::Now).
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// A copy of the bytes that wait to be written, for who goes on with them. `None`: they cannot
    /// be had, for a part of a file is among them, or a message that is not complete.
    #[must_use]
    pub fn copy(&self) -> Option<Vec<u8>> {
        if self.open.is_some() || self.chunks.files() > 0 {
            return None;
        }
        Some(self.chunks.copy())
    }

    /// Bytes that wait to be written, where a file counts as [`FILE_WEIGHT_BYTES`].
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.chunks.weight() + self.open.as_ref().map_or(0, |open| open.behind_bytes())
    }

    /// Bytes that wait to be written, those of files too. It costs by what is queued.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.chunks.left() + self.open.as_ref().map_or(0, |open| open.behind_left())
    }

    /// Of the [unsent](SendQueue::unsent) ones those that count for the marks: all but what streams
    /// have on credit.
    #[must_use]
    pub fn counted(&self) -> usize {
        let on_credit = self.open.as_ref().map_or(0, |open| open.on_credit(self.chunks.len()));
        self.unsent().saturating_sub(on_credit)
    }

    /// Whether there is something to write, or a message of which parts are still to come.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        !self.chunks.is_empty() || self.open.is_some()
    }

    /// Memory held, bytes: what the budget is charged.
    #[must_use]
    pub fn charged(&self) -> usize {
        let behind = self.open.as_ref().map_or(0, |open| open.behind_cost());
        self.chunks.charged() + behind
    }

    /// Bytes that it keeps and that are charged for themselves, to everybody who keeps them
    /// together.
    #[must_use]
    pub const fn charged_apart(&self) -> usize {
        self.chunks.charged_apart()
    }

    /// Whether a message of this lane's worker is being written, or waits and is incomplete:
    /// without the worker it will never be complete.
    #[must_use]
    pub fn is_owned_by(&self, lane: LaneSlot) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_owned_by(lane))
    }
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod tests;
