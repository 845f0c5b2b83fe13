//! What becomes of a process whose code has thrown, has called `exit`, or has met a fatal error.

use ext_php_rs::ffi::{
    E_ERROR, E_WARNING, zend_clear_exception, zend_exception_error, zend_is_unwind_exit,
    zend_user_exception_handler,
};

use super::{globals, process};

/// The code of a script that did not end well.
const EXIT_FATAL: i32 = 255;

/// What an uncaught exception does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uncaught {
    /// As it ends any script: with code 255.
    Ends,
    /// It is printed, and the process goes on.
    IsTold,
}

/// Looks after a call of the program's code. Does not return when that has ended the process.
pub(crate) fn after_call(uncaught: Uncaught) {
    let exception = globals::exception();
    if exception.is_null() {
        return;
    }
    // SAFETY: the pending exception.
    if unsafe { zend_is_unwind_exit(exception) } {
        // SAFETY: PHP has unwound the frames of the callback; what is left is the marker.
        unsafe { zend_clear_exception() };
        process::end(globals::exit_status());
    }
    report(uncaught);
}

#[cold]
fn report(uncaught: Uncaught) {
    if globals::has_exception_handler() {
        // SAFETY: an exception is pending, and the program has a handler, which takes it.
        unsafe { zend_user_exception_handler() };
    }
    let left = globals::exception();
    if !left.is_null() {
        let severity = if uncaught == Uncaught::Ends { E_ERROR } else { E_WARNING };
        // SAFETY: it is pending; PHP prints and clears it, and does not bail out.
        unsafe { zend_exception_error(left, i32::try_from(severity).unwrap_or(1)) };
    }
    if uncaught == Uncaught::Ends {
        process::end(EXIT_FATAL);
    }
}

/// The process has met a fatal error, and PHP has jumped to the outermost frame of ours.
pub(crate) fn after_bailout() -> ! {
    let status = globals::exit_status();
    process::end(if status == 0 { EXIT_FATAL } else { status })
}
