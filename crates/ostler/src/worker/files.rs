//! Sending files: their descriptors go to the reactor, their bytes through nobody's memory.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_shm::file_range::FileRange;
use ostler_shm::record::{Header, RecordKind};

use super::port::NotPassed;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::{SendError, SendErrorKind};
use crate::sys::{file, sealed_file};

/// A part of a file that can be sent.
#[derive(Clone)]
pub(crate) struct FileToSend {
    descriptor: Arc<OwnedFd>,
    range: FileRange,
}

impl fmt::Debug for FileToSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of a file", self.range.len())
    }
}

impl PartialEq for FileToSend {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.descriptor, &other.descriptor) && self.range == other.range
    }
}

impl Eq for FileToSend {}

impl FileToSend {
    /// Looks at a file. `None`: the part is empty, and there is nothing to send. `len`: all from
    /// `offset` on unless it is told.
    pub(crate) fn new(
        descriptor: OwnedFd,
        offset: u64,
        len: Option<u64>,
    ) -> Result<Option<Self>, SendError> {
        let size = file::sendable(&descriptor).map_err(SendErrorKind::FileUnsendable)?;
        let end = match len {
            Some(len) => offset.saturating_add(len),
            None => size.max(offset),
        };
        if end > size {
            return Err(SendErrorKind::FileTooShort { end, size }.into());
        }
        let range = FileRange::new(offset, end - offset);
        Ok(range.map(|range| Self { descriptor: Arc::new(descriptor), range }))
    }
}

impl FileToSend {
    /// Bytes, in a file that nobody can change. `None`: there are none.
    pub(super) fn of_bytes(name: &str, bytes: &[u8]) -> Result<Option<Self>, SendError> {
        let not_passed = |error: std::io::Error| {
            let errno = error.raw_os_error().unwrap_or(0);
            SendError::from(SendErrorKind::FileNotPassed { errno })
        };
        let descriptor = Arc::new(sealed_file::create(name, bytes).map_err(not_passed)?);
        let range = FileRange::new(0, bytes.len() as u64);
        Ok(range.map(|range| Self { descriptor, range }))
    }
}

impl Sender {
    /// Passes a file to the session's reactor, with a record of it; waits for room as
    /// [`Sender::append_waiting`] does.
    pub(super) fn append_file(
        &self,
        session: u64,
        lane: usize,
        cause: u64,
        file: &FileToSend,
        for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let header =
            Header { kind: RecordKind::File as u8, subject: session, cause, ..Header::default() };
        self.append_passing(lane, header, file, 0, for_delivery)
    }

    /// Passes a file to a reactor, with a record about it. `memory`: so many bytes of memory are
    /// this file's alone.
    pub(super) fn append_passing(
        &self,
        lane: usize,
        header: Header,
        file: &FileToSend,
        memory: u64,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let FileToSend { descriptor, range } = file;
        loop {
            let mut port = self.port();
            let refused = match port.append_file(lane, header, *range, descriptor, memory) {
                Ok(()) => {
                    drop(port);
                    self.bound_staged(lane, FileRange::SIZE, for_delivery);
                    return Ok(());
                }
                Err(NotPassed::Failed(errno)) => {
                    return Err(SendErrorKind::FileNotPassed { errno }.into());
                }
                Err(refused) => refused,
            };
            if port.has_staged() {
                drop(port);
                self.publish_early(for_delivery.as_deref_mut());
                port = self.port();
            }
            let has_room = match refused {
                NotPassed::LinkFull => port.wait_for_file_link(lane, self.timeout()),
                NotPassed::TooMuchMemory => port.wait_for_memory(lane, memory, self.timeout()),
                _ => port.wait_for_room(lane, FileRange::SIZE, self.timeout()),
            };
            if !has_room {
                return Err(SendErrorKind::Full.into());
            }
        }
    }
}
