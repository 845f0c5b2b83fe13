//! Sleeping until something comes, and what this process says in its words.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use ostler_shm::fault::{Step, step};
use ostler_shm::sync::Ordering;

use super::home::Home;
use super::{LaneEnd, Port};
use crate::sys::epoll::Interest;
use crate::sys::poll;

impl Port {
    /// The memory of reactors in other threads or processes: they have to be told when this process
    /// sleeps. The reactor in this thread knows it.
    fn apart(&mut self) -> impl Iterator<Item = &mut Home> {
        let is_apart = self.room_maker.is_none();
        Some(&mut self.home).filter(|_| is_apart).into_iter().chain(&mut self.switch)
    }

    /// Says that this process is about to sleep. False: there are news, it is not to sleep.
    pub(crate) fn fall_asleep(&mut self, was_left: bool) -> bool {
        self.tell_let_go();
        self.apart().for_each(Home::announce_sleep);
        step(Step::Sleeping);
        let news = self.lanes.iter().any(LaneEnd::has_news);
        !news && (was_left || !self.is_left())
    }

    /// Says that it is awake.
    pub(crate) fn wake(&mut self) {
        self.apart().for_each(Home::wake);
    }

    /// Sleeps until a bell rings or `timeout` passes, unless there are news.
    /// `has_more` is asked once more after the sleep was announced.
    pub(crate) fn idle(
        &mut self,
        timeout: Option<Duration>,
        was_left: bool,
        has_more: impl FnOnce() -> bool,
    ) -> io::Result<()> {
        let sleeps = self.fall_asleep(was_left) && !has_more();
        let result = if sleeps { self.epoll.wait(&mut self.events, timeout) } else { Ok(0) };
        self.wake();
        result.map(|_| ())
    }

    /// Sleeps until an answer comes, or `other` is readable, at most so long. Whatever else happens
    /// may end it, too.
    pub(crate) fn wait_for_answer(
        &mut self,
        timeout: Duration,
        other: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        self.tell_let_go();
        self.apart().for_each(Home::announce_sleep);
        let waited = match (self.has_answers(), other) {
            (true, _) => Ok(()),
            (false, Some(other)) => {
                let watched = [self.epoll.as_fd(), other];
                let waited = poll::wait_readable(watched, Some(timeout));
                // Bells that have rung are forgotten, as by a look at them.
                waited.and_then(|_| self.hush())
            }
            (false, None) => self.epoll.wait(&mut self.events, Some(timeout)).map(|_| ()),
        };
        self.wake();
        waited
    }

    /// From here on this is called whenever the ring of a reactor that has sessions is full,
    /// because that lives in this thread. False: that reads no more.
    pub(crate) fn make_room_by(&mut self, make_room: Box<dyn Fn() -> bool>) {
        self.room_maker = Some(make_room);
    }

    /// Forgets the bells that have rung: whoever watches this object by its descriptor was woken.
    pub(crate) fn hush(&mut self) -> io::Result<()> {
        self.epoll.wait(&mut self.events, Some(Duration::ZERO)).map(|_| ())
    }

    /// Watches one more bell: it ends a sleep.
    pub(crate) fn watch(&self, bell: impl AsFd) -> io::Result<()> {
        self.epoll.add(bell, 1, Interest::BELL)
    }

    /// Tells reactors what one delivery takes.
    pub(crate) fn publish_work(&self, ns: u64) {
        for words in [Some(&self.home), self.switch.as_ref()].into_iter().flatten() {
            if let Some(words) = words.words() {
                words.work.work_ns.store(ns, Ordering::Relaxed);
            }
        }
    }

    /// Where tasks and messages are.
    pub(super) fn home_of_switch(&self) -> &Home {
        self.switch.as_ref().unwrap_or(&self.home)
    }

    /// Tells the reactor of messages how many are this process's own.
    pub(crate) fn publish_messages_taken(&self, count: u64) {
        if let Some(words) = self.home_of_switch().words() {
            words.messages.taken.store(count, Ordering::Release);
        }
    }
}
