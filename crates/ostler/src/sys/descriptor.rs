//! A descriptor whose number stays while what it refers to changes.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// `dup3(2)` — from now on `descriptor` refers to what `to` refers to, under its old number.
/// Whoever uses it in another thread at this moment uses the old one or the new one.
pub(crate) fn redirect(descriptor: &OwnedFd, to: OwnedFd) -> io::Result<()> {
    // SAFETY: both are open and owned, before and after: the number of `descriptor` is at no moment
    // free, so nobody else can be given it, and its owner closes it as before.
    let result = unsafe { libc::dup3(to.as_raw_fd(), descriptor.as_raw_fd(), libc::O_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
