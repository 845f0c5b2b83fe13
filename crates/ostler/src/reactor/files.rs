//! Files on their way to clients: their descriptors are here until their last byte is with the
//! kernel.
//!
//! A file stands in its session's queue where it was sent. It is written in pieces, so that a disk
//! that is slow, or a client that is fast, leaves others their turns: see
//! [`SENDING_FILES`](super::turn_share::SENDING_FILES).

use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;

use ostler_core::Nanos;
use ostler_core::brain::{CloseReason, ConnectionSlot};
use ostler_core::send_queue::Front;

use super::ClientSide;
use super::connection::Connection;
use super::output::is_passing;
use super::turn_share::TurnShare;

/// An open file that is being sent.
pub(super) type HeldFile = OwnedFd;

/// What came of writing what is in front of a queue.
#[derive(Debug)]
pub(super) enum Written {
    /// The transport says whether it takes more.
    More,
    /// The session has had its share of this turn.
    WaitsForTurn,
    /// The connection has failed.
    Failed,
    /// The file cannot be read, or is shorter than it was; `None`.
    FileFailed(Option<Error>),
}

impl Connection {
    /// Writes of the first thing in the queue as much as the kernel takes, of files at most what is
    /// left of two shares: `of_files` bytes of this session, and what all have in a turn.
    pub(super) fn write_front(
        &mut self,
        of_files: &mut usize,
        share: &mut TurnShare,
        now: Nanos,
    ) -> Written {
        let (written, is_file) = match self.output.front() {
            Front::Bytes(bytes) => (self.transport.send(bytes), false),
            Front::File(_) if *of_files == 0 || share.is_used_up() => return Written::WaitsForTurn,
            Front::File(part) => {
                let most = usize::try_from(part.len).unwrap_or(usize::MAX).min(*of_files);
                (self.transport.send_file(&part.file, part.offset, most), true)
            }
        };
        let len = match written {
            Ok(0) if is_file => return Written::FileFailed(None),
            Ok(len) => len,
            Err(error) if is_passing(&error) => return Written::More,
            Err(error) if is_file && !is_of_the_connection(&error) => {
                return Written::FileFailed(Some(error));
            }
            Err(_) => return Written::Failed,
        };
        self.output.advance(len);
        if let Some(timing) = self.timing.as_deref_mut() {
            timing.clock.took(now);
        }
        if is_file {
            *of_files -= len.min(*of_files);
            share.count(len);
        }
        Written::More
    }
}

/// Whether sending a file has failed because of its receiver, as opposed to the file itself.
fn is_of_the_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
    )
}

impl ClientSide {
    /// A turn begins: sessions whose files others have interrupted go on, in their order.
    pub(super) fn go_on_with_files(&mut self) {
        let mut waiting = self.file_share.begin_turn().into_iter();
        while !self.file_share.is_used_up()
            && let Some(slot) = waiting.next()
        {
            // It may have ended since; its successor in the place has lost nothing by a look.
            if let Some(connection) = self.connections.get_mut(slot) {
                connection.waits_for_turn = false;
                self.flush(slot);
            }
        }
        self.file_share.wait_in_front(waiting);
    }

    /// A file has ended too early, or cannot be read: what the client has is a part of a message.
    pub(super) fn file_failed(&mut self, slot: ConnectionSlot, error: Option<Error>) {
        let session = self.connections.get_mut(slot).map_or(0, |connection| connection.session);
        match error {
            Some(error) => {
                tracing::error!(session, %error, "a file cannot be read: its session is closed");
            }
            None => tracing::debug!(session, "a file is shorter than it was when it was sent"),
        }
        self.brain.close(slot, CloseReason::Truncated);
    }
}
