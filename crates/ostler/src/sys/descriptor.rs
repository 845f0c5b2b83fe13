//! Descriptors by their numbers: one whose number stays while what it refers to changes, and those
//! that the program was started with.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::notify_socket::{NOTIFY_VARIABLE, WATCHDOG_VARIABLES};

/// `dup3(2)` — from now on `descriptor` refers to what `to` refers to, under its old number.
/// Whoever uses it in another thread at this moment uses the old one or the new one.
pub(crate) fn redirect(descriptor: &OwnedFd, to: OwnedFd) -> io::Result<()> {
    // SAFETY: both are open and owned, before and after: the number of `descriptor` is at no moment
    // free, so nobody else can be given it, and its owner closes it as before.
    let result = unsafe { libc::dup3(to.as_raw_fd(), descriptor.as_raw_fd(), libc::O_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The variables by which a service manager says which descriptors it passes: to whom, how many
/// (from number 3 on), and their names.
pub(crate) const PASSED_VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Forgets what was passed to this process, and that a service manager listens to it, in a child to
/// which nothing was passed and which nobody listens to.
///
/// # Safety
///
/// No other thread reads or changes the environment meanwhile.
pub(super) unsafe fn forget_passed() {
    let others = WATCHDOG_VARIABLES.into_iter().chain([NOTIFY_VARIABLE]);
    for name in PASSED_VARIABLES.into_iter().chain(others) {
        // SAFETY: the caller's promise.
        unsafe { std::env::remove_var(name) };
    }
}

/// Takes a variable out of the environment of this process, which has one thread: checked here,
/// and nothing is done otherwise.
pub(crate) fn forget_variable(name: &str) {
    if matches!(super::process::thread_count(), Ok(1) | Err(_)) {
        // SAFETY: there is no other thread, as far as one can know (without /proc the caller's word
        // has to do, as for a fork).
        unsafe { std::env::remove_var(name) };
    }
}

/// `fcntl(2)`, `F_GETFD` — looks at a descriptor that this process was started with; an error when
/// it is not open, or is closed on exec: then it was opened since, for it would not be there.
pub(crate) fn look_at<T>(number: RawFd, look: impl FnOnce(BorrowedFd<'_>) -> T) -> io::Result<T> {
    // SAFETY: `fcntl` fails for a number that is not open, and changes nothing.
    match unsafe { libc::fcntl(number, libc::F_GETFD) } {
        ..0 => return Err(io::Error::last_os_error()),
        flags if flags & libc::FD_CLOEXEC != 0 => {
            return Err(io::Error::other("the program has opened or taken it itself"));
        }
        _ => {}
    }
    // SAFETY: it is open, and stays so while it is looked at: nobody else of this program closes a
    // descriptor that was passed to it.
    Ok(look(unsafe { BorrowedFd::borrow_raw(number) }))
}

/// `fcntl(2)`, `FD_CLOEXEC`, `O_NONBLOCK` — takes over a descriptor that this process was started
/// with. It is to be taken once, which the caller sees to; nothing else of the program uses it,
/// because whoever started it has said whose it is.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` fails for a number that is not open, and changes nothing then.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and nobody else owns it: it was there before the program began, which
    // the caller has looked at, is of no standard stream, and the caller takes no number twice.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfl(&descriptor, fcntl_getfl(&descriptor)? | OFlags::NONBLOCK)?;
    Ok(descriptor)
}
