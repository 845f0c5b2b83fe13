//! One datagram port: its socket and what waits to be sent.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostler_core::ids::PortId;

use super::send::Outgoing;
use crate::sys::datagram::{self, Family};

#[derive(Debug)]
pub(super) struct DatagramPort {
    id: PortId,
    socket: OwnedFd,
    family: Family,
    /// The kernel may have something to read.
    pub(super) is_readable: bool,
    pub(super) outgoing: Outgoing,
    /// Datagrams that the kernel had dropped when it was asked last.
    drops_seen: u32,
}

impl DatagramPort {
    pub(super) fn new(id: PortId, socket: OwnedFd) -> io::Result<Self> {
        let family = datagram::family(&socket)?;
        let outgoing = Outgoing::default();
        Ok(Self { id, socket, family, is_readable: true, outgoing, drops_seen: 0 })
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
    pub(super) fn flush(&mut self, count: &mut dyn FnMut(Option<super::NotSent>, u64, io::Error)) {
        self.outgoing.flush(self.socket.as_fd(), self.family, count);
    }
}

impl AsFd for DatagramPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
