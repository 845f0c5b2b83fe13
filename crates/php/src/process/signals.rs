//! `Process::signal`: callbacks of a program for signals.
//!
//! The handler of a signal only notes it. The callback runs between two instructions of the
//! program, or, when a process of a server waits in its loop, there: a thread that reads a bell
//! wakes the loop.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use ext_php_rs::types::Zval;
use rustix::event::{EventfdFlags, eventfd};

use crate::server::{Ticker, current, uncaught};
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::{Thrown, callable, fault, globals, interrupt, process, value};

/// One more than the highest number of a signal.
const COUNT: usize = 65;
/// How a process ends that is told to leave and has no callback for that.
const EXIT_LEFT: i32 = 0;

static ARRIVED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];
/// What the handler rings; -1: nobody waits in a loop.
static BELL: AtomicI32 = AtomicI32::new(-1);

thread_local! {
    /// By number of signal. Never dropped by itself, as the timers are not.
    static CALLBACKS: RefCell<ManuallyDrop<BTreeMap<i32, Zval>>> =
        const { RefCell::new(ManuallyDrop::new(BTreeMap::new())) };
    /// Whether TERM ends this process when the program has no callback for it.
    static LEAVES_BY_TERM: Cell<bool> = const { Cell::new(false) };
}

/// Notes a signal. Only calls that are safe at any instruction.
extern "C" fn caught(signal: libc::c_int) {
    if let Some(arrived) = usize::try_from(signal).ok().and_then(|number| ARRIVED.get(number)) {
        arrived.store(true, Ordering::SeqCst);
    }
    interrupt::request();
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `write` and the place of `errno` are safe in a handler; the descriptor is open as
    // long as the process lives, or -1, which is refused. `errno` belongs to who was interrupted.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        libc::write(BELL.load(Ordering::SeqCst), one.as_ptr().cast(), one.len());
        *errno = saved;
    }
}

/// `sigaction(2)`: what a signal does. Calls that wait are interrupted by it.
fn set_action(signal: i32, action: libc::sighandler_t) -> std::io::Result<()> {
    // SAFETY: a struct of numbers and a pointer that may be null, for which zero bits are valid.
    let mut new: libc::sigaction = unsafe { std::mem::zeroed() };
    new.sa_sigaction = action;
    // SAFETY: the action is valid: default, ignored, or the handler above.
    match unsafe { libc::sigaction(signal, &raw const new, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn handler() -> libc::sighandler_t {
    caught as extern "C" fn(libc::c_int) as *const () as libc::sighandler_t
}

/// A process has been forked, by whomever: nothing has arrived here, and the thread at the bell is
/// its maker's.
pub(crate) fn begin() {
    BELL.store(-1, Ordering::SeqCst);
    for arrived in &ARRIVED {
        arrived.store(false, Ordering::SeqCst);
    }
    LEAVES_BY_TERM.set(false);
}

/// The callbacks of the maker are not those of this process.
pub(super) fn forget_callbacks() {
    let callbacks = CALLBACKS.with_borrow_mut(|all| std::mem::take(&mut **all));
    for signal in callbacks.keys() {
        let _ = set_action(*signal, libc::SIG_DFL);
    }
}

/// The request ends: what is held of PHP's goes, while PHP's memory is there.
pub(crate) fn forget_all() {
    drop(CALLBACKS.with_borrow_mut(|all| std::mem::take(&mut **all)));
}

/// TERM ends this process of a server, unless the program has a callback for it.
pub(crate) fn leave_by_term() {
    LEAVES_BY_TERM.set(true);
    let _ = set_action(libc::SIGTERM, handler());
}

/// Whether the engine has its own handler for a signal in this process.
fn is_engines(signal: i32) -> bool {
    let Some(server) = current().filter(|server| server.process().is_some()) else {
        return false;
    };
    !server.is_user_process() && matches!(signal, libc::SIGTERM | libc::SIGTTIN | libc::SIGTTOU)
}

/// `Process::signal(int $signal_no, ?callable $callback = null): bool`
pub(super) fn signal(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let number = call.long()?;
    let callback = call.value().filter(|value| !value.is_null());
    let Some(signal) = i32::try_from(number).ok().filter(|it| (1..COUNT as i32).contains(it))
    else {
        warning(&format!("invalid signal number [{number}]"));
        return call.returns_bool(false);
    };
    if is_engines(signal) {
        warning(&format!("signal [{signal}] processor has been registered by the system"));
        return call.returns_bool(false);
    }
    let done = match callback {
        None => forget(signal),
        Some(value) if value.long() == Some(libc::SIG_IGN as i64) => {
            drop(take(signal));
            act(signal, libc::SIG_IGN)
        }
        Some(value) => match callable::is_callable(value) {
            true => remember(signal, value.shallow_clone()),
            false => {
                warning("the callback cannot be called");
                false
            }
        },
    };
    call.returns_bool(done)
}

fn take(signal: i32) -> Option<Zval> {
    CALLBACKS.with_borrow_mut(|all| all.remove(&signal))
}

fn act(signal: i32, action: libc::sighandler_t) -> bool {
    let Err(error) = set_action(signal, action) else { return true };
    let error = crate::errors::of_system(error);
    warning(&format!("unable to set signal [{signal}], Error: {error}"));
    false
}

fn forget(signal: i32) -> bool {
    let Some(callback) = take(signal) else {
        warning(&format!("unable to find the callback of signal [{signal}]"));
        return false;
    };
    drop(callback);
    let ends = signal == libc::SIGTERM && LEAVES_BY_TERM.get();
    act(signal, if ends { handler() } else { libc::SIG_DFL })
}

fn remember(signal: i32, callback: Zval) -> bool {
    // Before the handler: what arrives at once finds its callback.
    let before = CALLBACKS.with_borrow_mut(|all| all.insert(signal, callback));
    drop(before);
    if !act(signal, handler()) {
        drop(take(signal));
        return false;
    }
    watch_bell();
    true
}

/// Lets a loop of the engine hear of signals, in a process that has one.
fn watch_bell() {
    if BELL.load(Ordering::SeqCst) >= 0 {
        return;
    }
    let Some(ticker) = current().and_then(Ticker::of) else { return };
    let Ok(bell) = eventfd(0, EventfdFlags::CLOEXEC) else { return };
    // Two descriptors: the thread's is closed when the thread ends, the handler's never is.
    let Ok(own) = bell.try_clone() else { return };
    let post = ticker.poster(in_loop);
    // Signals are the main thread's: calls that it waits in are to be interrupted.
    let before = block_all();
    let watcher = std::thread::Builder::new().name("signals".to_owned());
    let started = watcher.spawn(move || watch(&own, &post));
    restore_mask(&before);
    if started.is_ok() {
        BELL.store(bell.into_raw_fd(), Ordering::SeqCst);
    }
}

/// The thread: never comes near PHP.
fn watch(bell: &OwnedFd, post: &dyn Fn() -> bool) {
    let mut count = [0; 8];
    loop {
        match rustix::io::read(bell, &mut count) {
            Ok(_) if !post() => return,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                eprintln!("ostler: descriptor {} cannot be read: {error}", bell.as_raw_fd());
                return;
            }
        }
    }
}

fn block_all() -> libc::sigset_t {
    // SAFETY: sets of signals are numbers, for which zero bits are valid; both live.
    unsafe {
        let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_mask(before: &libc::sigset_t) {
    // SAFETY: a set that the kernel has filled.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
}

/// Between two instructions of the program: what a callback throws is the program's there.
pub(crate) fn between_instructions() {
    if deliver(|| {}) {
        globals::set_exit_status(EXIT_LEFT);
        interrupt::throw_exit();
    }
}

/// In the loop of a process, where no code of the program runs.
fn in_loop() {
    if deliver(|| fault::after_call(uncaught())) {
        process::end(EXIT_LEFT);
    }
}

/// Calls the callbacks of what has arrived; true: the process is to end.
fn deliver(after: impl Fn()) -> bool {
    let mut ends = false;
    for (number, arrived) in (0..).zip(&ARRIVED) {
        if !arrived.load(Ordering::SeqCst) || !arrived.swap(false, Ordering::SeqCst) {
            continue;
        }
        let found = CALLBACKS.with_borrow(|all| all.get(&number).map(Zval::shallow_clone));
        let Some(mut callback) = found else {
            ends |= number == libc::SIGTERM && LEAVES_BY_TERM.get();
            continue;
        };
        callable::call_value(&mut callback, &mut [value::long(i64::from(number))]);
        drop(callback);
        after();
        if !globals::exception().is_null() {
            break;
        }
    }
    ends && globals::exception().is_null()
}
