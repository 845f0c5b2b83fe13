//! A reactor in the thread of somebody else, which takes turns with it: that of a worker in BASE
//! mode, that of a reactor that accepts its clients itself, and that of a test.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::destination::Destination;
use super::mailbox::{Accepted, FromReactor};
use super::sleep::from_now;
use super::{Charge, Reactor, token};
use crate::sys::epoll::{Events, Interest};

/// What a turn left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    /// There is something to do at once: the turn ended at one of its bounds.
    pub(crate) has_more: bool,
    /// Something was given to a worker.
    pub(crate) gave: bool,
}

impl Reactor {
    /// Watches what is the thread's with what is the reactor's, so that one wait is enough.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub(crate) fn watch(
        &self,
        descriptor: impl AsFd,
        number: u32,
        interest: Interest,
    ) -> io::Result<()> {
        self.clients.epoll.add(descriptor, token::outside(number), interest)
    }

    /// Watches it in another way.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    pub(crate) fn watch_for(
        &self,
        descriptor: impl AsFd,
        number: u32,
        interest: Interest,
    ) -> io::Result<()> {
        self.clients.epoll.modify(descriptor, token::outside(number), interest)
    }

    /// Watches it no more.
    pub(crate) fn unwatch(&self, descriptor: impl AsFd) {
        // It was watched, or there is nothing to end.
        let _ = self.clients.epoll.remove(descriptor);
    }

    /// Sleeps until something happens, something is due, or this time has passed; then one turn.
    ///
    /// # Errors
    /// When the kernel cannot tell what happened.
    pub(crate) fn wait_and_turn(
        &mut self,
        events: &mut Events,
        at_most: Option<Duration>,
    ) -> io::Result<Turned> {
        let until = at_most.map(from_now);
        self.wait(events, [self.due(), until].into_iter().flatten().min())?;
        Ok(self.turned(events))
    }

    /// One turn without a look at what happened outside: for what the worker has done.
    pub(crate) fn turn_again(&mut self, no_events: &Events) -> Turned {
        self.turned(no_events)
    }

    fn turned(&mut self, events: &Events) -> Turned {
        Turned { has_more: self.turn(events), gave: self.gave }
    }

    /// The numbers of what happened to what the thread watches, since the last look.
    pub(crate) fn take_outside(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.outside)
    }

    /// Takes a connection that its thread has accepted.
    pub(crate) fn accepted(&mut self, accepted: Accepted) {
        self.clients.accepted(accepted);
    }

    /// The server ends, and with it accepting.
    pub(crate) const fn is_ending(&self) -> bool {
        self.clients.draining || self.clients.closes_all
    }

    /// The predecessor of this master has handed over: its thread may begin to accept.
    pub(crate) fn is_in_charge(&self) -> bool {
        self.clients.charge == Charge::Taken
    }

    /// A new master has taken over: its thread accepts nobody any more.
    pub(crate) fn is_out_of_charge(&self) -> bool {
        self.clients.charge == Charge::Over
    }

    /// The thread's listeners cannot be watched.
    pub(crate) fn report_failure(&self, error: io::Error) {
        let message = FromReactor::Failed(self.clients.index, error);
        self.clients.reports.queue.push(message);
    }

    /// Takes what is in the mailbox without waiting for its bell.
    pub(crate) fn read_mail(&mut self) {
        self.take_mail();
    }

    /// Reads the datagram ports from now on, or no more.
    pub(crate) fn let_datagrams_be_read(&mut self, reads: bool) {
        self.clients.let_datagrams_be_read(reads);
    }

    /// Whether every datagram that was read is handled, and every one of the worker is with the
    /// kernel.
    pub(crate) fn datagrams_are_settled(&self) -> bool {
        self.clients.brain.has_no_datagrams() && self.clients.datagrams.are_sent()
    }

    /// Reads what the worker in this thread has written, so that there is room for more. What
    /// follows from it is done in the next turn. False: it writes nonsense, and is read no more.
    pub(crate) fn make_room(&mut self) -> bool {
        self.clients.groups.serve_all();
        self.consume_all();
        self.clients.groups.begin_turn();
        self.destinations.publish();
        !self.destinations.iter().any(|(_, worker)| worker.is_condemned())
    }

    /// Whether the worker has written anything that was not read, or waits for something.
    pub(crate) fn has_news(&self) -> bool {
        let says = |(slot, destination): (_, &Destination)| {
            let awaits_freed = self.clients.awaits_freed(slot);
            !destination.is_condemned()
                && (destination.has_news(awaits_freed)
                    || destination.has_answer_room()
                    || self.clients.news_of_let_go(slot, destination).is_some())
        };
        self.clients.groups.has_more() || self.destinations.iter().any(says)
    }
}
