//! What a panic does to this process: master and manager abort after one log line, workers unwind.
//!
//! Half a master is worse than none (decision 3). The hook of the program is kept meanwhile,
//! because a worker inherits the memory of its manager and must get it back, and so must the
//! program when its server has ended.

use std::any::Any;
use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use super::capture;

/// Where in the source something happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The file, as the compiler was given it.
    pub(crate) file: &'static str,
    /// The line, from 1.
    pub(crate) line: u32,
}

thread_local! {
    /// Where this thread panicked last.
    static PLACE: Cell<Option<Place>> = const { Cell::new(None) };
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// The program's hook while ours is installed.
static KEPT: Mutex<Option<Hook>> = Mutex::new(None);

/// From now on a panic in any thread of this process logs one line and aborts.
pub(crate) fn abort_on_panic() {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.is_some() {
        return;
    }
    *kept = Some(std::panic::take_hook());
    std::panic::set_hook(Box::new(|info| {
        let place = place_of(info);
        let (file, line) = (place.map(|place| place.file), place.map(|place| place.line));
        let text = info.payload_as_str().unwrap_or("(no text)");
        tracing::error!(pid = std::process::id(), file, line, "panicked, aborting: {text}");
        std::process::abort();
    }));
}

/// What a panic says, for who reads it when this process is dead.
fn last_words(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("(no text)");
    info.location().map_or_else(|| text.to_owned(), |at| format!("{text} ({at})"))
}

fn place_of(info: &PanicHookInfo<'_>) -> Option<Place> {
    info.location().map(|at| Place { file: intern(at.file()), line: at.line() })
}

/// From now on a panic does what it did before [`abort_on_panic`], and is remembered by [`place`].
/// First thing in a worker; once.
pub(crate) fn unwind_on_panic() {
    // There is none in a program that is no fork of a manager.
    let hook = take_kept().unwrap_or_else(std::panic::take_hook);
    std::panic::set_hook(Box::new(move |info| {
        // Fails only while the thread ends.
        let _ = PLACE.try_with(|last| last.set(place_of(info)));
        capture::capture_last(&last_words(info));
        hook(info);
    }));
}

/// Gives the program its hook back, at the end of its server.
pub(crate) fn restore_hook() {
    if let Some(hook) = take_kept() {
        std::panic::set_hook(hook);
    }
}

fn take_kept() -> Option<Hook> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a caught panic said.
pub(crate) fn text_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)")
}

/// Where this thread panicked last. For who has caught the panic.
pub(crate) fn place() -> Option<Place> {
    PLACE.try_with(Cell::get).ok().flatten()
}

/// A panic ends the process, so that what is leaked here is one path.
fn intern(file: &str) -> &'static str {
    Box::leak(file.to_owned().into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd::PidFd;
    use crate::sys::poll;
    use crate::sys::process::{self, ExitBy, fork_child, in_forked_test};
    use ostler_core::supervisor::Exit;
    use std::os::fd::AsFd;

    fn end_of(child: impl FnOnce() -> i32) -> Exit {
        let pidfd = PidFd::open(fork_child(&[], ExitBy::Immediately, child).unwrap()).unwrap();
        poll::wait_readable([pidfd.as_fd()], None).unwrap();
        pidfd.try_reap().unwrap().unwrap()
    }

    #[test]
    fn a_manager_aborts_and_its_worker_unwinds() {
        in_forked_test(|| {
            process::forbid_dumping().unwrap();
            let aborted = end_of(|| {
                abort_on_panic();
                panic!("on purpose: half a manager");
            });
            assert_eq!(aborted, Exit::Signal { signal: libc::SIGABRT, core_dumped: false });
            let unwound = end_of(|| {
                abort_on_panic();
                unwind_on_panic();
                panic!("on purpose: a worker");
            });
            assert_eq!(unwound, Exit::Code(process::EXIT_PANIC));
        });
    }
}
