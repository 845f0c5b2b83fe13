//! Letting PHP stop between two instructions of the program to run something of ours.

use std::sync::atomic::{AtomicBool, Ordering};

use ext_php_rs::ffi::{
    zend_execute_data, zend_interrupt_function, zend_throw_unwind_exit as throw_unwind_exit,
};

use super::globals;

type Interrupt = unsafe extern "C" fn(*mut zend_execute_data);

/// What others run there, and what we do.
struct Chain {
    before: Option<Interrupt>,
    own: fn(),
}

static CHAIN: std::sync::OnceLock<Chain> = std::sync::OnceLock::new();

/// `own` runs whenever PHP was asked to stop, after what other extensions do then.
pub(crate) fn install(own: fn()) {
    // SAFETY: while the module starts, in PHP's only thread.
    unsafe {
        let before = zend_interrupt_function;
        if CHAIN.set(Chain { before, own }).is_ok() {
            zend_interrupt_function = Some(interrupted);
        }
    }
}

unsafe extern "C" fn interrupted(frame: *mut zend_execute_data) {
    let Some(chain) = CHAIN.get() else { return };
    if let Some(before) = chain.before {
        // SAFETY: as PHP calls this.
        unsafe { before(frame) };
    }
    if globals::exception().is_null() {
        (chain.own)();
    }
}

/// Asks PHP to stop at the next occasion. Async-signal-safe.
pub(crate) fn request() {
    // SAFETY: the globals are a static of PHP's, as long as the process lives; PHP itself reads
    // this flag as an atomic one.
    unsafe {
        let flag = &raw mut (*globals::executor()).vm_interrupt;
        (*flag.cast::<AtomicBool>()).store(true, Ordering::SeqCst);
    }
}

/// Whether PHP was asked to, and has not stopped yet.
pub(crate) fn is_requested() -> bool {
    // SAFETY: as in `request`.
    unsafe {
        let flag = &raw mut (*globals::executor()).vm_interrupt;
        (*flag.cast::<AtomicBool>()).load(Ordering::SeqCst)
    }
}

/// Lets the frames of the program be left as by `exit`.
pub(crate) fn throw_exit() {
    // SAFETY: within PHP's only thread, and nothing is thrown yet.
    unsafe { throw_unwind_exit() };
}
