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

use std::io;
use std::os::fd::OwnedFd;

use ostler_shm::lane::{RawBytes, RawBytesMut};

use crate::sys::epoll::{Epoll, Readiness};
use plain::Plain;

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

/// The transport of one connection.
#[derive(Debug)]
pub(super) enum Transport {
    /// The socket and nothing else.
    Plain(Plain),
}

impl Transport {
    pub(super) const fn plain(socket: OwnedFd) -> Self {
        Self::Plain(Plain::new(socket))
    }

    /// Has all of its events told under `token`, each once.
    pub(super) fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.watch(epoll, token),
        }
    }

    /// From now on only input is told, under `token`; what is there already is told anew.
    pub(super) fn watch_input(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.watch_input(epoll, token),
        }
    }

    /// An event of the socket.
    #[inline]
    pub(super) fn on_event(&mut self, readiness: Readiness) -> Ready {
        match self {
            Self::Plain(plain) => plain.on_event(readiness),
        }
    }

    /// Whether output is taken, as far as is known. When a write has shown that it is not,
    /// [`Transport::on_event`] tells when it is again.
    #[inline]
    pub(super) const fn takes_output(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.takes_output(),
        }
    }

    /// Output may be taken again although no event has told so yet: the next write shows whether it
    /// is.
    pub(super) const fn expect_output(&mut self) {
        match self {
            Self::Plain(plain) => plain.expect_output(),
        }
    }

    /// Whether there may be input that no event tells of, although a read brought less than there
    /// was room for.
    pub(super) const fn may_hold_more(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.may_hold_more(),
        }
    }

    /// Reads into the reactor's memory; 0 is the end of the input.
    #[inline]
    pub(super) fn recv(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.recv(space),
        }
    }

    /// Reads at most `most` bytes into the memory that is left behind `bytes`, which become so many
    /// more; 0 is the end of the input.
    pub(super) fn recv_behind(&mut self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.recv_behind(bytes, most),
        }
    }

    /// Reads into a package ring.
    #[inline]
    pub(super) fn recv_into(&mut self, space: &mut RawBytesMut<'_>) -> io::Result<Received> {
        match self {
            Self::Plain(plain) => plain.recv_into(space),
        }
    }

    /// Writes from the reactor's memory; returns how many bytes were taken.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.send(bytes),
        }
    }

    /// Writes from the memory of a lane, which a worker may be changing; returns how many bytes
    /// were taken.
    #[inline]
    pub(super) fn send_from(&mut self, bytes: RawBytes<'_>) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.send_from(bytes),
        }
    }

    /// Whether the client has ended its side and nothing is left to read.
    pub(super) fn is_at_end(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_at_end(),
        }
    }

    /// Bytes that were received and not read.
    pub(super) fn unread(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.unread(),
        }
    }

    /// Says to the client that nothing more comes. Input can still be read.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.shutdown_write(),
        }
    }

    /// Ends a connection that the client has ended too; its descriptor is free afterwards.
    pub(super) fn close(self) {
        match self {
            Self::Plain(plain) => plain.close(),
        }
    }

    /// Ends a connection at once with a RST: what is queued is thrown away. Its descriptor is free
    /// afterwards.
    pub(super) fn reset(self) {
        match self {
            Self::Plain(plain) => plain.reset(),
        }
    }
}
