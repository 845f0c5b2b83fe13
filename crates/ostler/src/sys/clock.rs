//! The monotonic clock, which all processes of one machine share, and the time of day for the log.
#![allow(unsafe_code)]

use std::fmt;
use std::mem::MaybeUninit;

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

/// The machine's clock in milliseconds since 1970, which somebody may set.
pub(crate) fn unix_ms() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000).saturating_add(nanoseconds / 1_000_000)
}

/// A moment as people of this place write it: RFC 3339 with milliseconds and the offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// Year, month, day, hour, minute, second.
    parts: [i32; 6],
    milliseconds: u32,
    /// Seconds east of UTC.
    offset: i64,
}

/// `clock_gettime(2)`, `CLOCK_REALTIME`, and `localtime_r(3)` — now.
pub(crate) fn local() -> LocalTime {
    let now = clock_gettime(ClockId::Realtime);
    // The type of both is as wide as the platform's.
    #[allow(clippy::useless_conversion)]
    let seconds = libc::time_t::try_from(now.tv_sec).unwrap_or(0);
    let milliseconds = u32::try_from(now.tv_nsec / 1_000_000).unwrap_or(0);
    local_at(seconds, milliseconds)
}

fn local_at(seconds: libc::time_t, milliseconds: u32) -> LocalTime {
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to objects that live over the call; `localtime_r` writes the second
    // and keeps neither. It is thread-safe, and takes a lock of the C library only for its time
    // zone: a fork happens with one thread, so that no child inherits the lock held.
    let result = unsafe { libc::localtime_r(&raw const seconds, parts.as_mut_ptr()) };
    if result.is_null() {
        // A year that no `int` holds; the line must not be lost for that.
        return LocalTime::from_parts([1970, 1, 1, 0, 0, 0], milliseconds, 0);
    }
    // SAFETY: zeroed, which is a valid `tm` (integers and a pointer), and then written by
    // `localtime_r`.
    let tm = unsafe { parts.assume_init() };
    let year = tm.tm_year.saturating_add(1900);
    let parts = [year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec];
    LocalTime::from_parts(parts, milliseconds, tm.tm_gmtoff)
}

impl LocalTime {
    /// A moment from its parts; see the fields.
    pub(crate) const fn from_parts(parts: [i32; 6], milliseconds: u32, offset: i64) -> Self {
        Self { parts, milliseconds, offset }
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, second] = self.parts;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        write!(f, ".{:03}{sign}{:02}:{:02}", self.milliseconds, minutes / 60, minutes % 60)
    }
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

    #[test]
    fn the_time_of_day_is_rfc_3339_with_an_offset() {
        let text = local().to_string();
        assert_eq!(text.len(), "2000-02-29T01:02:03.042+01:30".len(), "{text}");
        let west = LocalTime::from_parts([2024, 12, 31, 23, 59, 60], 7, -(3 * 3_600 + 30 * 60));
        assert_eq!(west.to_string(), "2024-12-31T23:59:60.007-03:30");
        // An hour apart, whatever the time zone.
        let (one, other) = (local_at(951_782_400, 42), local_at(951_786_000, 42));
        assert_ne!(one, other);
        assert!(one.to_string().contains(":00.042"), "{one}");
    }

    #[test]
    fn a_clock_that_is_far_off_loses_no_line() {
        for seconds in [libc::time_t::MIN, -1, 0, 1 << 40, libc::time_t::MAX] {
            assert!(local_at(seconds, 1).to_string().contains(".001"), "{seconds}");
        }
    }
}
