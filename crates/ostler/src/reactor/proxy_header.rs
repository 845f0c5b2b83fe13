//! A connection of which a proxy says first whose it is (`ostler_core::proxy_protocol`).
//!
//! Exactly the header is taken from the socket: what follows it is the client's, and is read by the
//! transport as if nothing had been before it. So bytes are looked at first and taken when they
//! are known to be the header's; all of them are as long as it is not whole.

use std::io::{self, ErrorKind};

use ostler_core::proxy_protocol::{BadHeader, Client, Header, V2_MAX_BYTES, find};

use super::addresses::Lease;
use super::client_socket::ClientSocket;
use crate::sys::epoll::{Epoll, Interest, Readiness};
use crate::sys::socket;

/// Why a connection has no header.
#[derive(Debug)]
pub(super) enum NoHeader {
    /// It ended.
    Left,
    /// What came is none.
    Bad(BadHeader),
    /// It has failed.
    Failed(io::Error),
}

/// The connection, and the beginning of the header.
#[derive(Debug)]
pub(super) struct ProxyHeader {
    socket: ClientSocket,
    received: Vec<u8>,
}

impl ProxyHeader {
    pub(super) const fn new(socket: ClientSocket) -> Self {
        Self { socket, received: Vec::new() }
    }

    /// Bytes of memory that it holds.
    pub(super) const fn held(&self) -> usize {
        self.received.capacity()
    }

    /// Bytes of the header that were taken from the socket.
    pub(super) const fn taken(&self) -> usize {
        self.received.len()
    }

    /// Has all of its events told under `token`, each once.
    pub(super) fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.add(&self.socket, token, Interest::CLIENT)
    }

    /// Whether an event says that the connection has failed. One that has ended has not: what came
    /// in front of the end is read, and the reading finds the end.
    pub(super) const fn has_failed(readiness: Readiness) -> bool {
        readiness.error()
    }

    /// The socket, for what comes behind the header.
    pub(super) fn into_socket(self) -> ClientSocket {
        self.socket
    }

    /// From now on it counts among the connections of its client's address.
    pub(super) fn hold(&mut self, lease: Lease) {
        self.socket.hold(lease);
    }

    /// Reads on. `None`: it is not whole; to be called again after the next event.
    pub(super) fn read(&mut self) -> Result<Option<Client>, NoHeader> {
        let mut space = [0; V2_MAX_BYTES];
        loop {
            let len = match socket::peek(&self.socket, &mut space) {
                Ok(0) => return Err(NoHeader::Left),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(NoHeader::Failed(error)),
            };
            let before = self.received.len();
            let found = self.look_at(space.get(..len).unwrap_or_default());
            match found.map_err(NoHeader::Bad)? {
                Some(header) => {
                    self.take(header.len.saturating_sub(before), &mut space)?;
                    return Ok(Some(header.client));
                }
                None => self.take(len, &mut space)?,
            }
        }
    }

    /// Looks for the header in what was received and what is behind that; keeps the latter if there
    /// is none.
    fn look_at(&mut self, behind: &[u8]) -> Result<Option<Header>, BadHeader> {
        if self.received.is_empty() {
            // Nearly always it comes at once, and then nothing is kept.
            let found = find(behind)?;
            if found.is_none() {
                self.received.extend_from_slice(behind);
            }
            return Ok(found);
        }
        self.received.extend_from_slice(behind);
        find(&self.received)
    }

    /// Takes so many bytes, which are there.
    fn take(&self, len: usize, space: &mut [u8]) -> Result<(), NoHeader> {
        let mut rest = len;
        while rest > 0 {
            let space = space.get_mut(..rest).unwrap_or_default();
            match socket::recv(&self.socket, space) {
                Ok(0) => return Err(NoHeader::Left),
                Ok(taken) => rest = rest.saturating_sub(taken),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(NoHeader::Failed(error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::net::UnixStream;

    fn pair() -> (UnixStream, ProxyHeader) {
        let (proxy, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        (proxy, ProxyHeader::new(OwnedFd::from(server).into()))
    }

    /// What is left in the socket.
    fn rest(header: ProxyHeader) -> Vec<u8> {
        let mut rest = Vec::new();
        let socket = header.into_socket().as_fd().try_clone_to_owned().unwrap();
        let _ = UnixStream::from(socket).read_to_end(&mut rest);
        rest
    }

    const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";

    #[test]
    fn exactly_the_header_is_taken_however_it_comes() {
        let client = Client::At("192.0.2.1:56324".parse().unwrap());
        for piece in 1..=LINE.len() {
            let (mut proxy, mut header) = pair();
            assert!(matches!(header.read(), Ok(None)));
            let stream = [LINE, b"PROXY what the client says"].concat();
            let mut found = None;
            for bytes in stream.chunks(piece) {
                proxy.write_all(bytes).unwrap();
                if found.is_none() {
                    found = header.read().unwrap();
                }
            }
            assert_eq!(found, Some(client));
            drop(proxy);
            assert_eq!(rest(header), b"PROXY what the client says", "pieces of {piece}");
        }
    }

    #[test]
    fn a_header_that_comes_at_once_costs_no_memory_and_one_that_does_not_is_bounded() {
        let (mut proxy, mut header) = pair();
        proxy.write_all(LINE).unwrap();
        assert!(header.read().unwrap().is_some());
        assert_eq!(header.held(), 0);
        let (mut proxy, mut header) = pair();
        proxy
            .write_all(&[&b"\r\n\r\n\0\r\nQUIT\n\x20\0\x0f\xf0"[..], &[7; 4_079]].concat())
            .unwrap();
        assert!(header.read().unwrap().is_none());
        assert!((1..=2 * V2_MAX_BYTES).contains(&header.held()), "{}", header.held());
        proxy.write_all(b"7and the rest").unwrap();
        assert_eq!(header.read().unwrap(), Some(Client::OfConnection));
        drop(proxy);
        assert_eq!(rest(header), b"and the rest");
    }

    #[test]
    fn who_leaves_or_says_something_else_is_told() {
        let (proxy, mut header) = pair();
        drop(proxy);
        assert!(matches!(header.read(), Err(NoHeader::Left)));
        assert_eq!(header.taken(), 0);
        let (mut proxy, mut header) = pair();
        proxy.write_all(b"PROXY TCP").unwrap();
        assert!(matches!(header.read(), Ok(None)));
        drop(proxy);
        assert!(matches!(header.read(), Err(NoHeader::Left)));
        assert_eq!(header.taken(), 9);
        let (mut proxy, mut header) = pair();
        proxy.write_all(b"GET /").unwrap();
        assert!(matches!(header.read(), Err(NoHeader::Bad(BadHeader::NoHeader))));
    }
}
