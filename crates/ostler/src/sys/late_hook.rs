//! What an interpreter does when its request is late.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

/// See [`set_late_hook`]; 0 for none.
static HOOK: AtomicUsize = AtomicUsize::new(0);

/// Called when a request is late; see [`set_late_hook`].
pub type LateHook = fn();

/// Lets a function be called when the request that runs in this worker has passed
/// `request_soft_deadline_ms`, once, in the thread that runs it. An interpreter sets a flag there
/// that its loop looks at, so that also code without an end can be ended in order. Handlers in
/// Rust ask [`Session::is_late`](crate::Session::is_late) instead.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// static INTERRUPT: AtomicBool = AtomicBool::new(false);
///
/// // SAFETY: it stores to an atomic, and does nothing else.
/// unsafe { ostler::stack::set_late_hook(Some(|| INTERRUPT.store(true, Ordering::Relaxed))) };
/// ```
///
/// # Safety
///
/// `hook` runs in signal context, in the midst of whatever the worker's thread was doing. It must
/// be async-signal-safe: allocate nothing, take no lock, call nothing that does
/// (`signal-safety(7)`). It must not unwind.
pub unsafe fn set_late_hook(hook: Option<LateHook>) {
    HOOK.store(hook.map_or(0, |hook| hook as usize), Ordering::Release);
}

/// In the handler of the signal: calls the hook, if what was late is what runs.
pub(super) fn call(is_running: bool) {
    let hook = HOOK.load(Ordering::Acquire);
    if is_running && hook != 0 {
        // SAFETY: only `set_late_hook` stores here, and only function pointers of this type, whose
        // giver promises that they may be called here.
        unsafe { std::mem::transmute::<usize, LateHook>(hook)() };
    }
}
