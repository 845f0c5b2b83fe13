//! Socket input and output straight from and to lane memory.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;

use ostler_shm::lane::{RawBytes, RawBytesMut};

use super::socket;

/// `send(2)` of bytes that a worker may be changing.
pub(crate) fn send(connection: impl AsFd, bytes: RawBytes<'_>) -> io::Result<usize> {
    // SAFETY: a `RawBytes` names readable memory of a mapping that it borrows.
    unsafe { socket::send_raw(connection, bytes.as_ptr(), bytes.len()) }
}

/// `recv(2)` into this process's own ring.
pub(crate) fn recv(connection: impl AsFd, space: &mut RawBytesMut<'_>) -> io::Result<usize> {
    // SAFETY: a `RawBytesMut` names writable memory of a mapping that it borrows mutably; no
    // reference to it exists.
    unsafe { socket::recv_raw(connection, space.as_mut_ptr(), space.len()) }
}
