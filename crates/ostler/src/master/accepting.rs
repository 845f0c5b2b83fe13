//! Accepting in somebody's loop: the main thread's, that of the only reactor, or that of a process
//! of BASE mode. Says which listeners the loop watches: none while accepting rests, not that of a
//! port that rests by itself.

use std::io;

use ostler_core::Millis;
use ostler_core::accepting::AcceptCounts;
use ostler_core::ids::PortId;

use super::acceptor::{Acceptor, Verdict};
use super::ports::ListeningPort;
use crate::reactor::mailbox::Accepted;
use crate::sys::epoll::Interest;

/// The set of descriptors in which the loop's thread watches its listeners.
pub(crate) trait ListenerSet {
    /// Watches a listener.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    fn add(&self, port: &ListeningPort, interest: Interest) -> io::Result<()>;
    /// Watches it in another way.
    ///
    /// # Errors
    /// Those of `epoll_ctl(2)`.
    fn modify(&self, port: &ListeningPort, interest: Interest) -> io::Result<()>;
    /// Watches it no more.
    fn remove(&self, port: &ListeningPort);
}

/// The acceptor in its loop.
pub(crate) struct Accepting {
    acceptor: Acceptor,
    /// All ports rest until then, or until a place becomes free.
    rest_until: Option<Millis>,
    /// The listeners are in the loop's set.
    is_open: bool,
}

impl Accepting {
    /// Nobody is accepted before [`Accepting::begin`].
    pub(crate) const fn new(acceptor: Acceptor) -> Self {
        Self { acceptor, rest_until: None, is_open: false }
    }

    /// Clients are accepted from now on.
    ///
    /// # Errors
    /// When a listener cannot be watched.
    pub(crate) fn begin(&mut self, set: &impl ListenerSet) -> io::Result<()> {
        self.is_open = true;
        self.acceptor.ports().listeners().try_for_each(|port| set.add(port, Interest::READ))
    }

    /// The end of accepting: the listeners are closed. Answers what was counted, which is in the
    /// books, too.
    pub(crate) fn end(self, set: &impl ListenerSet) -> AcceptCounts {
        if self.is_open {
            self.acceptor.ports().listeners().for_each(|port| set.remove(port));
        }
        let counts = *self.acceptor.counts();
        self.acceptor.end();
        counts
    }

    /// Accepting has begun, and has not ended.
    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// What was counted until now.
    pub(crate) const fn counts(&self) -> &AcceptCounts {
        self.acceptor.counts()
    }

    /// A listener was seen to have clients that wait: takes a batch of them, which
    /// [`Accepting::accepted_for`] gives.
    pub(crate) fn accept(&mut self, port: PortId, now: Millis, set: &impl ListenerSet) {
        if self.rest_until.is_some() {
            return; // since another port was looked at in this turn
        }
        match self.acceptor.accept(port, now) {
            Verdict::Watch => {}
            Verdict::PortRests => self.watch(Interest::READ, set),
            Verdict::RestUntil(until) => {
                self.rest_until = Some(until);
                self.watch(Interest::NONE, set);
            }
        }
    }

    /// The connections that were accepted for a reactor.
    pub(crate) fn accepted_for(&mut self, reactor: usize) -> impl Iterator<Item = Accepted> + '_ {
        self.acceptor.accepted_for(reactor)
    }

    /// When [`Accepting::run_due`] has something to do; `None`: never.
    pub(crate) fn due(&self) -> Option<Millis> {
        let acceptor = &self.acceptor;
        [self.rest_until, acceptor.complaints_due(), acceptor.next_rest_end()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due by the clock: the ends of rests, lines about refused clients.
    pub(crate) fn run_due(&mut self, now: Millis, set: &impl ListenerSet) {
        self.acceptor.complain_due();
        if self.rest_until.is_some_and(|until| now >= until) {
            self.resume(set);
        }
        if self.acceptor.end_rests(now) && self.rest_until.is_none() {
            self.watch(Interest::READ, set);
        }
    }

    /// Ends the rest of all ports when a descriptor or a place was freed since: for a loop in whose
    /// own thread that happens.
    pub(crate) fn resume_when_freed(&mut self, set: &impl ListenerSet) {
        if self.rest_until.is_some() && self.acceptor.may_go_on() {
            self.resume(set);
        }
    }

    /// The end of the rest of all ports, because of time or because a place became free.
    pub(crate) fn resume(&mut self, set: &impl ListenerSet) {
        if self.rest_until.take().is_some() {
            self.acceptor.resumed();
            self.watch(Interest::READ, set);
        }
    }

    fn watch(&self, interest: Interest, set: &impl ListenerSet) {
        for port in self.acceptor.ports().listeners() {
            let rests = self.acceptor.port_rests(port.id());
            let interest = if rests { Interest::NONE } else { interest };
            // It is in the set, so that nothing is lacking.
            let _ = set.modify(port, interest);
        }
    }
}
