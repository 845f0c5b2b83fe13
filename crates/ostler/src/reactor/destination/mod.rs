//! Where deliveries go and outputs come from, of whatever kind: the counterpart of a worker's port.
//!
//! The reactor gives, recalls and consumes only through [`Destination`]. A lane is the kind whose
//! worker is another process. A worker in the same process would be another one, with the same
//! records and no bells, gates and checks: what waits there is a matter of one thread.

pub(super) mod consume;
mod file_link;
pub(super) mod give;
pub(super) mod lane;
pub(super) mod parts;
pub(super) mod reference;
mod table;

use std::io;
use std::os::fd::OwnedFd;

use ostler_core::brain::Entry;
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_shm::consumer::Record;
use ostler_shm::giver::{Opening, ProtocolViolation};
use ostler_shm::lane::{RawBytes, RawBytesMut};
use ostler_shm::record::{FLAG_MORE, Header};

use crate::sys::epoll::Epoll;
pub(super) use file_link::Passed;
use lane::Lane;
pub(super) use parts::Sending;
pub(super) use table::Destinations;

/// Who writes into a ring for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswersOf {
    /// Results and ends of tasks.
    Tasks,
    /// Messages of other processes.
    Messages,
}

/// What a look at a destination brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    /// Package memory below this position is not needed any more.
    freed: u64,
    /// Deliveries below this position are started.
    started: u64,
}

/// The kinds of destinations.
#[derive(Debug)]
enum Kind {
    /// A worker in another process.
    Lane(Lane),
}

/// One destination.
#[derive(Debug)]
pub(super) struct Destination {
    kind: Kind,
    /// It wrote nonsense: nothing of it is read any more.
    condemned: bool,
    /// A package of several parts that is being written.
    sending: Option<Sending>,
}

impl Destination {
    pub(super) const fn lane(lane: Lane) -> Self {
        Self { kind: Kind::Lane(lane), condemned: false, sending: None }
    }

    /// Who is there.
    pub(super) const fn key(&self) -> ProcessKey {
        match &self.kind {
            Kind::Lane(lane) => lane.key(),
        }
    }

    /// Whether what it is given are tasks.
    pub(super) fn runs_tasks(&self) -> bool {
        self.key().kind == ProcessKind::Task
    }

    /// Tells successive owners of one place apart, in tokens of events.
    pub(super) const fn mark(&self) -> u32 {
        self.key().generation.0 & 0xff_ffff
    }

    /// Whether it wrote nonsense.
    pub(super) const fn is_condemned(&self) -> bool {
        self.condemned
    }

    /// It wrote nonsense. False when that was known.
    pub(super) const fn condemn(&mut self) -> bool {
        !std::mem::replace(&mut self.condemned, true)
    }

    /// Forgets the package that was being written, which was taken back. True when there was one.
    pub(super) const fn stop_sending(&mut self) -> bool {
        self.sending.take().is_some()
    }

    // ---- the process at the other end -----------------------------------------------------------

    /// Its bell is told under `token`.
    pub(super) fn watch_bell(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match &self.kind {
            Kind::Lane(lane) => lane.watch_bell(epoll, token),
        }
    }

    /// The death of its process is told under `token`.
    pub(super) fn watch_process(
        &mut self,
        epoll: &Epoll,
        token: u64,
        pidfd: OwnedFd,
    ) -> io::Result<()> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.watch_process(epoll, token, pidfd),
        }
    }

    /// Whether its death would be noticed.
    pub(super) const fn is_watched(&self) -> bool {
        match &self.kind {
            Kind::Lane(lane) => lane.is_watched(),
        }
    }

    /// It is gone: nothing of it is told any more.
    pub(super) fn unwatch(&self, epoll: &Epoll) {
        match &self.kind {
            Kind::Lane(lane) => lane.unwatch(epoll),
        }
    }

    /// It rang, and has something to say that its rings do not show, or not. False when it has done
    /// so too often for nothing.
    pub(super) fn rang(&mut self, has_more_news: bool) -> bool {
        match &mut self.kind {
            Kind::Lane(lane) => lane.rang(has_more_news),
        }
    }

    // ---- deliveries -----------------------------------------------------------------------------

    /// Finds room for a record with a payload of `want` bytes, or of fewer, but `least` at least.
    #[inline]
    pub(super) fn open(&self, want: u64, least: u64) -> Option<Opening> {
        match &self.kind {
            Kind::Lane(lane) => lane.open(want, least),
        }
    }

    /// The memory for the payload, at most what the opening has.
    #[inline]
    pub(super) fn space(&mut self, opening: &Opening, len: usize) -> RawBytesMut<'_> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.space(opening, len),
        }
    }

    /// The payload of `len` bytes is in place: writes the header, and returns the position by which
    /// the delivery is known. It is not seen before [`Destination::publish`].
    #[inline]
    pub(super) fn complete(&mut self, opening: Opening, header: Header, len: u64) -> u64 {
        match &mut self.kind {
            Kind::Lane(lane) => lane.complete(opening, header, len),
        }
    }

    /// Makes what was given visible; true when there was something. After all of them were asked,
    /// and a fence, comes [`Destination::ring_for_news`].
    #[inline]
    fn publish(&mut self) -> bool {
        match &mut self.kind {
            Kind::Lane(lane) => lane.publish(),
        }
    }

    /// Wakes who sleeps and has something to see since [`Destination::publish`].
    #[inline]
    fn ring_for_news(&mut self) {
        match &mut self.kind {
            Kind::Lane(lane) => lane.ring_for_news(),
        }
    }

    /// Takes back what is not started: deliveries from the position that is returned. Follow it by
    /// [`Destination::wake`].
    pub(super) fn recall(&mut self) -> Result<u64, ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.recall(),
        }
    }

    /// Nothing more comes: it is to finish what it has, and to end. Follow it by
    /// [`Destination::wake`].
    pub(super) fn leave(&mut self) {
        match &mut self.kind {
            Kind::Lane(lane) => lane.leave(),
        }
    }

    /// Wakes it if it sleeps.
    pub(super) fn wake(&mut self) {
        match &mut self.kind {
            Kind::Lane(lane) => lane.wake(),
        }
    }

    /// Deliveries below this position are started.
    pub(super) fn started_below(&mut self) -> Result<u64, ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.started_below(),
        }
    }

    /// The same, not checked: what it says.
    pub(super) fn taken(&self) -> u64 {
        match &self.kind {
            Kind::Lane(lane) => lane.taken(),
        }
    }

    /// The time that it says it has worked, nanoseconds.
    pub(super) fn work_ns(&self) -> u64 {
        match &self.kind {
            Kind::Lane(lane) => lane.work_ns(),
        }
    }

    /// A copy of the body of a delivery that is there, without its first `skipped` bytes.
    pub(super) fn body(&self, entry: &Entry, skipped: u32) -> Vec<u8> {
        match &self.kind {
            Kind::Lane(lane) => lane.body(entry, skipped),
        }
    }

    /// Bytes of the payload of the delivery at `position`.
    #[inline]
    fn payload(&self, position: u64, offset: u32, len: u32) -> RawBytes<'_> {
        match &self.kind {
            Kind::Lane(lane) => lane.payload(position, offset, len),
        }
    }

    /// Package memory below `freed` is used again.
    fn reclaim(&mut self, freed: u64) -> Result<(), ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.reclaim(freed),
        }
    }

    // ---- answers --------------------------------------------------------------------------------

    /// Writes an answer; false: there is no room now. It is not seen before
    /// [`Destination::publish`].
    pub(super) fn append_answer(
        &mut self,
        header: Header,
        payload: &[u8],
    ) -> Result<bool, ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.append_answer(header, payload),
        }
    }

    /// Writes as much of an answer as there is room for, in parts if it is longer than a record;
    /// `written` is how much of it is. True: that was the rest.
    pub(super) fn append_answer_in_parts(
        &mut self,
        header: Header,
        bytes: &[u8],
        written: &mut usize,
        payload_max: usize,
    ) -> Result<bool, ProtocolViolation> {
        loop {
            let rest = bytes.get(*written..).unwrap_or_default();
            let part = rest.get(..payload_max).unwrap_or(rest);
            let is_last = part.len() == rest.len();
            let header = Header {
                flags: if is_last { 0 } else { FLAG_MORE },
                part_offset: *written as u32,
                total: bytes.len() as u32,
                ..header
            };
            if !self.append_answer(header, part)? {
                return Ok(false);
            }
            *written += part.len();
            if is_last {
                return Ok(true);
            }
        }
    }

    /// Says whether something of this kind waits for room among the answers.
    pub(super) fn set_answers_wait(&mut self, whose: AnswersOf, wait: bool) {
        match &mut self.kind {
            Kind::Lane(lane) => lane.set_answers_wait(whose, wait),
        }
    }

    /// How many messages of other processes it says that it has taken.
    pub(super) fn messages_taken(&self) -> u64 {
        match &self.kind {
            Kind::Lane(lane) => lane.messages_taken(),
        }
    }

    /// How many answers it says that it has let go of, of those that it reads where they lie.
    pub(super) fn answers_let_go(&self) -> u64 {
        match &self.kind {
            Kind::Lane(lane) => lane.answers_let_go(),
        }
    }

    /// Whether there is room again for answers that wait.
    pub(super) fn has_answer_room(&self) -> bool {
        match &self.kind {
            Kind::Lane(lane) => lane.has_answer_room(),
        }
    }

    // ---- outputs --------------------------------------------------------------------------------

    /// Whether there are outputs; `with_freed`: or package memory that is not needed any more.
    #[inline]
    pub(super) fn has_news(&self, with_freed: bool) -> bool {
        match &self.kind {
            Kind::Lane(lane) => lane.has_news(with_freed),
        }
    }

    /// Looks at what it has done. [`Destination::next_output`] then returns the outputs that were
    /// there.
    #[inline]
    fn look(&mut self) -> Result<Looked, ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.look(),
        }
    }

    /// The next output, its header copied and checked.
    #[inline]
    fn next_output(&mut self) -> Result<Option<Record>, ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.next_output(),
        }
    }

    /// The bytes of an output, until it is released. The worker may be changing them.
    #[inline]
    fn output(&self, record: &Record) -> RawBytes<'_> {
        match &self.kind {
            Kind::Lane(lane) => lane.output(record),
        }
    }

    /// The file of a record, by the number that stands there. To be called once for each.
    fn take_file(&mut self, number: u32) -> Result<Passed, ProtocolViolation> {
        match &mut self.kind {
            Kind::Lane(lane) => lane.take_file(number),
        }
    }

    /// Bytes of outputs that were consumed and not released.
    #[inline]
    const fn unreleased(&self) -> u64 {
        match &self.kind {
            Kind::Lane(lane) => lane.unreleased(),
        }
    }

    /// The memory of consumed outputs is the worker's again; who waits for it is woken.
    fn release(&mut self) {
        match &mut self.kind {
            Kind::Lane(lane) => lane.release(),
        }
    }
}
