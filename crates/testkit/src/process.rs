//! One process of a server, held by a pidfd, so that a signal never reaches a stranger with a
//! reused number.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::{TestError, TestResult, fail};
use crate::procfs::{self, Stat};
use crate::wait::{DEADLINE, poll_until, timed_out};

/// A process, alive or not. Cloning gives a second handle to the same process.
#[derive(Clone)]
pub struct Process {
    pid: u32,
    started: u64,
    name: String,
    descriptor: Arc<OwnedFd>,
}

impl Process {
    /// Takes hold of a process that was just seen; `None` when it has gone meanwhile.
    ///
    /// The start time is read again *after* the descriptor was opened: if it still agrees, the
    /// descriptor is of the process that was seen and not of a later one with the same number.
    pub(crate) fn hold(seen: &Stat) -> Option<Self> {
        let raw = i32::try_from(seen.pid).ok()?;
        let descriptor = pidfd_open(Pid::from_raw(raw)?, PidfdFlags::empty()).ok()?;
        let now = procfs::stat(seen.pid)?;
        (now.started == seen.started).then(|| Self {
            pid: seen.pid,
            started: seen.started,
            name: now.comm,
            descriptor: Arc::new(descriptor),
        })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its state as `/proc` tells it, or an error when it is gone.
    pub(crate) fn stat(&self) -> TestResult<Stat> {
        procfs::stat(self.pid)
            .filter(|stat| stat.started == self.started)
            .ok_or_else(|| TestError::new(format!("{self} is gone")))
    }

    /// Start time in clock ticks since boot; orders the processes of one slot.
    pub(crate) fn started(&self) -> u64 {
        self.started
    }

    /// Whether it still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.ended_within(Duration::ZERO)
    }

    /// Sends SIGKILL and says whether there was still somebody to receive it.
    pub fn kill(&self) -> bool {
        self.try_signal(Signal::KILL)
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone: a test that signals it believes that it lives.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(&*self.descriptor, signal) {
            fail(&TestError::from(error).context(format!("cannot send {signal:?} to {self}")));
        }
    }

    /// Sends a signal to a process that others may be ending, and says whether there was still
    /// somebody to receive it.
    pub fn try_signal(&self, signal: Signal) -> bool {
        match pidfd_send_signal(&*self.descriptor, signal) {
            Ok(()) => true,
            Err(Errno::SRCH) => false,
            Err(error) => {
                fail(&TestError::from(error).context(format!("cannot send {signal:?} to {self}")))
            }
        }
    }

    /// Stops it (SIGSTOP) and waits until it stands still.
    ///
    /// # Errors
    /// When it does not come to a stand within [`DEADLINE`].
    #[track_caller]
    pub fn stop(&self) -> TestResult {
        self.signal(Signal::STOP);
        self.await_state("stopped", |state| state == 'T')
    }

    /// Lets a stopped process go on (SIGCONT) and waits until it does.
    ///
    /// # Errors
    /// When it still stands after [`DEADLINE`].
    #[track_caller]
    pub fn cont(&self) -> TestResult {
        self.signal(Signal::CONT);
        self.await_state("running again", |state| state != 'T')
    }

    fn await_state(&self, name: &str, wanted: impl Fn(char) -> bool) -> TestResult {
        let seen = poll_until(DEADLINE, || match self.stat() {
            Ok(stat) if wanted(stat.state) => Some(Ok(())),
            Ok(_) => None,
            Err(gone) => Some(Err(gone)),
        });
        seen.unwrap_or_else(|| Err(timed_out(&format!("{self} to be {name}"), DEADLINE)))
    }

    /// Waits until it has ended (it may still be a zombie, if its parent has not looked yet).
    ///
    /// # Errors
    /// When it lives on after `limit`.
    pub fn wait_gone(&self, limit: Duration) -> TestResult {
        if self.ended_within(limit) {
            return Ok(());
        }
        Err(timed_out(&format!("the end of {self}"), limit))
    }

    /// Sleeps on the pidfd, which becomes readable at the process's end.
    fn ended_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            let mut list = [PollFd::from_borrowed_fd(self.descriptor.as_fd(), PollFlags::IN)];
            match poll(&mut list, timeout.as_ref()) {
                Ok(0) if left.is_zero() => return false,
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return true,
                Err(error) => fail(&TestError::from(error).context(format!("cannot watch {self}"))),
            }
        }
    }
}

impl PartialEq for Process {
    fn eq(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

impl Eq for Process {}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
