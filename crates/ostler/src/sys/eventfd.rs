//! eventfd: bells between threads and processes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::io::Errno;

/// `eventfd(2)` — makes a bell: nonblocking, closed on exec, silent.
pub(crate) fn create() -> io::Result<OwnedFd> {
    Ok(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// `write(2)` — rings a bell.
///
/// A full counter (somebody floods it) means that it rings already, so that is no error.
pub(crate) fn ring(bell: impl AsFd) -> io::Result<()> {
    match rustix::io::write(bell, &1_u64.to_ne_bytes()) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Rings a bell of our own making. That cannot fail: a bell that is rung already is no error, and
/// its descriptor is open as long as its owner lives.
pub(crate) fn ring_own(bell: impl AsFd) {
    let rung = ring(bell);
    debug_assert!(rung.is_ok(), "a bell of our own: {rung:?}");
}

/// `read(2)` — silences a bell that is watched level-triggered; tells how often it was rung since.
#[cfg(test)]
pub(crate) fn drain(bell: impl AsFd) -> io::Result<u64> {
    let mut count = [0_u8; 8];
    match rustix::io::read(bell, &mut count) {
        Ok(_) => Ok(u64::from_ne_bytes(count)),
        Err(Errno::AGAIN) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rings_and_survives_a_flood() {
        let bell = create().unwrap();
        assert_eq!(drain(&bell).unwrap(), 0);
        ring(&bell).unwrap();
        ring(&bell).unwrap();
        assert_eq!(drain(&bell).unwrap(), 2);
        rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        ring(&bell).unwrap();
        assert_eq!(drain(&bell).unwrap(), u64::MAX - 1);
    }
}
