//! The way from this process to another one: a socket, and what does not fit into it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostler_core::ids::ProcessKey;
use ostler_shm::board::Board;

use crate::sys::control_socket;
use crate::sys::epoll::Interest;

/// Most bytes that wait on a way before messages are refused, behind those in the socket: what a
/// worker that does not look is sent is bounded, and one message always has room.
pub(super) const WAITING_MAX_BYTES: usize = 1024 * 1024;

/// Another process.
pub(super) struct Other {
    pub(super) seat: u16,
    pub(super) key: ProcessKey,
    pub(super) board: Board,
    /// Made when something is to be sent.
    pub(super) way: Option<Way>,
    /// It was closed at its other end, and no other one was made since.
    pub(super) has_lost_way: bool,
}

impl Other {
    pub(super) const fn new(seat: u16, key: ProcessKey, board: Board) -> Self {
        Self { seat, key, board, way: None, has_lost_way: false }
    }

    /// Its way is closed at the other end. The process is gone, which the master tells, or had no
    /// descriptor for it; what was in the socket is lost, as all is that a process dies with.
    pub(super) fn lose_way(&mut self) {
        let waiting_bytes = self.way.take().map_or(0, |way| way.waiting_bytes());
        tracing::debug!(worker = %self.key, waiting_bytes, "has closed the way to it");
        self.has_lost_way = true;
    }

    /// Whether anybody is there who could be a member of a group. Looked at when no more is to
    /// wait for that process: it may not look for long, because it has nobody to serve.
    pub(super) fn has_sessions(&self) -> bool {
        self.board.sessions().next().is_some()
    }
}

/// The way to it.
#[derive(Debug)]
pub(super) struct Way {
    socket: OwnedFd,
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// The first of them waits for memory, of which nothing tells.
    waits_untold: bool,
}

impl Way {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, waiting: VecDeque::new(), waiting_bytes: 0, waits_untold: false }
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether what waits is to be sent again after a while, because nothing tells when that helps:
    /// its socket may have room all the time.
    pub(super) const fn waits_untold(&self) -> bool {
        self.waits_untold
    }

    /// What its socket is watched for.
    pub(super) fn interest(&self) -> Interest {
        let waits_for_room = self.has_waiting() && !self.waits_untold;
        if waits_for_room { Interest::WRITE } else { Interest::NONE }
    }

    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Sends a message, or lets it wait. An error: nobody is at the other end.
    pub(super) fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        if !self.has_waiting() {
            match control_socket::send_pieces(&self.socket, head, body) {
                Err(error) if is_full(&error) => {}
                Err(error) if is_without_memory(&error) => self.waits_untold = true,
                sent => return sent,
            }
        }
        let message = [head, body].concat();
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.flush_by(|socket, message| control_socket::send_pieces(socket, message, &[]))
    }

    fn flush_by(
        &mut self,
        mut send: impl FnMut(&OwnedFd, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.waits_untold = false;
        while let Some(message) = self.waiting.front() {
            match send(&self.socket, message) {
                Err(error) if is_full(&error) => return Ok(()),
                Err(error) if is_without_memory(&error) => {
                    self.waits_untold = true;
                    return Ok(());
                }
                sent => sent?,
            }
            self.waiting_bytes -= message.len();
            self.waiting.pop_front();
        }
        Ok(())
    }
}

impl AsFd for Way {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The socket is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The kernel has no memory now.
fn is_without_memory(error: &io::Error) -> bool {
    let no_memory = [libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| no_memory.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_waits_in_order_and_an_end_is_told() {
        let (near, far) = control_socket::pair().unwrap();
        let mut way = Way::new(near);
        let mut sent = 0_u32;
        while !way.has_waiting() || sent < 100 {
            way.send(&sent.to_le_bytes(), &[7; 20_000]).unwrap();
            sent += 1;
        }
        assert!(way.waiting_bytes() >= 20_004);
        let mut buffer = [0; 32_768];
        for number in 0..sent {
            let len = control_socket::receive_without_descriptors(&far, &mut buffer).unwrap();
            assert_eq!((len, &buffer[..4]), (20_004, &number.to_le_bytes()[..]));
            way.flush().unwrap();
        }
        assert_eq!((way.has_waiting(), way.waiting_bytes()), (false, 0));
        drop(far);
        assert!(way.send(b"x", b"y").is_err());
    }

    /// A socket without memory for a message has room for one: watched for that it is ready for
    /// ever.
    #[test]
    fn what_waits_for_memory_is_sent_after_a_while_and_not_when_there_is_room() {
        let (near, far) = control_socket::pair().unwrap();
        let mut way = Way::new(near);
        while !way.has_waiting() {
            way.send(b"head", &[7; 20_000]).unwrap();
        }
        assert_eq!((way.interest(), way.waits_untold()), (Interest::WRITE, false));
        for code in [libc::ENOBUFS, libc::ENOMEM] {
            way.flush_by(|_, _| Err(io::Error::from_raw_os_error(code))).unwrap();
            assert_eq!((way.interest(), way.waits_untold()), (Interest::NONE, true));
        }
        let mut buffer = [0; 32_768];
        control_socket::receive_without_descriptors(&far, &mut buffer).unwrap();
        way.flush().unwrap();
        assert_eq!((way.interest(), way.has_waiting()), (Interest::NONE, false));
        assert!(!way.waits_untold());
    }
}
