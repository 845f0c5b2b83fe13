//! The listeners in the loop of the main thread, which accepts for several reactors.

use std::io;

use ostler_core::Millis;
use ostler_core::ids::PortId;

use super::accepting::ListenerSet;
use super::event_loop::Master;
use super::ports::ListeningPort;
use crate::reactor::mailbox::ToReactor;
use crate::sys::epoll::{Epoll, Interest};

/// The listener of the first port; that of the next one is the next number.
const LISTENERS: u64 = 16;

/// The token of the listener of a port.
fn token_of(port: PortId) -> u64 {
    LISTENERS + u64::from(port.0)
}

/// The port whose listener has this token.
pub(super) fn port_of(token: u64) -> Option<PortId> {
    u16::try_from(token.checked_sub(LISTENERS)?).ok().map(PortId)
}

impl ListenerSet for Epoll {
    fn add(&self, port: &ListeningPort, interest: Interest) -> io::Result<()> {
        Self::add(self, port, token_of(port.id()), interest)
    }

    fn modify(&self, port: &ListeningPort, interest: Interest) -> io::Result<()> {
        Self::modify(self, port, token_of(port.id()), interest)
    }

    fn remove(&self, port: &ListeningPort) {
        // It was watched, or there is nothing to end.
        let _ = Self::remove(self, port);
    }
}

impl Master {
    /// Takes clients that wait at a port, and wakes each reactor once for its share.
    pub(super) fn accept(&mut self, port: PortId, now: Millis) {
        let Some(accepting) = &mut self.accepting else { return };
        accepting.accept(port, now, &self.epoll);
        for (reactor, mailbox) in self.mailboxes.iter().enumerate() {
            mailbox.push_all(accepting.accepted_for(reactor).map(ToReactor::Accepted));
        }
    }
}
