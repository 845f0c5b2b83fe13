//! What carries a connection's bytes: the socket, and what may stand between it and the session.
//!
//! The reactor reads, writes and ends connections only through here, and asks only what it has to
//! know about a session. What a transport wants of its socket is its own affair, for the two differ
//! as soon as something is encrypted:
//!
//! * A transport may have to read in order to write, and the other way round. So the socket is
//!   watched for everything, once, and [`Transport::on_event`] says what an event means to the
//!   session.
//! * It may hold input although the socket has none. No event tells of that, so that each read says
//!   whether there may be more ([`Received::more`], [`Transport::may_hold_more`]).
//! * It may have something to say before the session begins: [`Reactor::open_session`] takes a
//!   transport that is ready, and before that a connection has no session.
//! * It may have something to say at the end: [`Transport::shutdown_write`] comes before a
//!   connection lingers, and [`Transport::close`] ends one that both sides have ended.
//!
//! [`Reactor::open_session`]: super::Reactor::open_session

mod plain;
#[cfg(feature = "tls")]
mod space;
#[cfg(feature = "tls")]
mod tls;
#[cfg(test)]
#[cfg(feature = "tls")]
mod tls_tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
#[cfg(feature = "tls")]
use std::sync::Arc;

use ostler_shm::lane::{RawBytes, RawBytesMut};

use super::client_socket::ClientSocket;
use crate::sys::epoll::{Epoll, Readiness};
use plain::Plain;
#[cfg(feature = "tls")]
use tls::Tls;

/// What an event of the socket means to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    /// The connection has failed; what was received before can still be read.
    pub(super) failed: bool,
    /// Output is taken again, after it was not.
    pub(super) output: bool,
    /// The client has ended its side.
    pub(super) ended: bool,
    /// There may be something to read: input, or its end.
    pub(super) input: bool,
}

/// What a read into a ring brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// How many bytes; 0 is the end of the input.
    pub(super) len: usize,
    /// There may be more, and no event will tell of it.
    pub(super) more: bool,
}

/// How far a transport is with what it has to say before the session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshaking {
    /// It goes on after the next event.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has handshakes"))]
    Waits,
    /// There may be more to do at once, when others had their turn.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has handshakes"))]
    Yields,
    /// The session begins.
    Done,
}

/// The transport of one connection.
#[derive(Debug)]
pub(super) enum Transport {
    /// The socket and nothing else.
    Plain(Plain),
    /// Records of TLS. In a box, so that plain connections do not pay for its size.
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
}

impl Transport {
    pub(super) const fn plain(socket: ClientSocket) -> Self {
        Self::Plain(Plain::new(socket))
    }

    /// A transport that has a handshake to make first.
    #[cfg(feature = "tls")]
    pub(super) fn tls(
        socket: ClientSocket,
        config: Arc<rustls::ServerConfig>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self::Tls(Box::new(Tls::new(socket, config)?)))
    }

    /// Goes on with what is to be said before the session begins. To be called once, and again
    /// after each event, until it is done.
    pub(super) fn handshake(&mut self) -> io::Result<Handshaking> {
        match self {
            Self::Plain(_) => Ok(Handshaking::Done),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.handshake(),
        }
    }

    /// Whether the handshake took up an earlier session.
    pub(super) fn is_resumed(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.is_resumed(),
        }
    }

    /// What the client has shown before the session begins, as the connect event tells it
    /// ([`ostler_shm::tls_facts`]); empty: nothing.
    ///
    /// # Errors
    /// It is more than is told.
    pub(super) fn shown(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(_) => Ok(Vec::new()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.shown(),
        }
    }

    /// Bytes of memory that it holds for input and output of its own.
    #[inline]
    pub(super) const fn held(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.held(),
        }
    }

    /// Bytes that it took for output and that the kernel has not taken.
    #[inline]
    pub(super) const fn unsent(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.unsent(),
        }
    }

    /// Sends them, as far as the kernel takes them.
    #[inline]
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.flush().map(|_| ()),
        }
    }

    /// Has all of its events told under `token`, each once.
    pub(super) fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.watch(epoll, token),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.watch(epoll, token),
        }
    }

    /// The same under another token; what is there already is told anew.
    pub(super) fn watch_again(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.watch_again(epoll, token),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.watch_again(epoll, token),
        }
    }

    /// From now on only input is told, under `token`; what is there already is told anew.
    pub(super) fn watch_input(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.watch_input(epoll, token),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.watch_input(epoll, token),
        }
    }

    /// Its socket under another descriptor, for another master. `None`: what is between the socket
    /// and the session cannot go with it.
    pub(super) fn share(&mut self) -> Option<io::Result<OwnedFd>> {
        match self {
            Self::Plain(plain) => Some(plain.share()),
            #[cfg(feature = "tls")]
            Self::Tls(_) => None,
        }
    }

    /// Whether it is nothing but a socket.
    pub(super) const fn is_plain(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            #[cfg(feature = "tls")]
            Self::Tls(_) => false,
        }
    }

    /// Nothing of it is told any more, and it takes no output.
    pub(super) fn freeze(&mut self, epoll: &Epoll) {
        match self {
            Self::Plain(plain) => plain.freeze(epoll),
            #[cfg(feature = "tls")]
            Self::Tls(_) => {}
        }
    }

    /// An event of the socket.
    #[inline]
    pub(super) fn on_event(&mut self, readiness: Readiness) -> Ready {
        match self {
            Self::Plain(plain) => plain.on_event(readiness),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.on_event(readiness),
        }
    }

    /// Whether output is taken, as far as is known. When a write has shown that it is not,
    /// [`Transport::on_event`] tells when it is again.
    #[inline]
    pub(super) const fn takes_output(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.takes_output(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.takes_output(),
        }
    }

    /// Output may be taken again although no event has told so yet: the next write shows whether it
    /// is.
    pub(super) const fn expect_output(&mut self) {
        match self {
            Self::Plain(plain) => plain.expect_output(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.expect_output(),
        }
    }

    /// Whether there may be input that no event tells of, although a read brought less than there
    /// was room for.
    pub(super) const fn may_hold_more(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.may_hold_more(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.may_hold_more(),
        }
    }

    /// Reads into the reactor's memory; 0 is the end of the input.
    #[inline]
    pub(super) fn recv(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.recv(space),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.recv(space),
        }
    }

    /// Reads at most `most` bytes into the memory that is left behind `bytes`, which become so many
    /// more; 0 is the end of the input.
    pub(super) fn recv_behind(&mut self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.recv_behind(bytes, most),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.recv_behind(bytes, most),
        }
    }

    /// Reads into a package ring.
    #[inline]
    pub(super) fn recv_into(&mut self, space: &mut RawBytesMut<'_>) -> io::Result<Received> {
        match self {
            Self::Plain(plain) => plain.recv_into(space),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.recv_into(space),
        }
    }

    /// Writes from the reactor's memory; returns how many bytes were taken.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.send(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.send(bytes),
        }
    }

    /// Writes from the memory of a lane, which a worker may be changing; returns how many bytes
    /// were taken.
    #[inline]
    pub(super) fn send_from(&mut self, bytes: RawBytes<'_>) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.send_from(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.send_from(bytes),
        }
    }

    /// Writes at most `most` bytes of a file from `offset` on; returns how many were taken. 0: the
    /// file ends there. An error may be the file's.
    pub(super) fn send_file(
        &mut self,
        file: impl AsFd,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.send_file(file, offset, most),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.send_file(file, offset, most),
        }
    }

    /// Whether the client has ended its side and nothing is left to read.
    pub(super) fn is_at_end(&mut self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_at_end(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.is_at_end(),
        }
    }

    /// Bytes that were received and not read.
    pub(super) fn unread(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.unread(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.unread(),
        }
    }

    /// Says to the client that nothing more comes. Input can still be read.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.shutdown_write(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.shutdown_write(),
        }
    }

    /// Ends a connection that the client has ended too; its descriptor is free afterwards.
    pub(super) fn close(self) {
        match self {
            Self::Plain(plain) => plain.close(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.close(),
        }
    }

    /// Ends a connection at once with a RST: what is queued is thrown away. Its descriptor is free
    /// afterwards.
    pub(super) fn reset(self) {
        match self {
            Self::Plain(plain) => plain.reset(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.reset(),
        }
    }
}
