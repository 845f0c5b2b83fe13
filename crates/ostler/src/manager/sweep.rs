//! The end of all children, and the last words to the master.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::control::{Channel, ToManager, ToMaster};
use crate::sys::pidfd::PidFd;
use crate::sys::process::ProcessId;
use crate::sys::{orphans, poll};

/// Time for killed processes to end: one in an uninterruptible system call does not.
const END_MAX: Duration = Duration::from_millis(1_000);
/// Time for the master to take the last messages.
const FLUSH_MAX: Duration = Duration::from_millis(1_000);
/// Pause between two looks at a full socket.
const FLUSH_STEP: Duration = Duration::from_millis(5);

/// Kills and reaps `workers`, every other child but those in `keep`, and what becomes our child by
/// that, until there is none; answers how many are left after a second.
///
/// Also for a master at its end: orphans that a dead manager had adopted are its children.
pub(crate) fn end_all(workers: impl Iterator<Item = PidFd>, keep: &[ProcessId]) -> usize {
    let deadline = Instant::now() + END_MAX;
    // Workers first and by their own pidfds, so that they end even where /proc does not name
    // children.
    let left = end(workers.collect(), deadline);
    loop {
        let others = match orphans::children() {
            Ok(children) => children,
            Err(error) => {
                tracing::warn!(%error, "cannot look for orphans");
                return left;
            }
        };
        let others: Vec<PidFd> = others
            .into_iter()
            .filter(|pid| !keep.contains(pid))
            .filter_map(|pid| PidFd::open(pid).ok())
            .collect();
        if others.is_empty() {
            return 0;
        }
        let left = end(others, deadline);
        if left > 0 {
            return left;
        }
    }
}

/// Kills all, then waits for all; answers how many are left.
fn end(processes: Vec<PidFd>, deadline: Instant) -> usize {
    for process in &processes {
        // It may have ended by itself.
        let _ = process.kill();
    }
    processes.iter().filter(|process| !ends_by(process, deadline)).count()
}

fn ends_by(process: &PidFd, deadline: Instant) -> bool {
    loop {
        if !matches!(process.try_reap(), Ok(None)) {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || poll::wait_readable([process.as_fd()], Some(left)).is_err() {
            return false;
        }
    }
}

/// Sends what is left in the outbox, as long as the master is there to take it.
pub(super) fn flush(master: &mut Channel<ToMaster, ToManager>) {
    let deadline = Instant::now() + FLUSH_MAX;
    while master.flush().is_ok() && master.has_backlog() && Instant::now() < deadline {
        std::thread::sleep(FLUSH_STEP);
    }
}
