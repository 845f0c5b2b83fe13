//! Signals: blocked and read from a descriptor in master and manager, caught by two tiny handlers in workers.
//!
//! No code of ours runs in signal context except the two handlers at the end of this file, which only store to an atomic
//! and write to an eventfd.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask,
};
use nix::sys::signalfd::{SfdFlags, SignalFd as NixSignalFd};

/// A signal's number, as `signal(7)` lists them.
pub(crate) type SignalNumber = i32;

/// Asks a process to end in good order.
pub(crate) const TERM: SignalNumber = libc::SIGTERM;
/// What the terminal sends to the whole group at Ctrl-C.
pub(crate) const INT: SignalNumber = libc::SIGINT;
/// The terminal is gone.
pub(crate) const HUP: SignalNumber = libc::SIGHUP;
/// What the terminal sends to the whole group at Ctrl-\.
pub(crate) const QUIT: SignalNumber = libc::SIGQUIT;
/// First user signal.
pub(crate) const USR1: SignalNumber = libc::SIGUSR1;
/// Second user signal.
pub(crate) const USR2: SignalNumber = libc::SIGUSR2;
/// A child changed state.
pub(crate) const CHLD: SignalNumber = libc::SIGCHLD;

/// All signals that Ostler handles. Blocked in master and manager from before the first fork on.
pub(crate) const MANAGED: [SignalNumber; 7] = [TERM, INT, HUP, QUIT, USR1, USR2, CHLD];

/// The signals that manager and workers do not react to when they come from outside (a terminal sends INT to the whole
/// group): only the master does.
pub(crate) const IGNORED_FROM_OUTSIDE: [SignalNumber; 5] = [INT, HUP, QUIT, USR1, USR2];

/// The signal's name for a log line: `SIGTERM`.
pub(crate) fn name(signal: SignalNumber) -> String {
    match Signal::try_from(signal) {
        Ok(known) => known.as_str().to_owned(),
        Err(_) => format!("signal {signal}"),
    }
}

/// `sigprocmask(2)`, `SIG_BLOCK` — keeps these signals pending from now on, in this thread and those it starts.
pub(crate) fn block(signals: &[SignalNumber]) -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set_of(signals)?), None)?)
}

/// `sigprocmask(2)`, `SIG_SETMASK` — lets every signal through; pending ones are delivered before this returns.
pub(crate) fn unblock_all() -> io::Result<()> {
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// `sigaction(2)` — gives these signals their default effect.
///
/// For `CHLD` this matters even if nobody changed it here: an ignored `CHLD` is inherited through exec, and then the
/// kernel reaps children itself and their exit status is lost.
pub(crate) fn restore_default(signals: &[SignalNumber]) -> io::Result<()> {
    install(signals, SigHandler::SigDfl)
}

/// `sigaction(2)` — lets these signals do nothing, by a handler that does nothing.
///
/// Not `SIG_IGN`: an ignored signal stays ignored in programs that user code starts, a handler does not (S24).
pub(crate) fn install_no_operation(signals: &[SignalNumber]) -> io::Result<()> {
    install(signals, SigHandler::Handler(do_nothing))
}

/// `sigaction(2)` — lets TERM set a flag ([`termination_requested`]) and ring `bell`.
///
/// Takes a descriptor of its own and never closes it, so that the handler can never write to a descriptor that meanwhile
/// names something else. Call it once per process.
pub(crate) fn install_termination(bell: OwnedFd) -> io::Result<()> {
    TERMINATION_BELL.store(bell.into_raw_fd(), Ordering::Release);
    install(&[TERM], SigHandler::Handler(request_termination))
}

/// Whether TERM has come since [`install_termination`].
pub(crate) fn termination_requested() -> bool {
    TERMINATION_REQUESTED.load(Ordering::Acquire)
}

/// A signal that was taken from a [`SignalFd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Which.
    pub(crate) signal: SignalNumber,
    /// Who sent it: a pid, or 0 for the kernel.
    pub(crate) sender_pid: u32,
}

/// Signals as a descriptor; the signals must be blocked, see [`block`].
#[derive(Debug)]
pub(crate) struct SignalFd {
    inner: NixSignalFd,
}

impl SignalFd {
    /// `signalfd(2)` — makes a nonblocking descriptor for these signals, closed on exec.
    ///
    /// It reads the signals of the process that reads, not of the one that made it: a child must close it.
    pub(crate) fn new(signals: &[SignalNumber]) -> io::Result<Self> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { inner: NixSignalFd::with_flags(&set_of(signals)?, flags)? })
    }

    /// `read(2)` — takes one pending signal; `None` when there is none.
    pub(crate) fn read(&self) -> io::Result<Option<Received>> {
        let Some(info) = self.inner.read_signal()? else { return Ok(None) };
        let signal = SignalNumber::try_from(info.ssi_signo).map_err(io::Error::other)?;
        Ok(Some(Received { signal, sender_pid: info.ssi_pid }))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

fn set_of(signals: &[SignalNumber]) -> io::Result<SigSet> {
    let mut set = SigSet::empty();
    for &signal in signals {
        set.add(Signal::try_from(signal)?);
    }
    Ok(set)
}

fn install(signals: &[SignalNumber], handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    for &signal in signals {
        // SAFETY: `handler` is the default or one of the two functions below, which are async-signal-safe.
        unsafe { sigaction(Signal::try_from(signal)?, &action) }?;
    }
    Ok(())
}

static TERMINATION_REQUESTED: AtomicBool = AtomicBool::new(false);
/// Descriptor that the handler rings, -1 for none. Never closed once it is here.
static TERMINATION_BELL: AtomicI32 = AtomicI32::new(-1);

extern "C" fn do_nothing(_signal: libc::c_int) {}

extern "C" fn request_termination(_signal: libc::c_int) {
    TERMINATION_REQUESTED.store(true, Ordering::Release);
    let bell = TERMINATION_BELL.load(Ordering::Acquire);
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `write` and the location of `errno` are async-signal-safe; `bell` is open for ever or -1 (then EBADF, which
    // is what we want); `one` is 8 readable bytes. `errno` belongs to the interrupted code and is put back.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        libc::write(bell, one.as_ptr().cast(), one.len());
        *errno = saved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{eventfd, process};

    #[test]
    fn signals_have_names() {
        assert_eq!(name(TERM), "SIGTERM");
        assert_eq!(name(libc::SIGSEGV), "SIGSEGV");
        assert_eq!(name(40), "signal 40");
    }

    #[test]
    fn a_blocked_signal_waits_for_the_descriptor() {
        process::in_forked_test(|| {
            block(&MANAGED).unwrap();
            let signals = SignalFd::new(&MANAGED).unwrap();
            assert_eq!(signals.read().unwrap(), None);
            nix::sys::signal::raise(Signal::SIGUSR1).unwrap();
            let received = signals.read().unwrap().unwrap();
            assert_eq!(received.signal, USR1);
            assert_eq!(received.sender_pid, std::process::id());
            assert_eq!(signals.read().unwrap(), None);
        });
    }

    #[test]
    fn handlers_ring_or_do_nothing() {
        process::in_forked_test(|| {
            block(&MANAGED).unwrap();
            let bell = eventfd::create().unwrap();
            for signal in IGNORED_FROM_OUTSIDE {
                nix::sys::signal::raise(Signal::try_from(signal).unwrap()).unwrap();
            }
            nix::sys::signal::raise(Signal::SIGTERM).unwrap();
            install_no_operation(&IGNORED_FROM_OUTSIDE).unwrap();
            install_termination(bell.try_clone().unwrap()).unwrap();
            assert!(!termination_requested());
            unblock_all().unwrap();
            assert!(termination_requested());
            assert_eq!(eventfd::drain(&bell).unwrap(), 1);
        });
    }
}
