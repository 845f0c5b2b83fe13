//! Signals: blocked and read from a descriptor in master and manager, caught by two tiny handlers
//! in workers.
//!
//! | kind | master, manager, spare | worker |
//! |---|---|---|
//! | [`MANAGED`] | blocked, read | TERM asks to be replaced, TTIN, TTOU stop, others do nothing |
//! | [`WITHOUT_EFFECT`], real-time | blocked, read, logged once | do nothing |
//! | the same, but the program's own | as the program has it | as the program has it |
//! | faults, KILL, those that stop or continue | as usual | as usual |
//!
//! A signal is the program's own when the program caught or ignored it before. No code of ours runs
//! in signal context except the two handlers at the end of this file, which only store to an atomic
//! and write to an eventfd, and those of `capture` and `thread_stack`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
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
/// Somebody reads no more. Rust ignores it, which survives an exec.
pub(crate) const PIPE: SignalNumber = libc::SIGPIPE;
/// One more, by convention of servers; a terminal sends it to who reads from it in the background.
pub(crate) const TTIN: SignalNumber = libc::SIGTTIN;
/// One less, by the same convention; a terminal sends it to who writes.
pub(crate) const TTOU: SignalNumber = libc::SIGTTOU;
/// A child changed state.
pub(crate) const CHLD: SignalNumber = libc::SIGCHLD;

/// All signals that Ostler handles. Blocked in master and manager from before the first fork on.
pub(crate) const MANAGED: [SignalNumber; 9] = [TERM, INT, HUP, QUIT, USR1, USR2, TTIN, TTOU, CHLD];

/// The signals that manager and workers do not react to when they come from outside (a terminal
/// sends INT to the whole group): only the master does.
pub(crate) const IGNORED_FROM_OUTSIDE: [SignalNumber; 5] = [INT, HUP, QUIT, USR1, USR2];

/// Signals that end a process by default and say nothing that a server would act on: timers, I/O,
/// limits, power. A stray one must not end anybody. Real-time signals belong to them too.
const WITHOUT_EFFECT: [SignalNumber; 8] = [
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSTKFLT,
    libc::SIGXCPU,
    libc::SIGXFSZ,
];

/// The signal's name for a log line: `SIGTERM`, `SIGRTMIN+3`.
pub(crate) fn name(signal: SignalNumber) -> String {
    match Signal::try_from(signal) {
        Ok(known) => known.as_str().to_owned(),
        Err(_) if is_real_time(signal) => {
            format!("SIGRTMIN+{}", signal.saturating_sub(libc::SIGRTMIN()))
        }
        Err(_) => format!("signal {signal}"),
    }
}

thread_local! {
    /// How many [`Held`] there are.
    static HOLDERS: Cell<usize> = const { Cell::new(0) };
    /// The signals that this thread blocked before the first of them.
    pub(super) static BLOCKED_BEFORE: Cell<Option<SigSet>> = const { Cell::new(None) };
}

/// While one of these exists, signals that Ostler takes, or that would end the process for nothing,
/// wait.
///
/// Made when a listener is bound, so that a signal between that and the server's loop has its
/// documented effect, only later. When the last one is dropped the thread has the mask that it had
/// before the first. Stays in its thread.
#[derive(Debug)]
pub(crate) struct Held {
    stays_in_its_thread: PhantomData<*const ()>,
}

impl Held {
    /// `sigprocmask(2)`, `SIG_BLOCK` — keeps signals pending from now on, in this thread and those
    /// that it starts.
    pub(crate) fn new() -> io::Result<Self> {
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set_of(&taken())), Some(&mut before))?;
        if HOLDERS.get() == 0 {
            BLOCKED_BEFORE.set(Some(before));
        }
        HOLDERS.set(HOLDERS.get().saturating_add(1));
        Ok(Self { stays_in_its_thread: PhantomData })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HOLDERS.set(HOLDERS.get().saturating_sub(1));
        if HOLDERS.get() == 0 {
            discard(&set_of(&stray_signals().collect::<Vec<_>>()));
            // Fails only for a mask that does not exist.
            let _ = sigprocmask(SigmaskHow::SIG_SETMASK, BLOCKED_BEFORE.get().as_ref(), None);
        }
    }
}

/// `sigprocmask(2)` — this thread blocks what the program blocked before Ostler held any: for a new
/// process that is about to become another program.
pub(crate) fn let_go() -> io::Result<()> {
    let before = BLOCKED_BEFORE.get().unwrap_or_else(SigSet::empty);
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?)
}

/// The signals that the program blocked before Ostler held any, as a set of bits: number 1 is bit
/// 0.
pub(crate) fn blocked_before() -> u64 {
    let mask = BLOCKED_BEFORE.get().unwrap_or_else(SigSet::empty);
    // SAFETY: a valid set is read.
    let contains = |signal: &i32| unsafe { libc::sigismember(mask.as_ref(), *signal) == 1 };
    (1..=64).filter(contains).fold(0, |bits, signal| bits | 1 << (signal - 1))
}

/// This process was executed while signals were held: what the program blocked before is known only
/// from the process that did it.
pub(crate) fn set_blocked_before(bits: u64) {
    let signals: Vec<_> = (1..=64).filter(|signal| bits & 1 << (signal - 1) != 0).collect();
    BLOCKED_BEFORE.set(Some(set_of(&signals)));
}

/// `sigtimedwait(2)` — takes what is pending of these signals, without waiting. One that came while
/// nobody read the descriptor (the kernel's XFSZ about a file, at a failed start) must not end the
/// program now, before it has said why it failed.
fn discard(signals: &SigSet) {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are valid for reading; what is known about the signal is not asked for.
    while unsafe { libc::sigtimedwait(signals.as_ref(), std::ptr::null_mut(), &raw const now) } > 0
    {
    }
}

/// Whether a number is that of a real-time signal, which does nothing by itself in a worker.
pub(crate) fn is_real_time(signal: SignalNumber) -> bool {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&signal)
}

/// The signals that master and manager take: [`MANAGED`], and those of [`WITHOUT_EFFECT`] that have
/// their default effect.
fn taken() -> Vec<SignalNumber> {
    MANAGED.into_iter().chain(stray_signals()).collect()
}

/// Signals that would end this process for nothing, and are not the program's own.
fn stray_signals() -> impl Iterator<Item = SignalNumber> {
    let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
    let is_stray =
        |one: &SignalNumber| has_default_effect(*one) || super::thread_stack::asks_by(*one);
    WITHOUT_EFFECT.into_iter().chain(real_time).filter(is_stray)
}

/// `sigprocmask(2)`, `SIG_SETMASK` — gives a worker the mask that the program had, without
/// [`MANAGED`] and `own`; pending signals are delivered before this returns.
pub(crate) fn unblock_for_worker(own: Option<SignalNumber>) -> io::Result<()> {
    let mut mask = BLOCKED_BEFORE.get().unwrap_or_else(SigSet::empty);
    for signal in MANAGED {
        mask.remove(Signal::try_from(signal)?);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?;
    Ok(sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set_of(own.as_slice())), None)?)
}

/// `sigaction(2)` — gives these signals their default effect.
///
/// For `CHLD` this matters even if nobody changed it here: an ignored `CHLD` is inherited through
/// exec, and then the kernel reaps children itself and their exit status is lost.
pub(crate) fn restore_default(signals: &[SignalNumber]) -> io::Result<()> {
    install(signals, libc::SIG_DFL)
}

/// `sigaction(2)` — lets [`IGNORED_FROM_OUTSIDE`] and stray signals do nothing, by a handler that
/// does nothing.
///
/// Not `SIG_IGN`: an ignored signal stays ignored in programs that user code starts, a handler does
/// not (S24).
pub(crate) fn install_no_operation() -> io::Result<()> {
    let signals: Vec<_> = IGNORED_FROM_OUTSIDE.into_iter().chain(stray_signals()).collect();
    install(&signals, do_nothing as *const () as libc::sighandler_t)
}

/// `sigaction(2)` — lets TERM set a flag ([`termination_requested`]) and ring `bell`.
///
/// Takes a descriptor of its own and never closes it, so that the handler can never write to a
/// descriptor that meanwhile names something else. Call it once per process.
pub(crate) fn install_termination(bell: OwnedFd) -> io::Result<()> {
    TERMINATION_BELL.store(bell.into_raw_fd(), Ordering::Release);
    install(&[TERM], request_termination as *const () as libc::sighandler_t)
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
    /// `signalfd(2)` — makes a nonblocking descriptor for the signals that a [`Held`] keeps, closed
    /// on exec.
    ///
    /// It reads the signals of the process that reads, not of the one that made it: a child must
    /// close it.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { inner: NixSignalFd::with_flags(&set_of(&taken()), flags)? })
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

/// Not by nix's own means, because its signals end below the real-time ones.
pub(super) fn set_of(signals: &[SignalNumber]) -> SigSet {
    let mut set = *SigSet::empty().as_ref();
    for &signal in signals {
        // SAFETY: `set` is a valid set; a number that is no signal is refused and changes nothing.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    // SAFETY: `set` began as a valid empty set and was only added to.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// `sigaction(2)` — sets what these signals do.
fn install(signals: &[SignalNumber], handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: `sigaction` is a C struct of integers and a nullable function pointer, for which zero
    // bits are valid: no further signals are blocked in a handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    for &signal in signals {
        // SAFETY: `action` is valid; its handler is the default or one of the two functions below,
        // which are async-signal-safe.
        if unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// `sigaction(2)` — whether a signal has its default effect in this process.
pub(super) fn has_default_effect(signal: SignalNumber) -> bool {
    Disposition::of(signal).is_ok_and(|disposition| disposition.0.sa_sigaction == libc::SIG_DFL)
}

/// What a signal does in this process, to be put back.
#[derive(Clone, Copy)]
pub(crate) struct Disposition(libc::sigaction, SignalNumber);

impl Disposition {
    /// `sigaction(2)` — asks for it.
    pub(crate) fn of(signal: SignalNumber) -> io::Result<Self> {
        // SAFETY: `sigaction` is a C struct of integers and a nullable function pointer, for which
        // zero bits are valid.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: no new action is given, `action` is a valid struct that is filled.
        if unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(action, signal))
    }

    /// Whether it is ignored.
    pub(super) fn is_ignored(&self) -> bool {
        self.0.sa_sigaction == libc::SIG_IGN
    }

    /// Calls its handler as the kernel would. False: it has none. Async-signal-safe.
    ///
    /// # Safety
    ///
    /// In a handler of this signal that has `SA_SIGINFO`, with what it was given.
    pub(super) unsafe fn call(
        &self,
        signal: SignalNumber,
        info: *mut libc::siginfo_t,
        context: *mut libc::c_void,
    ) -> bool {
        type WithInfo = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        let handler = self.0.sa_sigaction;
        if matches!(handler, libc::SIG_DFL | libc::SIG_IGN) {
            return false;
        }
        if self.0.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: the program gave this address as such a handler.
            unsafe { std::mem::transmute::<usize, WithInfo>(handler)(signal, info, context) };
        } else {
            // SAFETY: the program gave this address as a handler of the plain kind.
            unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler)(signal) };
        }
        true
    }

    /// `sigaction(2)` — puts it back.
    pub(crate) fn restore(&self) -> io::Result<()> {
        // SAFETY: the action was this signal's own; its handler is code of this program, which is
        // never unloaded.
        if unsafe { libc::sigaction(self.1, &raw const self.0, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl std::fmt::Debug for Disposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Disposition").field(&name(self.1)).finish_non_exhaustive()
    }
}

static TERMINATION_REQUESTED: AtomicBool = AtomicBool::new(false);
/// Descriptor that the handler rings, -1 for none. Never closed once it is here.
static TERMINATION_BELL: AtomicI32 = AtomicI32::new(-1);

extern "C" fn do_nothing(_signal: libc::c_int) {}

extern "C" fn request_termination(_signal: libc::c_int) {
    TERMINATION_REQUESTED.store(true, Ordering::Release);
    let bell = TERMINATION_BELL.load(Ordering::Acquire);
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `write` and the location of `errno` are async-signal-safe; `bell` is open for ever or
    // -1 (then EBADF, which is what we want); `one` is 8 readable bytes. `errno` belongs to the
    // interrupted code and is put back.
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
        assert_eq!(name(libc::SIGRTMIN() + 3), "SIGRTMIN+3");
        assert_eq!(name(99), "signal 99");
    }

    #[test]
    fn a_blocked_signal_waits_for_the_descriptor() {
        process::in_forked_test(|| {
            let _held = Held::new().unwrap();
            let signals = SignalFd::new().unwrap();
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
            let _held = Held::new().unwrap();
            let bell = eventfd::create().unwrap();
            for signal in IGNORED_FROM_OUTSIDE {
                nix::sys::signal::raise(Signal::try_from(signal).unwrap()).unwrap();
            }
            nix::sys::signal::raise(Signal::SIGTERM).unwrap();
            install_no_operation().unwrap();
            install_termination(bell.try_clone().unwrap()).unwrap();
            assert!(!termination_requested());
            unblock_for_worker(None).unwrap();
            assert!(termination_requested());
            assert_eq!(eventfd::drain(&bell).unwrap(), 1);
        });
    }
    /// All signals that can be blocked: the kernel's, and those that the C library keeps for itself
    /// are no others.
    fn mask() -> Vec<SignalNumber> {
        let mut set = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut set)).unwrap();
        // SAFETY: a valid set is read.
        let contains = |signal: &i32| unsafe { libc::sigismember(set.as_ref(), *signal) == 1 };
        (1..=libc::SIGRTMAX()).filter(contains).collect()
    }

    fn send(signal: SignalNumber) {
        // SAFETY: sends a signal to this process, which is what the test is about.
        assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
    }

    #[test]
    fn signals_are_held_until_the_last_holder_is_gone() {
        process::in_forked_test(|| {
            let before = mask();
            let first = Held::new().unwrap();
            let held = mask();
            assert!(held.contains(&TERM) && held.contains(&libc::SIGALRM));
            assert!(held.contains(&libc::SIGRTMIN()) && !held.contains(&libc::SIGSEGV));
            let second = Held::new().unwrap();
            drop(first);
            assert_eq!(mask(), held);
            drop(second);
            assert_eq!(mask(), before);
        });
    }

    #[test]
    fn a_stray_signal_that_nobody_read_does_not_end_the_program_afterwards() {
        process::in_forked_test(|| {
            let held = Held::new().unwrap();
            for signal in [libc::SIGXFSZ, libc::SIGXFSZ, libc::SIGALRM, libc::SIGRTMIN()] {
                send(signal);
            }
            nix::sys::signal::raise(Signal::SIGXFSZ).unwrap();
            drop(held);
            assert!(!mask().contains(&libc::SIGXFSZ));
        });
    }

    #[test]
    fn what_the_program_catches_or_ignores_stays_its_own() {
        process::in_forked_test(|| {
            let handler = do_nothing as *const () as libc::sighandler_t;
            install(&[libc::SIGALRM], handler).unwrap();
            install(&[libc::SIGRTMAX()], libc::SIG_IGN).unwrap();
            let caught = Disposition::of(libc::SIGALRM).unwrap();
            let _held = Held::new().unwrap();
            for own in [libc::SIGALRM, libc::SIGRTMAX()] {
                assert!(!mask().contains(&own), "{}", name(own));
            }
            install_no_operation().unwrap();
            let ignored = Disposition::of(libc::SIGRTMAX()).unwrap();
            assert_eq!(ignored.0.sa_sigaction, libc::SIG_IGN);
            restore_default(&[libc::SIGALRM]).unwrap();
            assert!(has_default_effect(libc::SIGALRM));
            caught.restore().unwrap();
            assert!(!has_default_effect(libc::SIGALRM));
        });
    }

    #[test]
    fn every_signal_that_can_be_caught_and_is_no_fault_leaves_a_worker_alive() {
        process::in_forked_test(|| {
            let _held = Held::new().unwrap();
            install_no_operation().unwrap();
            install_termination(eventfd::create().unwrap()).unwrap();
            unblock_for_worker(None).unwrap();
            // These two stop a process that uses a terminal behind its back, as ever.
            for signal in taken().into_iter().filter(|signal| ![TTIN, TTOU].contains(signal)) {
                send(signal);
            }
        });
    }
}
