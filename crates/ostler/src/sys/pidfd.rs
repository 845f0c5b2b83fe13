//! pidfd: a handle to a process that can never name another one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostler_core::supervisor::Exit;
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::process::ProcessId;

/// A process, alive or not, for signals, for waiting, and for polling (readable once it has ended).
#[derive(Debug)]
pub(crate) struct PidFd {
    descriptor: OwnedFd,
}

impl PidFd {
    /// `pidfd_open(2)` — opens the process with this number.
    ///
    /// The number must not be able to change hands before the call: it is our own, our parent's, or
    /// that of a child that nobody has reaped yet.
    pub(crate) fn open(process: ProcessId) -> io::Result<Self> {
        let descriptor = rustix::process::pidfd_open(process.to_rustix(), PidfdFlags::empty())?;
        Ok(Self { descriptor })
    }

    /// Takes a pidfd that came through a control socket.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }

    /// `fcntl(2)`, `F_DUPFD_CLOEXEC` — a second descriptor of the same process, to be sent away.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.descriptor.try_clone()
    }

    /// `pidfd_send_signal(2)` — ends the process. Fails with ESRCH when it has been reaped.
    pub(crate) fn kill(&self) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.descriptor, Signal::KILL)?)
    }

    /// `pidfd_send_signal(2)` — lets a stopped process go on; one that runs is not disturbed.
    pub(crate) fn resume(&self) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.descriptor, Signal::CONT)?)
    }

    /// `waitid(2)`, `P_PIDFD`, `WEXITED | WNOHANG` — reaps the process if it has ended. For our own
    /// children only.
    ///
    /// Stopped and traced processes have not ended (S12).
    pub(crate) fn try_reap(&self) -> io::Result<Option<Exit>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let Some(status) = rustix::process::waitid(WaitId::PidFd(self.as_fd()), options)? else {
            return Ok(None);
        };
        if let Some(code) = status.exit_status() {
            return Ok(Some(Exit::Code(code)));
        }
        let signal = status.terminating_signal().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(Exit::Signal { signal, core_dumped: status.dumped() }))
    }

    /// `ppoll(2)` — whether the process has ended. For anybody who holds the descriptor, child or
    /// not.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        super::poll::is_readable(self)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl From<PidFd> for OwnedFd {
    fn from(pidfd: PidFd) -> Self {
        pidfd.descriptor
    }
}
