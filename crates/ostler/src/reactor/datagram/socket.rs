//! One datagram port: its socket and what waits to be sent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostler_core::ids::PortId;

use super::send::Outgoing;
use crate::reactor::mailbox::DatagramPart;
use crate::sys::datagram::{self, Family};
use crate::sys::epoll::{Interest, Readiness};

/// Errors in a row, with nothing between them that was read or was not there, after which a port
/// rests: one that tells what an earlier datagram met is told once, and there are not so many of
/// them at the same time.
const ERRORS_MAX: u8 = 16;

#[derive(Debug)]
pub(super) struct DatagramPort {
    id: PortId,
    socket: OwnedFd,
    family: Family,
    part: DatagramPart,
    /// It is read. Apart from that of [`DatagramPart::All`], none is at first.
    reads: bool,
    /// The kernel may have something to read.
    pub(super) is_readable: bool,
    /// Errors since it was read last.
    errors: u8,
    /// It is not read for a while, because it cannot be.
    rests: bool,
    pub(super) outgoing: Outgoing,
    /// Datagrams that the kernel had dropped when it was asked last.
    drops_seen: u32,
}

impl DatagramPort {
    pub(super) fn new(id: PortId, socket: OwnedFd, part: DatagramPart) -> io::Result<Self> {
        let family = datagram::family(&socket)?;
        let (outgoing, reads) = (Outgoing::new(family), part == DatagramPart::All);
        Ok(Self {
            id,
            socket,
            family,
            part,
            reads,
            is_readable: reads,
            errors: 0,
            rests: false,
            outgoing,
            drops_seen: 0,
        })
    }

    /// Begins to read it, or ends that, if it is for this reactor to read. Answers for what the
    /// socket is to be watched.
    pub(super) fn let_read(&mut self, reads: bool) -> Interest {
        self.reads = reads && self.part != DatagramPart::Sends;
        self.is_readable = self.reads && !self.rests;
        self.interest()
    }

    pub(super) const fn interest(&self) -> Interest {
        if self.reads { Interest::DATAGRAMS } else { Interest::DATAGRAMS_OUT }
    }

    /// An error that is pending, such as that nobody listens where a datagram went, is told by the
    /// next call, and concerns nothing else.
    pub(super) const fn note_event(&mut self, readiness: Readiness) {
        let tells = readiness.readable() || readiness.error();
        self.is_readable |= self.reads && !self.rests && tells;
    }

    /// It was read, or had nothing to read.
    pub(super) const fn was_looked_at(&mut self, may_have_more: bool) {
        (self.is_readable, self.errors) = (may_have_more, 0);
    }

    /// Reading it has failed. True when it has done so for too long: it rests until
    /// [`DatagramPort::rested`].
    pub(super) const fn has_failed(&mut self) -> bool {
        self.errors += 1;
        if self.errors >= ERRORS_MAX {
            (self.is_readable, self.rests, self.errors) = (false, true, 0);
        }
        self.rests
    }

    /// It is tried again.
    pub(super) const fn rested(&mut self) {
        (self.rests, self.is_readable) = (false, self.reads);
    }

    pub(super) const fn id(&self) -> PortId {
        self.id
    }

    pub(super) const fn family(&self) -> Family {
        self.family
    }

    /// The kernel says how many datagrams it has dropped in all; how many of them are new. The
    /// counter wraps.
    pub(super) fn drops_told(&mut self, dropped: u32) -> u64 {
        if !matches!(self.part, DatagramPart::All | DatagramPart::AllWhenTold) {
            return 0;
        }
        let new = dropped.wrapping_sub(std::mem::replace(&mut self.drops_seen, dropped));
        // What is told with a datagram is older than what was asked for since.
        if new > u32::MAX / 2 {
            self.drops_seen = self.drops_seen.wrapping_sub(new);
            return 0;
        }
        u64::from(new)
    }

    /// How many were dropped since it was told last.
    pub(super) fn drops_at_end(&mut self) -> u64 {
        datagram::dropped(&self.socket).map_or(0, |dropped| self.drops_told(dropped))
    }

    /// Sends what waits, as far as the kernel takes it; `count` is told what became of it.
    pub(super) fn flush(&mut self, count: &mut dyn FnMut(super::send::Flushed)) {
        self.outgoing.flush(self.socket.as_fd(), self.family, count);
    }
}

impl AsFd for DatagramPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
