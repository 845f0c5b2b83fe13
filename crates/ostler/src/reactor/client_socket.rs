//! The socket of a client, and the place that it takes among the connections of its address.
//!
//! Both are given back together.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::addresses::Lease;
use crate::sys::socket;

/// The socket.
#[derive(Debug)]
pub(super) struct ClientSocket {
    // Before the lease: who is told that there is room finds a descriptor, too.
    socket: OwnedFd,
    /// In a box, because most ports have no limit.
    lease: Option<Box<Lease>>,
}

impl ClientSocket {
    /// From now on it counts among the connections of its address.
    pub(super) fn hold(&mut self, lease: Lease) {
        self.lease = Some(Box::new(lease));
    }

    /// Closes it with a RST; what is queued is thrown away.
    pub(super) fn reset(self) {
        socket::reset(&self.socket);
        drop(self);
    }
}

impl From<OwnedFd> for ClientSocket {
    fn from(socket: OwnedFd) -> Self {
        Self { socket, lease: None }
    }
}

impl AsFd for ClientSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Addresses;
    use super::*;
    use crate::base::commons::SeatOf;
    use ostler_core::ids::PortId;
    use ostler_shm::commons::{AddressRoom, Commons};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_place_is_free_again_when_the_socket_is_closed() {
        let room = AddressRoom { counts: 64, ..AddressRoom::default() };
        let (_commons, fd) = Commons::create(1, room).unwrap();
        let addresses = Addresses::at(SeatOf::open(&fd, 0).unwrap());
        let take = || addresses.take(0, PortId::FIRST, "192.0.2.1".parse().unwrap(), 1);
        for resets in [false, true] {
            let mut socket = ClientSocket::from(OwnedFd::from(UnixStream::pair().unwrap().0));
            socket.hold(take().unwrap());
            assert!(take().is_none());
            if resets {
                socket.reset()
            } else {
                drop(socket)
            }
            assert!(take().is_some());
        }
    }
}
