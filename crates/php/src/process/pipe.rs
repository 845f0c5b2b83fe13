//! The pipe between a process and the one that has made it: a pair of connected sockets.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::net::{recv, send, socketpair};

/// What goes through a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PipeKind {
    /// Bytes.
    Stream,
    /// Messages, each of which is read as a whole.
    Messages,
}

/// On which side of the pipe somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// That of the process which has made it.
    Maker,
    /// That of the new process.
    Inside,
}

/// A pipe; an end that was closed is gone.
pub(super) struct Pipe {
    kind: PipeKind,
    maker: RefCell<Option<Rc<OwnedFd>>>,
    inside: RefCell<Option<Rc<OwnedFd>>>,
}

impl Pipe {
    /// `socketpair(2)`.
    pub(super) fn new(kind: PipeKind) -> Result<Self, Errno> {
        let of = match kind {
            PipeKind::Stream => SocketType::STREAM,
            PipeKind::Messages => SocketType::DGRAM,
        };
        let (maker, inside) = socketpair(AddressFamily::UNIX, of, SocketFlags::CLOEXEC, None)?;
        let kept = |end| RefCell::new(Some(Rc::new(end)));
        Ok(Self { kind, maker: kept(maker), inside: kept(inside) })
    }

    fn place(&self, side: Side) -> &RefCell<Option<Rc<OwnedFd>>> {
        match side {
            Side::Maker => &self.maker,
            Side::Inside => &self.inside,
        }
    }

    /// The end on a side; nothing is borrowed, since a signal's callback may close it.
    pub(super) fn end(&self, side: Side) -> Option<Rc<OwnedFd>> {
        self.place(side).borrow().clone()
    }

    /// The number of an end.
    pub(super) fn number(&self, side: Side) -> Option<i64> {
        self.end(side).map(|end| i64::from(end.as_raw_fd()))
    }

    /// Closes an end; false: it was closed before.
    pub(super) fn close(&self, side: Side) -> bool {
        self.place(side).take().is_some()
    }

    /// Reads from an end, at most so many bytes.
    pub(super) fn read(&self, side: Side, most: usize) -> Result<Vec<u8>, Errno> {
        let end = self.end(side).ok_or(Errno::BADF)?;
        let mut bytes = vec![0; most];
        let (count, _) = recv(end.as_fd(), bytes.as_mut_slice(), RecvFlags::empty())?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Writes to an end; of a stream all of it, unless nobody reads or waiting is not wanted.
    pub(super) fn write(&self, side: Side, bytes: &[u8]) -> Result<usize, Errno> {
        let end = self.end(side).ok_or(Errno::BADF)?;
        let mut sent = 0;
        loop {
            let rest = bytes.get(sent..).unwrap_or_default();
            match send(end.as_fd(), rest, SendFlags::NOSIGNAL) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
            if sent >= bytes.len() || self.kind == PipeKind::Messages {
                return Ok(sent);
            }
        }
    }

    /// How long reads and writes of an end wait; no time: as long as it takes.
    pub(super) fn set_timeout(&self, side: Side, timeout: Option<Duration>) -> Result<(), Errno> {
        let end = self.end(side).ok_or(Errno::BADF)?;
        set_socket_timeout(end.as_fd(), Timeout::Recv, timeout)?;
        set_socket_timeout(end.as_fd(), Timeout::Send, timeout)
    }

    /// Whether reads and writes of an end wait at all.
    pub(super) fn set_blocking(&self, side: Side, blocking: bool) -> Result<(), Errno> {
        let end = self.end(side).ok_or(Errno::BADF)?;
        rustix::io::ioctl_fionbio(end.as_fd(), !blocking)
    }

    /// `shutdown(2)`: an end is read from, or written to, no more.
    pub(super) fn shut(&self, side: Side, reading: bool) -> Result<(), Errno> {
        let end = self.end(side).ok_or(Errno::BADF)?;
        rustix::net::shutdown(end.as_fd(), if reading { Shutdown::Read } else { Shutdown::Write })
    }

    /// The end inside is input and output of this process from now on.
    pub(super) fn become_standard(&self) -> Result<(), Errno> {
        let end = self.end(Side::Inside).ok_or(Errno::BADF)?;
        rustix::stdio::dup2_stdin(end.as_fd())?;
        rustix::stdio::dup2_stdout(end.as_fd())?;
        rustix::stdio::dup2_stderr(end.as_fd())
    }
}
