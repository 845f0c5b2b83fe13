//! Children that nobody asked for: orphans that this process adopted as a subreaper.
#![allow(unsafe_code)]

use std::io;

#[cfg(test)]
use ostler_core::supervisor::Exit;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions};

use super::pidfd::PidFd;
use super::process::{ProcessId, current};

/// `waitid(2)`, `P_ALL`, `WEXITED | WNOHANG | WNOWAIT` — names one child that has ended, without
/// reaping it.
///
/// Reap it through its pidfd before the next call, which would name the same one again.
pub(crate) fn peek_ended_child() -> io::Result<Option<ProcessId>> {
    // SAFETY: `siginfo_t` is a C struct of integers and pointers, for which all zero bits is "no
    // signal, pid 0".
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a valid struct that the kernel fills.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) };
    if result == 0 {
        // SAFETY: the kernel has filled `info` as for SIGCHLD, or left it zero when no child has
        // ended; both have a pid.
        return Ok(ProcessId::new(unsafe { info.si_pid() }));
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        error => Err(error),
    }
}

/// `waitid(2)`, `P_PID`, `WEXITED | WNOHANG` — reaps one of our children if it has ended; whether
/// it is no child of ours any more.
pub(crate) fn reap(pid: ProcessId) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match rustix::process::waitid(WaitId::Pid(pid.to_rustix()), options) {
        Ok(status) => status.is_some(),
        Err(error) => error == Errno::CHILD,
    }
}

/// Kills one of our children. It may have ended by itself; its number is its own until it is
/// reaped.
pub(crate) fn kill(pid: ProcessId) -> io::Result<()> {
    PidFd::open(pid).and_then(|child| child.kill())
}

/// Reaps one child that has ended, whoever it is.
///
/// For processes that do not have to reap one of them in a special way; otherwise use
/// [`peek_ended_child`].
#[cfg(test)]
pub(crate) fn reap_next() -> io::Result<Option<(ProcessId, Exit)>> {
    let Some(pid) = peek_ended_child()? else { return Ok(None) };
    // Ended and not reaped, so the number still is its own.
    let exit = PidFd::open(pid)?.try_reap()?.ok_or(io::ErrorKind::WouldBlock)?;
    Ok(Some((pid, exit)))
}

/// `/proc/PID/stat` — whether the first thread of one of our children has ended. What it leaves is
/// ours as soon as its last thread has, a moment before the process is told to have ended.
pub(crate) fn has_begun_to_end(pid: ProcessId) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which may have anything in it.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// `/proc/PID/task/TID/children` — all children of this process, if it has one thread.
pub(crate) fn children() -> io::Result<Vec<ProcessId>> {
    let own = current();
    let list = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
    Ok(list
        .split_ascii_whitespace()
        .filter_map(|number| number.parse().ok().and_then(ProcessId::new))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{self, ExitBy, fork_child};

    #[test]
    fn orphans_are_adopted_seen_and_reaped() {
        process::in_forked_test(|| {
            process::adopt_orphans().unwrap();
            assert_eq!(peek_ended_child().unwrap(), None);
            let parent = fork_child(&[], ExitBy::Immediately, || {
                fork_child(&[], ExitBy::Immediately, || {
                    std::thread::sleep(std::time::Duration::from_secs(60));
                    0
                })
                .map_or(1, |_| 0)
            });
            let parent = PidFd::open(parent.unwrap()).unwrap();
            while !parent.has_ended().unwrap() {}
            assert_eq!(parent.try_reap().unwrap(), Some(Exit::Code(0)));
            let orphans = children().unwrap();
            assert_eq!(orphans.len(), 1);
            let orphan = PidFd::open(orphans[0]).unwrap();
            assert_eq!(peek_ended_child().unwrap(), None);
            orphan.kill().unwrap();
            while peek_ended_child().unwrap().is_none() {}
            assert_eq!(peek_ended_child().unwrap(), Some(orphans[0]), "peeking does not reap");
            let killed = Exit::Signal { signal: libc::SIGKILL, core_dumped: false };
            assert_eq!(reap_next().unwrap(), Some((orphans[0], killed)));
            assert_eq!(reap_next().unwrap(), None);
            assert_eq!(children().unwrap(), []);
        });
    }
}
