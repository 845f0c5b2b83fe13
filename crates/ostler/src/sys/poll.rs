//! poll: for processes that wait for two or three descriptors and nothing else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// `ppoll(2)` — sleeps until one of the descriptors is readable, hung up or broken; tells which.
///
/// `None` sleeps for ever. A caught signal and the end of the timeout both answer "none".
pub(crate) fn wait_readable<const N: usize>(
    descriptors: [BorrowedFd<'_>; N],
    timeout: Option<Duration>,
) -> io::Result<[bool; N]> {
    let mut list =
        descriptors.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
    let timeout = timeout.and_then(|duration| Timespec::try_from(duration).ok());
    match rustix::event::poll(&mut list, timeout.as_ref()) {
        Ok(_) => Ok(list.map(|entry| !entry.revents().is_empty())),
        Err(Errno::INTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}

/// `ppoll(2)` — sleeps until a descriptor takes output, is hung up or broken; false when none of
/// that happened within the time.
pub(crate) fn wait_writable(descriptor: impl AsFd, timeout: Duration) -> io::Result<bool> {
    let mut list = [PollFd::new(&descriptor, PollFlags::OUT)];
    match rustix::event::poll(&mut list, Timespec::try_from(timeout).ok().as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `ppoll(2)` — whether a descriptor is readable now. For a pidfd: whether the process has ended.
pub(crate) fn is_readable(descriptor: impl AsFd) -> io::Result<bool> {
    let [readable] = wait_readable([descriptor.as_fd()], Some(Duration::ZERO))?;
    Ok(readable)
}
