//! A channel between master and manager: whole messages with descriptors, in order, without
//! blocking.
//!
//! Neither side ever waits for the other: two sides that block on full sockets would wait for ever.
//! What does not fit into the socket waits in an outbox, which is bounded by what a living peer can
//! leave unread.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostler_core::Millis;
use rustix::io::Errno;

use super::manager::{MANAGER_MESSAGE_SIZE_BYTES, ToManager, ToMaster};
use super::wire::Malformed;
use crate::sys::epoll::Interest;
use crate::sys::{clock, control_socket};

/// Messages in an outbox, beyond which the peer counts as dead: eight for each of 4 096 workers.
const OUTBOX_MESSAGES_MAX: usize = 32_768;

/// How long what nothing tells of waits before it is tried again.
const RETRY_MS: Millis = 10;

/// One kind of message of a [`Channel`].
pub(crate) trait Message: Sized {
    /// The message as bytes.
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES];
    /// The message in these bytes, if they are exactly one.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed>;
}

impl Message for ToManager {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        self.encode()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes)
    }
}

impl Message for ToMaster {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        self.encode()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::decode(bytes)
    }
}

/// What [`Channel::receive`] found.
#[derive(Debug)]
pub(crate) enum Received<In> {
    /// A message and the descriptors that came with it.
    Message(In, Vec<OwnedFd>),
    /// Nothing is there now.
    Nothing,
    /// The peer is gone, and everything it sent has been received.
    Closed,
}

/// One end: sends `Out`, receives `In`.
#[derive(Debug)]
pub(crate) struct Channel<Out, In> {
    socket: OwnedFd,
    outbox: VecDeque<([u8; MANAGER_MESSAGE_SIZE_BYTES], Vec<OwnedFd>)>,
    /// The first of them waits for something that nothing tells of: memory, or that fewer
    /// descriptors are on their way. Then it is tried again.
    retry_at: Option<Millis>,
    kinds: PhantomData<fn(Out) -> In>,
}

/// Whether it can be sent later: so many descriptors are on their way as may be (unix(7)), or the
/// kernel has no memory for it.
fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::TOOMANYREFS, Errno::NOBUFS, Errno::NOMEM];
    passing.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

impl<Out: Message, In: Message> Channel<Out, In> {
    /// Takes an end of [`control_socket::pair`].
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, outbox: VecDeque::new(), retry_at: None, kinds: PhantomData }
    }

    /// Takes the socket out; what is in the outbox is lost.
    pub(crate) fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Sends a message, or puts it into the outbox when the socket is full; see
    /// [`Channel::has_backlog`].
    ///
    /// The descriptors are closed here once they are sent. An error means that the peer cannot be
    /// reached any more.
    pub(crate) fn send(&mut self, message: &Out, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        if self.outbox.len() >= OUTBOX_MESSAGES_MAX {
            // It may have read since somebody has looked.
            self.flush()?;
        }
        if self.outbox.len() >= OUTBOX_MESSAGES_MAX {
            return Err(io::Error::new(ErrorKind::TimedOut, "the peer reads no control messages"));
        }
        self.outbox_push(message, descriptors);
        self.flush()
    }

    pub(super) fn outbox_push(&mut self, message: &Out, descriptors: Vec<OwnedFd>) {
        self.outbox.push_back((message.to_bytes(), descriptors));
    }

    /// As [`Channel::send`], before all that waits, and without descriptors.
    pub(crate) fn send_first(&mut self, message: &Out) -> io::Result<()> {
        self.outbox_push_first(message);
        self.flush()
    }

    pub(super) fn outbox_push_first(&mut self, message: &Out) {
        self.outbox.push_front((message.to_bytes(), Vec::new()));
    }

    /// Sends what is in the outbox, as far as the socket takes it. An error is as that of
    /// [`Channel::send`]: what waits is dropped.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.flush_by(|socket, message, descriptors| {
            control_socket::send(socket, message, descriptors)
        })
    }

    pub(super) fn flush_by(
        &mut self,
        mut send: impl FnMut(&OwnedFd, &[u8], &[BorrowedFd<'_>]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.retry_at = None;
        while let Some((message, descriptors)) = self.outbox.front() {
            let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
            match send(&self.socket, message, &borrowed) {
                Ok(()) => self.outbox.pop_front(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_passing(&error) => {
                    self.retry_at = Some(clock::monotonic_ms().saturating_add(RETRY_MS));
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Its socket may be writable for ever.
                    self.outbox.clear();
                    return Err(error);
                }
            };
        }
        Ok(())
    }

    /// Whether the outbox holds something: then watch the socket for writing and call
    /// [`Channel::flush`].
    pub(crate) fn has_backlog(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether what the outbox holds waits for something that nothing tells of: then the socket is
    /// not to be watched for writing, which would find it writable for ever, and
    /// [`Channel::flush`] is to be called after a while.
    pub(crate) const fn waits_untold(&self) -> bool {
        self.retry_at.is_some()
    }

    /// When [`Channel::flush`] is to be called because nothing tells that it could help.
    pub(crate) const fn retry_at(&self) -> Option<Millis> {
        self.retry_at
    }

    /// Tries again, if it is time for that.
    pub(crate) fn send_again(&mut self, now: Millis) -> io::Result<()> {
        if self.retry_at.is_some_and(|at| now >= at) { self.flush() } else { Ok(()) }
    }

    /// What the socket is to be watched for: also for room to write, if the outbox waits for that.
    pub(crate) fn interest(&self) -> Interest {
        let waits_for_room = self.has_backlog() && !self.waits_untold();
        if waits_for_room { Interest::READ | Interest::WRITE } else { Interest::READ }
    }

    /// Takes one message. A malformed one is an `InvalidData` error and is gone; the next may be
    /// better.
    pub(crate) fn receive(&self) -> io::Result<Received<In>> {
        let mut bytes = [0; MANAGER_MESSAGE_SIZE_BYTES];
        match control_socket::receive(&self.socket, &mut bytes) {
            Ok((0, _)) => Ok(Received::Closed),
            Ok((length, descriptors)) => {
                let message = In::from_bytes(bytes.get(..length).unwrap_or(&[]))?;
                Ok(Received::Message(message, descriptors))
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Received::Nothing),
                // The peer closed with messages of ours unread.
                ErrorKind::ConnectionReset => Ok(Received::Closed),
                _ => Err(error),
            },
        }
    }
}

impl<Out, In> AsFd for Channel<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
