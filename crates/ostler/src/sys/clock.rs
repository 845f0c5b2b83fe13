//! The monotonic clock, which all processes of one machine share.

use ostler_core::{Millis, Nanos};
use rustix::time::{ClockId, clock_gettime};

/// `clock_gettime(2)`, `CLOCK_MONOTONIC` — nanoseconds since some fixed moment before this process
/// began.
pub(crate) fn monotonic_ns() -> Nanos {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

/// The same clock in whole milliseconds, rounded down.
pub(crate) fn monotonic_ms() -> Millis {
    monotonic_ns() / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_not_run_backwards() {
        let (first, second) = (monotonic_ns(), monotonic_ns());
        assert!(first > 0 && second >= first);
        assert!(monotonic_ms() >= first / 1_000_000);
    }
}
