//! The socket of a client, and the place that it takes among the connections of its address.
//!
//! The place is given back when the descriptor is closed, wherever that happens: before there is a
//! session, at its end, or after lingering.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use ostler_core::addresses::{AddressGroup, ConnectionCounts};
use ostler_core::ids::PortId;

use crate::sys::socket;

/// The connections of each address over all reactors.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(Arc<Mutex<ConnectionCounts>>);

/// One connection among those of its address.
#[derive(Debug)]
pub(super) struct Lease {
    addresses: Addresses,
    port: PortId,
    group: AddressGroup,
}

impl Addresses {
    /// A connection of this address; `None`: it has `most` already.
    pub(super) fn take(&self, port: PortId, address: IpAddr, most: u32) -> Option<Lease> {
        let group = AddressGroup::from(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.take(port, group, most).then(|| Lease { addresses: self.clone(), port, group })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.give_back(self.port, self.group);
    }
}

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
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_place_is_free_again_when_the_socket_is_closed() {
        let (addresses, address) = (Addresses::default(), "192.0.2.1".parse().unwrap());
        let take = || addresses.take(PortId::FIRST, address, 1);
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
