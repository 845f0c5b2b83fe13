//! When another process began.

use std::io;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use super::process::ProcessId;

/// The field of `/proc/PID/stat` behind the name that says when the process began.
const START_FIELD: usize = 19;

/// `/proc/PID/stat`, `clock_gettime(2)`, `CLOCK_BOOTTIME` — when a process began, by the time of
/// day and to a hundredth of a second; an error when there is none of that number.
pub(crate) fn started(pid: ProcessId) -> io::Result<SystemTime> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may have any characters.
    let ticks = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(START_FIELD))
        .and_then(|ticks| ticks.parse::<u64>().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let after_boot = Duration::from_millis(ticks.saturating_mul(1_000) / per_second);
    let now = clock_gettime(ClockId::Boottime);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    let up = Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanoseconds);
    SystemTime::now()
        .checked_sub(up.saturating_sub(after_boot))
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::current;

    #[test]
    fn this_process_began_a_while_ago_and_none_has_a_wild_number() {
        let began = started(current()).unwrap();
        let age = SystemTime::now().duration_since(began).unwrap();
        assert!(age < Duration::from_secs(3_600), "{age:?}");
        assert!(started(ProcessId::new(i32::MAX).unwrap()).is_err());
    }
}
