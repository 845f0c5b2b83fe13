//! A lane as a destination: the reactor's end of it, whose other end is in a worker process.
//!
//! Nothing that the other side writes is believed: what it says is checked here, and who says
//! something impossible is told by [`ProtocolViolation`].

use std::io;
use std::os::fd::OwnedFd;

use ostler_core::brain::Entry;
use ostler_core::ids::ProcessKey;
use ostler_shm::answers::AnswerGiver;
use ostler_shm::consumer::{Consumer, Record};
use ostler_shm::giver::{Giver, Opening, ProtocolViolation};
use ostler_shm::lane::{RawBytes, RawBytesMut, ReactorLane};
use ostler_shm::record::{HEADER_SIZE, Header};
use ostler_shm::sleep::Ringer;
use ostler_shm::sync::{Ordering, fence};

use super::AnswersOf;
use super::file_link::{FileLink, Passed};
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::eventfd;

/// Rings in a row that bring nothing before the ringer is condemned (decision 10).
const EMPTY_RINGS_MAX: u32 = 1_000;

/// One lane.
#[derive(Debug)]
pub(in crate::reactor) struct Lane {
    key: ProcessKey,
    memory: ReactorLane,
    giver: Giver,
    answers: AnswerGiver,
    /// What waits for room among the answers.
    tasks_wait: bool,
    messages_wait: bool,
    consumer: Consumer,
    /// Rung by us.
    worker_bell: OwnedFd,
    worker_ringer: Ringer,
    room_ringer: Ringer,
    /// Rung by the worker; held open for epoll, never read.
    lane_bell: OwnedFd,
    pidfd: Option<OwnedFd>,
    /// Rings in a row that brought nothing (decision 10).
    empty_rings: u32,
    /// Packages were published in this turn.
    has_news: bool,
    /// By which the worker passes files.
    files: FileLink,
}

impl Lane {
    pub(in crate::reactor) fn new(
        key: ProcessKey,
        memory: ReactorLane,
        worker_bell: OwnedFd,
        lane_bell: OwnedFd,
        file_link: OwnedFd,
    ) -> Self {
        Self {
            key,
            memory,
            giver: Giver::default(),
            answers: AnswerGiver::default(),
            tasks_wait: false,
            messages_wait: false,
            consumer: Consumer::default(),
            worker_bell,
            worker_ringer: Ringer::default(),
            room_ringer: Ringer::default(),
            lane_bell,
            pidfd: None,
            empty_rings: 0,
            has_news: false,
            files: FileLink::new(file_link),
        }
    }

    pub(super) const fn key(&self) -> ProcessKey {
        self.key
    }

    // ---- the process at the other end -----------------------------------------------------------

    pub(super) fn watch_bell(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.add(&self.lane_bell, token, Interest::BELL)
    }

    pub(super) fn watch_process(
        &mut self,
        epoll: &Epoll,
        token: u64,
        pidfd: OwnedFd,
    ) -> io::Result<()> {
        epoll.add(&pidfd, token, Interest::READ)?;
        self.pidfd = Some(pidfd);
        Ok(())
    }

    pub(super) const fn is_watched(&self) -> bool {
        self.pidfd.is_some()
    }

    /// Descriptors leave the epoll set when they are closed, unless somebody else holds them: it is
    /// said. That it fails for one that was never in it changes nothing.
    pub(super) fn unwatch(&self, epoll: &Epoll) {
        let _ = epoll.remove(&self.lane_bell);
        if let Some(pidfd) = &self.pidfd {
            let _ = epoll.remove(pidfd);
        }
    }

    /// False when it has rung too often for nothing.
    pub(super) fn rang(&mut self, has_more_news: bool) -> bool {
        let has_news = has_more_news || self.has_news(true) || self.has_answer_room();
        self.empty_rings = if has_news { 0 } else { self.empty_rings + 1 };
        self.empty_rings <= EMPTY_RINGS_MAX
    }

    // ---- deliveries -----------------------------------------------------------------------------

    #[inline]
    pub(super) fn open(&self, want: u64, least: u64) -> Option<Opening> {
        self.giver.open(self.memory.capacity(), want, least)
    }

    #[inline]
    pub(super) fn space(&mut self, opening: &Opening, len: usize) -> RawBytesMut<'_> {
        self.memory.packages.raw_mut(opening.payload_offset, len)
    }

    #[inline]
    pub(super) fn complete(&mut self, opening: Opening, header: Header, len: u64) -> u64 {
        self.giver.complete(&self.memory.packages, opening, header, len).position
    }

    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        self.has_news = self.giver.is_dirty();
        self.giver.publish(self.memory.down());
        self.has_news |= self.answers.publish(self.memory.down());
        self.has_news
    }

    #[inline]
    pub(super) fn ring_for_news(&mut self) {
        if self.has_news {
            self.ring();
        }
    }

    /// After a fence that follows what there is to see.
    fn ring(&mut self) {
        if self.worker_ringer.needs_bell(&self.memory.process().sleep.worker_sleep) {
            eventfd::ring_own(&self.worker_bell);
        }
    }

    pub(super) fn recall(&mut self) -> Result<u64, ProtocolViolation> {
        self.giver.recall(self.memory.down(), self.memory.up())
    }

    pub(super) fn leave(&mut self) {
        self.giver.leave(self.memory.down());
    }

    pub(super) fn wake(&mut self) {
        fence(Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn started_below(&mut self) -> Result<u64, ProtocolViolation> {
        self.giver.started_below(self.memory.up())
    }

    pub(super) fn taken(&self) -> u64 {
        self.giver.peek_taken(self.memory.up())
    }

    pub(super) fn work_ns(&self) -> u64 {
        self.memory.process().work.work_ns.load(Ordering::Relaxed)
    }

    pub(super) fn body(&self, entry: &Entry, skipped: u32) -> Vec<u8> {
        let first = (entry.position & (self.memory.capacity() - 1)) + HEADER_SIZE as u64;
        let rest = entry.len.saturating_sub(skipped) as usize;
        self.memory.packages.raw(first + u64::from(skipped), rest).to_vec()
    }

    #[inline]
    pub(super) fn payload(&self, position: u64, offset: u32, len: u32) -> RawBytes<'_> {
        let at = (position & (self.memory.capacity() - 1)) + HEADER_SIZE as u64 + u64::from(offset);
        self.memory.packages.raw(at, len as usize)
    }

    pub(super) fn reclaim(&mut self, freed: u64) -> Result<(), ProtocolViolation> {
        self.giver.reclaim(freed)
    }

    // ---- answers --------------------------------------------------------------------------------

    pub(super) fn append_answer(
        &mut self,
        header: Header,
        payload: &[u8],
    ) -> Result<bool, ProtocolViolation> {
        if self.answers.append(&self.memory.answers, header, payload).is_ok() {
            return Ok(true);
        }
        self.answers.read(self.memory.up())?;
        Ok(self.answers.append(&self.memory.answers, header, payload).is_ok())
    }

    pub(super) fn set_answers_wait(&mut self, whose: AnswersOf, wait: bool) {
        match whose {
            AnswersOf::Tasks => self.tasks_wait = wait,
            AnswersOf::Messages => self.messages_wait = wait,
        }
        self.answers.set_waits(self.tasks_wait || self.messages_wait, self.memory.down());
    }

    pub(super) fn messages_taken(&self) -> u64 {
        self.memory.process().messages.taken.load(Ordering::Acquire)
    }

    pub(super) fn answers_let_go(&self) -> u64 {
        self.memory.process().answers.let_go.load(Ordering::Acquire)
    }

    pub(super) fn has_answer_room(&self) -> bool {
        self.answers.has_room_news(self.memory.up())
    }

    // ---- outputs --------------------------------------------------------------------------------

    #[inline]
    pub(super) fn has_news(&self, with_freed: bool) -> bool {
        self.consumer.has_news(self.memory.process(), self.memory.up())
            || (with_freed && self.giver.has_freed(self.memory.up()))
    }

    #[inline]
    pub(super) fn look(&mut self) -> Result<super::Looked, ProtocolViolation> {
        // `freed` before the outputs: an output may refer to package memory (see
        // `Giver::peek_freed`).
        let freed = self.giver.peek_freed(self.memory.up());
        self.consumer.look(self.memory.process(), self.memory.up(), self.memory.capacity())?;
        let started = self.giver.started_below(self.memory.up())?;
        Ok(super::Looked { freed, started })
    }

    #[inline]
    pub(super) fn next_output(&mut self) -> Result<Option<Record>, ProtocolViolation> {
        self.consumer.next(&self.memory.outputs)
    }

    #[inline]
    pub(super) fn output(&self, record: &Record) -> RawBytes<'_> {
        self.memory.outputs.raw(record.payload_offset, record.header.payload_len())
    }

    pub(super) fn take_file(&mut self, number: u32) -> Result<Passed, ProtocolViolation> {
        self.files.take(number)
    }

    #[inline]
    pub(super) const fn unreleased(&self) -> u64 {
        self.consumer.unreleased()
    }

    /// Gives consumed ring space back and wakes the worker if it waits for it.
    pub(super) fn release(&mut self) {
        if !self.consumer.release(self.memory.down()) {
            return;
        }
        self.empty_rings = 0;
        fence(Ordering::SeqCst);
        if self.room_ringer.needs_bell(&self.memory.process().sleep.room_want) {
            eventfd::ring_own(&self.worker_bell);
        }
    }
}
