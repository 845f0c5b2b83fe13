//! Which listeners the main thread watches: none while accepting rests, not that of a port that
//! rests by itself.

use ostler_core::Millis;
use ostler_core::ids::PortId;

use super::acceptor::Verdict;
use super::event_loop::{Master, listener_token};
use crate::sys::epoll::Interest;

impl Master {
    pub(super) fn accept(&mut self, port: PortId, now: Millis) -> Option<Millis> {
        match self.acceptor.as_mut()?.accept(port, &self.mailboxes, now) {
            Verdict::Watch => None,
            Verdict::PortRests => {
                self.watch_listeners(Interest::READ);
                None
            }
            Verdict::RestUntil(until) => {
                self.watch_listeners(Interest::NONE);
                Some(until)
            }
        }
    }

    pub(super) fn resume_accepting(&mut self) -> Option<Millis> {
        self.acceptor.as_mut()?.resumed();
        self.watch_listeners(Interest::READ);
        None
    }

    fn watch_listeners(&self, interest: Interest) {
        let Some(acceptor) = &self.acceptor else { return };
        for port in acceptor.ports().listeners() {
            let rests = acceptor.port_rests(port.id());
            let interest = if rests { Interest::NONE } else { interest };
            let _ = self.epoll.modify(port, listener_token(port.id()), interest);
        }
    }

    /// Ports whose rest is over are watched again, unless all of them rest.
    pub(super) fn end_rests_of_ports(&mut self, now: Millis, all_rest: bool) {
        let goes_on = self.acceptor.as_mut().is_some_and(|acceptor| acceptor.end_rests(now));
        if goes_on && !all_rest {
            self.watch_listeners(Interest::READ);
        }
    }
}
