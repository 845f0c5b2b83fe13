//! Numbers that processes share, and waiting for one to change.

use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::Timespec;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number of 32 bits, in a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Words32 {
    /// The number.
    pub value: AtomicU32,
    /// How often waiters were woken.
    pub wakes: AtomicU32,
}

/// A number of 64 bits, in a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Words64 {
    /// The number.
    pub value: AtomicU64,
    /// How often waiters were woken: a futex has 32 bits.
    pub wakes: AtomicU32,
}

/// `FUTEX_WAIT` — sleeps until `is_changed` or `timeout`; says which. Looks again whenever
/// [`wake`] is called. Who changes what `is_changed` looks at, with [`Ordering::SeqCst`], and calls
/// [`wake`] after it, is never missed.
pub fn wait(wakes: &AtomicU32, timeout: Duration, mut is_changed: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        // Before the look: a wake that comes after the look changes it, and then nobody sleeps.
        let seen = wakes.load(Ordering::SeqCst);
        if is_changed() {
            return true;
        }
        let left = timeout.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return false;
        }
        // A time too long for the kernel is no time at all.
        let left = Timespec::try_from(left).ok();
        match futex::wait(wakes, futex::Flags::empty(), seen, left.as_ref()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
            // Not for an aligned word that is mapped: do not spin if it comes all the same.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// `FUTEX_WAKE` — wakes at most `waiters` of those who wait, in any process, and lets all who are
/// about to sleep look again; says how many slept.
pub fn wake(wakes: &AtomicU32, waiters: u32) -> usize {
    wakes.fetch_add(1, Ordering::SeqCst);
    // The kernel's number is signed.
    let waiters = waiters.min(i32::MAX as u32);
    futex::wake(wakes, futex::Flags::empty(), waiters).unwrap_or(0)
}
