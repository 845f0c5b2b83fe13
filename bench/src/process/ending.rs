//! Makes sure that exactly these processes are gone, whatever has become of their pids.

use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::procfs::{self, TaskId};
use crate::{Error, Result};

/// Descendants must be gone this long after the server's own end.
const SURVIVOR_LIMIT: Duration = Duration::from_secs(1);
const POLL_EVERY: Duration = Duration::from_millis(2);

/// Waits for the tasks to end, then kills those that did not; returns how many.
pub(super) fn end_all(family: &[TaskId]) -> Result<usize> {
    let limit = Instant::now() + SURVIVOR_LIMIT;
    let mut living = family.to_vec();
    loop {
        let mut left = Vec::new();
        for task in living {
            if lives(task)? && !left.contains(&task) {
                left.push(task);
            }
        }
        living = left;
        if living.is_empty() || Instant::now() >= limit {
            break;
        }
        std::thread::sleep(POLL_EVERY);
    }
    for task in &living {
        kill(*task)?;
    }
    Ok(living.len())
}

fn lives(task: TaskId) -> Result<bool> {
    let stat = procfs::stat(task.id).map_err(Error::system("read /proc/PID/stat"))?;
    Ok(stat.is_some_and(|stat| stat.started == task.started && stat.state != 'Z'))
}

/// Kills exactly this process: the descriptor is opened first, the identity checked after.
fn kill(task: TaskId) -> Result<()> {
    let Some(pid) = i32::try_from(task.id).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    if lives(task)? {
        // Gone in between: then it is what was wanted.
        _ = pidfd_send_signal(&descriptor, Signal::KILL);
    }
    Ok(())
}
