//! The transport that changes nothing: what the socket has is what the session gets.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};

use ostler_shm::lane::{RawBytes, RawBytesMut};

use super::super::client_socket::ClientSocket;
use super::{Ready, Received};
use crate::sys::epoll::{Epoll, Interest, Readiness};
use crate::sys::{file, lane_io, socket};

/// A socket.
#[derive(Debug)]
pub(in crate::reactor) struct Plain {
    socket: ClientSocket,
    /// The kernel takes output (as far as is known).
    writable: bool,
    /// The client has shut down its side, or has sent urgent data: a read that brings little is not
    /// the last one.
    reads_may_be_short: bool,
    /// Another master may have it under a descriptor of its own: closing this one ends nothing.
    is_shared: bool,
}

impl Plain {
    pub(super) const fn new(socket: ClientSocket) -> Self {
        Self { socket, writable: true, reads_may_be_short: false, is_shared: false }
    }

    pub(super) fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.add(&self.socket, token, Interest::CLIENT)
    }

    pub(super) fn watch_again(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.modify(&self.socket, token, Interest::CLIENT)
    }

    pub(super) fn watch_input(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.modify(&self.socket, token, Interest::BELL)
    }

    /// `F_DUPFD_CLOEXEC` — the socket under another descriptor.
    pub(super) fn share(&mut self) -> io::Result<OwnedFd> {
        let shared = self.socket.as_fd().try_clone_to_owned();
        self.is_shared |= shared.is_ok();
        shared
    }

    /// The socket stays open under another descriptor: the set would tell of it for ever.
    pub(super) fn freeze(&mut self, epoll: &Epoll) {
        // It is there, or nothing was told of it.
        let _ = epoll.remove(&self.socket);
        self.writable = false;
    }

    #[inline]
    pub(super) const fn on_event(&mut self, readiness: Readiness) -> Ready {
        let (ended, urgent) = (readiness.read_hangup(), readiness.urgent());
        self.reads_may_be_short |= ended || urgent;
        let output = readiness.writable() && !self.writable;
        self.writable |= output;
        Ready {
            // This side is never shut down alone, so that a hang-up of both means a failure: a
            // reset, a timeout.
            failed: readiness.error() || readiness.hangup(),
            output,
            ended,
            input: readiness.readable() || ended || urgent,
        }
    }

    #[inline]
    pub(super) const fn takes_output(&self) -> bool {
        self.writable
    }

    pub(super) const fn expect_output(&mut self) {
        self.writable = true;
    }

    pub(super) const fn may_hold_more(&self) -> bool {
        self.reads_may_be_short
    }

    #[inline]
    pub(super) fn recv(&self, space: &mut [u8]) -> io::Result<usize> {
        socket::recv(&self.socket, space)
    }

    pub(super) fn recv_behind(&self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        socket::recv_behind(&self.socket, bytes, most)
    }

    #[inline]
    pub(super) fn recv_into(&self, space: &mut RawBytesMut<'_>) -> io::Result<Received> {
        let len = lane_io::recv(&self.socket, space)?;
        // A short read empties the socket; what comes later is told by a new edge, but the end may
        // be told already.
        Ok(Received { len, more: len == space.len() || self.reads_may_be_short })
    }

    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = socket::send(&self.socket, bytes);
        self.sent(bytes.len(), sent)
    }

    #[inline]
    pub(super) fn send_from(&mut self, bytes: RawBytes<'_>) -> io::Result<usize> {
        let sent = lane_io::send(&self.socket, bytes);
        self.sent(bytes.len(), sent)
    }

    /// A short one does not mean that the kernel's buffer is full: the file may end there.
    pub(super) fn send_file(
        &mut self,
        file: impl AsFd,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        let sent = file::send(&self.socket, file, offset, most);
        if sent.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.writable = false;
        }
        sent
    }

    /// A short write means that the kernel's buffer is full: an edge will tell when it is not.
    #[inline]
    fn sent(&mut self, wanted: usize, sent: io::Result<usize>) -> io::Result<usize> {
        match &sent {
            Ok(len) => self.writable = *len == wanted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
            Err(_) => {}
        }
        sent
    }

    pub(super) fn is_at_end(&self) -> bool {
        socket::is_at_end(&self.socket)
    }

    pub(super) fn unread(&self) -> usize {
        socket::unread(&self.socket)
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        socket::shutdown_write(&self.socket)
    }

    pub(super) fn close(self) {
        self.end_for_all();
        drop(self.socket);
    }

    pub(super) fn reset(self) {
        self.end_for_all();
        self.socket.reset();
    }

    fn end_for_all(&self) {
        if self.is_shared {
            socket::end_for_all(&self.socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::epoll::Events;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    const TOKEN: u64 = 5;

    fn pair() -> (UnixStream, Plain, Epoll) {
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let (plain, epoll) = (Plain::new(OwnedFd::from(server).into()), Epoll::new().unwrap());
        plain.watch(&epoll, TOKEN).unwrap();
        (client, plain, epoll)
    }

    fn event(plain: &mut Plain, epoll: &Epoll) -> Ready {
        let mut events = Events::with_capacity(1);
        epoll.wait(&mut events, None).unwrap();
        let (token, readiness) = events.iter().next().unwrap();
        assert_eq!(token, TOKEN);
        plain.on_event(readiness)
    }

    #[test]
    fn output_is_told_again_only_after_it_was_refused() {
        let (mut client, mut plain, epoll) = pair();
        assert!(plain.takes_output());
        let first = event(&mut plain, &epoll);
        assert_eq!(first, Ready { failed: false, output: false, ended: false, input: false });
        while plain.takes_output() {
            let _ = plain.send(&[0; 4096]);
        }
        client.set_nonblocking(true).unwrap();
        let mut some = [0; 4096];
        while client.read(&mut some).is_ok() {}
        assert!(event(&mut plain, &epoll).output && plain.takes_output());
    }

    #[test]
    fn after_the_client_has_ended_its_side_a_read_may_be_short() {
        let (mut client, mut plain, epoll) = pair();
        client.write_all(b"last").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!plain.may_hold_more() && !plain.is_at_end());
        let ready = event(&mut plain, &epoll);
        assert!(ready.ended && ready.input && !ready.failed);
        assert!(plain.may_hold_more());
        assert_eq!(plain.recv(&mut [0; 16]).unwrap(), 4);
        assert!(plain.is_at_end());
    }
}
