//! Functions of PHP that wait for a time wait for all of it, also when the stack is captured meanwhile.
//!
//! A slow request is asked for its stack by a signal (decision 39), and the kernel resumes no `sleep`
//! behind one. Without this a program would sleep for less than it says as soon as somebody looks
//! for what is slow. Other signals end a wait as always: programs rely on that.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ext_php_rs::ffi::{ZEND_INTERNAL_FUNCTION, zend_function, zend_hash_str_find};
use ext_php_rs::types::Zval;
use rustix::thread::{Timespec, nanosleep};

use super::call::{Call, Handler, handler};
use super::value::Scalar;
use super::{Thrown, globals, interrupt};

/// How often the stack of this process was captured.
static CAPTURES: AtomicU32 = AtomicU32::new(0);

/// The stack is captured. Async-signal-safe.
pub(super) fn count_capture() {
    CAPTURES.fetch_add(1, Ordering::SeqCst);
}

/// A function that waits.
struct Nap {
    name: &'static str,
    own: Handler,
    /// PHP's own part of it, as a number; 0 until it is known.
    original: AtomicUsize,
}

static SLEEP: Nap = Nap::new("sleep", handler!(sleep));
static USLEEP: Nap = Nap::new("usleep", handler!(usleep));
static NANOSLEEP: Nap = Nap::new("time_nanosleep", handler!(time_nanosleep));

/// From now on they wait for all of their time, in this process and in those that it forks.
pub(super) fn make_whole() {
    for nap in [&SLEEP, &USLEEP, &NANOSLEEP] {
        nap.take_over();
    }
}

impl Nap {
    const fn new(name: &'static str, own: Handler) -> Self {
        Self { name, own, original: AtomicUsize::new(0) }
    }

    /// Puts ours in the place of PHP's own, which it calls; `disable_functions` may have left none.
    fn take_over(&self) {
        if self.original.load(Ordering::SeqCst) != 0 {
            return;
        }
        // SAFETY: PHP's table of functions, in its only thread; a name with its length. What stands
        // in it are functions, of which those of C have a handler.
        unsafe {
            let table = (*globals::executor()).function_table;
            let found = zend_hash_str_find(table, self.name.as_ptr().cast(), self.name.len());
            let Some(found) = found.as_ref() else { return };
            let function = found.value.ptr.cast::<zend_function>();
            if u32::from((*function).type_) != ZEND_INTERNAL_FUNCTION {
                return;
            }
            let place = &raw mut (*function).internal_function.handler;
            let Some(original) = *place else { return };
            self.original.store((original as *const ()).expose_provenance(), Ordering::SeqCst);
            *place = Some(self.own);
        }
    }

    /// PHP's own part, and then what a capture has left of the time; `None`: nothing more is to do.
    fn wait(
        &self,
        call: &mut Call<'_>,
        time: fn(&mut Call<'_>) -> Duration,
    ) -> Result<Option<Duration>, Thrown> {
        let began = Instant::now();
        let mut known = CAPTURES.load(Ordering::SeqCst);
        // SAFETY: only the handler of this very function was stored.
        unsafe { call.pass_to(self.original.load(Ordering::SeqCst))? };
        if CAPTURES.load(Ordering::SeqCst) == known {
            return Ok(None);
        }
        let Some(until) = began.checked_add(time(call)) else { return Ok(None) };
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let captures = CAPTURES.load(Ordering::SeqCst);
            // Whatever else has ended the wait is for the program to see.
            if left.is_zero() || captures == known || interrupt::is_requested() {
                return Ok(Some(left));
            }
            known = captures;
            let tv_sec = left.as_secs().try_into().unwrap_or(i64::MAX);
            let _ = nanosleep(&Timespec { tv_sec, tv_nsec: i64::from(left.subsec_nanos()) });
        }
    }
}

/// The next argument as a number that is not negative, which PHP has checked.
fn count(call: &mut Call<'_>) -> u64 {
    call.value().map_or(0, |value| u64::try_from(Scalar(value).long()).unwrap_or(0))
}

/// `sleep(int $seconds): int`
fn sleep(call: &mut Call<'_>) -> Result<(), Thrown> {
    match SLEEP.wait(call, |call| Duration::from_secs(count(call)))? {
        Some(left) => call.returns_long(rounded(left)),
        None => Ok(()),
    }
}

fn rounded(time: Duration) -> i64 {
    let seconds = time.saturating_add(Duration::from_millis(500)).as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// `usleep(int $microseconds): void`
fn usleep(call: &mut Call<'_>) -> Result<(), Thrown> {
    USLEEP.wait(call, |call| Duration::from_micros(count(call))).map(|_| ())
}

/// `time_nanosleep(int $seconds, int $nanoseconds): array|bool`
fn time_nanosleep(call: &mut Call<'_>) -> Result<(), Thrown> {
    let time = |call: &mut Call<'_>| {
        let seconds = Duration::from_secs(count(call));
        seconds.saturating_add(Duration::from_nanos(count(call)))
    };
    match NANOSLEEP.wait(call, time)? {
        // What PHP has put there is an array of what was left.
        Some(Duration::ZERO) => {
            drop(std::mem::replace(call.result(), Zval::new()));
            call.returns_bool(true)
        }
        _ => Ok(()),
    }
}
