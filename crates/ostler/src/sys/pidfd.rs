//! pidfd: a handle to a process that can never name another one.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

pub(crate) use ostler_core::supervisor::Exit;
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::process::ProcessId;
use super::signal::SignalNumber;

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

    /// `pidfd_send_signal(2)` — sends a signal that has a name; others are not passed on.
    pub(crate) fn send(&self, signal: SignalNumber) -> io::Result<()> {
        let Some(signal) = Signal::from_named_raw(signal) else { return Ok(()) };
        Ok(rustix::process::pidfd_send_signal(&self.descriptor, signal)?)
    }

    /// `pidfd_send_signal(2)` — asks the process to capture itself; `signal` and `number` are what
    /// [`super::capture`] expects.
    ///
    /// The kernel prefers the main thread, if that does not block the signal.
    pub(crate) fn ask_for_capture(&self, signal: SignalNumber, number: u64) -> io::Result<()> {
        let info = super::capture::queued(signal, number);
        let pidfd = self.descriptor.as_raw_fd();
        // SAFETY: a descriptor that is open, and a valid `siginfo_t`, which is only read.
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, &raw const info, 0)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

    /// The same, and what the process has used.
    pub(crate) fn try_reap_with_usage(&self) -> io::Result<Option<(Exit, Usage)>> {
        // SAFETY: a C struct of integers, for which zero bits are valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: as above, with pointers: "no signal, pid 0".
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG;
        let (pidfd, info_at) = (self.descriptor.as_raw_fd(), &raw mut info);
        // The C library's function does not give the usage.
        // SAFETY: both structs are valid and the kernel fills them.
        let result = unsafe {
            libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd, info_at, flags, &raw mut usage)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: filled as for SIGCHLD, or left zero when the process has not ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return Ok(None);
        }
        let core_dumped = info.si_code == libc::CLD_DUMPED;
        let exit = match info.si_code {
            libc::CLD_EXITED => Exit::Code(status),
            _ => Exit::Signal { signal: status, core_dumped },
        };
        Ok(Some((exit, Usage::of(&usage))))
    }

    /// `ppoll(2)` — whether the process has ended. For anybody who holds the descriptor, child or
    /// not.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        super::poll::is_readable(self)
    }
}

/// What a process has used in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The most memory that it had at once, KiB.
    pub(crate) memory_peak_kib: u64,
    /// Time on CPUs, milliseconds.
    pub(crate) cpu_ms: u64,
}

impl Usage {
    fn of(usage: &libc::rusage) -> Self {
        let number = |number: libc::c_long| u64::try_from(number).unwrap_or(0);
        let ms = |time: libc::timeval| number(time.tv_sec) * 1_000 + number(time.tv_usec) / 1_000;
        let cpu_ms = ms(usage.ru_utime).saturating_add(ms(usage.ru_stime));
        Self { memory_peak_kib: number(usage.ru_maxrss), cpu_ms }
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
