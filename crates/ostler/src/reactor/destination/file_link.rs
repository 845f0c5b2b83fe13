//! The reactor's end of a lane's file link: the descriptors of files, in the order of their
//! records.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use ostler_shm::giver::ProtocolViolation;

use crate::sys::control_socket::{self, OneDescriptor};
use crate::sys::file::{self, Unsendable};

/// What came for a record.
#[derive(Debug)]
pub(in crate::reactor) enum Passed {
    /// A regular file that can be read, and how long it is now.
    File(OwnedFd, u64),
    /// This process may open no more files.
    NoPlace,
}

/// A packet socket, of which one message is read for each record. It is never watched: a worker
/// passes a file before the record of it exists, so that there is nothing to wait for.
#[derive(Debug)]
pub(super) struct FileLink {
    socket: OwnedFd,
    /// The number of the last file.
    last: u64,
}

impl FileLink {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket, last: 0 }
    }

    /// The file with this number, which is the next one.
    pub(super) fn take(&mut self, number: u32) -> Result<Passed, ProtocolViolation> {
        self.last += 1;
        if number != self.last as u32 {
            return Err(ProtocolViolation("a file whose number is not the next one"));
        }
        let mut said = [0; size_of::<u64>()];
        let (len, descriptor) = match control_socket::receive_one(&self.socket, &mut said) {
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ProtocolViolation("a file that was not passed"));
            }
            // Memory is lacking in the kernel: the message stays, and all numbers behind it would
            // be wrong.
            Err(_) => return Err(ProtocolViolation("a file that cannot be received")),
        };
        if len != said.len() || u64::from_le_bytes(said) != self.last {
            return Err(ProtocolViolation("a file that was passed under another number"));
        }
        match descriptor {
            OneDescriptor::Wrong => Err(ProtocolViolation("not one file but none, or several")),
            OneDescriptor::NoPlace => Ok(Passed::NoPlace),
            OneDescriptor::Came(descriptor) => match file::sendable(&descriptor) {
                Ok(size) => Ok(Passed::File(descriptor, size)),
                Err(Unsendable::Unknown(_)) => Ok(Passed::File(descriptor, 0)),
                Err(_) => Err(ProtocolViolation("a descriptor that is no file to be sent")),
            },
        }
    }
}
