//! A forked process, and waiting for what it does.

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::time::{Duration, Instant};

/// A forked process; killed and reaped when the test gives up on it.
pub struct Child {
    pid: Pid,
    ended: bool,
}

impl Child {
    /// Forks. The child runs `life` and exits; it dies with this process.
    pub fn new(life: impl FnOnce()) -> Self {
        // SAFETY: this test has one thread (no harness), so the child may do anything.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => Self { pid: child, ended: false },
            ForkResult::Child => {
                let _ = prctl::set_pdeathsig(Signal::SIGKILL);
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(life));
                // SAFETY: ends the child at once; destructors belong to the parent.
                unsafe { nix::libc::_exit(if ended.is_ok() { 0 } else { 101 }) };
            }
        }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it has ended, and how.
    pub fn poll(&mut self) -> Option<WaitStatus> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive => None,
            status => {
                self.ended = true;
                Some(status)
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            let _ = nix::sys::signal::kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Waits for `ready`, at most ten seconds.
pub fn wait_until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "waited too long for {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
