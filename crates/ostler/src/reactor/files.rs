//! Files on their way to clients: their descriptors are here until their last byte is with the
//! kernel.
//!
//! A file stands in its session's queue where it was sent. It is written in pieces, so that a disk
//! that is slow, or a client that is fast, leaves others their turns: see
//! [`SENDING_FILES`](super::turn_share::SENDING_FILES).

use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;

use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot};
use ostler_core::file_counts::FileCounts;
use ostler_core::send_queue::{FilePart, Front, Refusal, Route};
use ostler_core::traffic::Traffic;
use ostler_core::{Nanos, invariant};
use ostler_shm::file_range::FileRange;

use super::ClientSide;
use super::connection::Connection;
use super::destination::Passed;
use super::file_places::FilePlace;
use super::turn_share::TurnShare;
use crate::sys::socket::is_passing;

/// An open file that is being sent.
#[derive(Debug)]
pub(super) struct HeldFile {
    descriptor: OwnedFd,
    _place: FilePlace,
}

impl HeldFile {
    pub(super) const fn new(descriptor: OwnedFd, place: FilePlace) -> Self {
        Self { descriptor, _place: place }
    }
}

/// What came of writing what is in front of a queue.
#[derive(Debug)]
pub(super) enum Written {
    /// The transport says whether it takes more.
    More,
    /// The session has had its share of this turn.
    WaitsForTurn,
    /// The disk has not read what is next.
    WaitsForDisk,
    /// The connection has failed.
    Failed,
    /// The file cannot be read, or is shorter than it was; `None`.
    FileFailed(Option<Error>),
}

impl Connection {
    /// Writes of the first thing in the queue as much as the kernel takes, of files at most what is
    /// left of two shares: `of_files` bytes of this session, and what all have in a turn. What is
    /// written is added to `sent`.
    pub(super) fn write_front(
        &mut self,
        of_files: &mut usize,
        share: &mut TurnShare,
        counts: &mut FileCounts,
        traffic: &mut Traffic,
        now: Nanos,
        sent: &mut u64,
    ) -> Written {
        let (written, is_file) = match self.output.front() {
            Front::Bytes(bytes) => (self.transport.send(bytes), false),
            Front::File(_) if *of_files == 0 || share.is_used_up() => return Written::WaitsForTurn,
            Front::File(part) => {
                let most = usize::try_from(part.len).unwrap_or(usize::MAX).min(*of_files);
                if !self.disk.has_read(&part.file.descriptor, part.offset, most as u64) {
                    counts.disk_waits += 1;
                    return Written::WaitsForDisk;
                }
                (self.transport.send_file(&part.file.descriptor, part.offset, most), true)
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
        traffic.sent_bytes += len as u64;
        let ends_file = self.output.advance(len);
        *sent += len as u64;
        if let Some(timing) = self.timing.as_deref_mut() {
            timing.clock.took(now);
        }
        if is_file {
            counts.sent += u64::from(ends_file);
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

    /// A session has waited for a disk.
    pub(super) fn look_at_disk(&mut self, slot: ConnectionSlot) {
        // It may have ended since; its successor in the place has lost nothing by a look.
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.disk.look_again();
            self.flush(slot);
        }
    }

    /// A part of a file goes into the queue of its session, and as much of it to the kernel as that
    /// takes now.
    pub(super) fn write_file(
        &mut self,
        slot: ConnectionSlot,
        lane: LaneSlot,
        range: FileRange,
        passed: Passed,
    ) {
        let (descriptor, size) = match passed {
            Passed::File(descriptor, size) => (descriptor, size),
            Passed::NoPlace => return self.refuse_file(slot, "there is no descriptor for it"),
        };
        let Some(place) = self.memory.files().take() else {
            return self.refuse_file(slot, "sendfile_max of them wait");
        };
        if range.end() > size {
            return self.file_failed(slot, None); // it became shorter on the way
        }
        let Some(connection) = self.connections.get_mut(slot) else {
            return invariant!(false, "a file goes to a session that was found");
        };
        let file = HeldFile::new(descriptor, place);
        let part = FilePart { file, offset: range.offset(), len: range.len() };
        let marks = &self.settings.ports.get(connection.port).marks;
        let (before, begins) = (connection.output.charged(), connection.output.is_empty());
        let route = connection.output.route_file(lane, marks);
        match route {
            Route::Now if connection.output.may_push(marks) => connection.output.push_file(part),
            Route::Now => return self.refuse(slot, Refusal::TooMuch),
            Route::Behind => connection.output.push_file_behind(lane, part),
            Route::Refused(refusal) => return self.refuse(slot, refusal),
        }
        self.file_counts.taken += 1;
        if begins && !connection.output.is_empty() {
            self.output_waits(slot);
        }
        self.output_resized(slot, before);
        self.publish_output(slot);
        if route == Route::Now {
            self.flush(slot);
        }
    }

    /// A file cannot be taken in. Its worker was told that it is: what the client has would be a
    /// part of what was promised.
    fn refuse_file(&mut self, slot: ConnectionSlot, why: &'static str) {
        self.file_counts.refused += 1;
        if self.complaints.file_refused.admits() {
            let session = self.connections.get_mut(slot).map_or(0, |connection| connection.session);
            tracing::warn!(session, why, "a file cannot be sent: its session is closed");
        }
        self.brain.close(slot, CloseReason::Truncated);
    }

    /// A file has ended too early, or cannot be read: what the client has is a part of a message.
    pub(super) fn file_failed(&mut self, slot: ConnectionSlot, error: Option<Error>) {
        self.file_counts.failed += 1;
        if self.complaints.file_failed.admits() {
            let session = self.connections.get_mut(slot).map_or(0, |connection| connection.session);
            let error =
                error.map_or_else(|| "it is shorter than it was".into(), |it| it.to_string());
            tracing::warn!(session, error, "a file cannot be read: its session is closed");
        }
        self.brain.close(slot, CloseReason::Truncated);
    }
}
