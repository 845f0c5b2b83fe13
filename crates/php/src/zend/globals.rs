//! What PHP keeps for the whole process.

use ext_php_rs::ffi::{
    _zend_executor_globals, ext_php_rs_executor_globals, random_globals, zend_object,
};

/// Not by `ExecutorGlobals::get`, whose lock would stay taken after a fatal error.
pub(super) fn executor() -> *mut _zend_executor_globals {
    // SAFETY: answers with the address of a static of PHP's.
    unsafe { ext_php_rs_executor_globals() }
}

/// The exception that is pending, or null.
pub(crate) fn exception() -> *mut zend_object {
    // SAFETY: the globals live as long as the process, and this is PHP's only thread.
    unsafe { (*executor()).exception }
}

/// Takes the exception that is pending, so that code of PHP can run; null when there is none.
pub(crate) fn take_exception() -> *mut zend_object {
    // SAFETY: as in `exception`.
    unsafe { std::mem::replace(&mut (*executor()).exception, std::ptr::null_mut()) }
}

/// Puts back what was taken.
pub(crate) fn put_exception(exception: *mut zend_object) {
    // SAFETY: as in `exception`.
    unsafe { (*executor()).exception = exception }
}

/// Whether the program has set a handler for exceptions that nobody catches.
pub(crate) fn has_exception_handler() -> bool {
    // SAFETY: as in `exception`. Type 0 is "undefined".
    unsafe { (*executor()).user_exception_handler.u1.type_info != 0 }
}

/// With which code the process ends.
pub(crate) fn exit_status() -> i32 {
    // SAFETY: as in `exception`.
    unsafe { (*executor()).exit_status }
}

/// Sets with which code the process ends.
pub(crate) fn set_exit_status(status: i32) {
    // SAFETY: as in `exception`.
    unsafe { (*executor()).exit_status = status }
}

/// The generators of random numbers are seeded anew at their next use: processes that were forked
/// from one that has used them would all get the same numbers.
pub(crate) fn forget_random_seeds() {
    // SAFETY: as in `exception`; the flags say that a seed is still to be found.
    unsafe {
        let random = &raw mut random_globals;
        (*random).mt19937_seeded = false;
        (*random).combined_lcg_seeded = false;
    }
}
