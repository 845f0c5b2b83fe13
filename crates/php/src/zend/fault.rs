//! What becomes of a process whose code has thrown, has called `exit`, or has met a fatal error.

use ext_php_rs::ffi::{
    E_ERROR, E_WARNING, zend_clear_exception, zend_exception_error, zend_is_unwind_exit,
    zend_user_exception_handler,
};

use ext_php_rs::types::ZendObject;

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

/// Looks after the call by which a process begins: what it has thrown is told by PHP, and is the
/// reason why the process cannot begin. Does not return after `exit`.
pub(crate) fn after_start() -> Result<(), String> {
    let exception = globals::take_exception();
    if exception.is_null() {
        return Ok(());
    }
    // SAFETY: it was pending, and its reference is this function's until it is put back.
    let reason = unsafe { (!zend_is_unwind_exit(exception)).then(|| describe(&*exception)) };
    globals::put_exception(exception);
    let Some(reason) = reason else {
        after_call(Uncaught::Ends);
        return Ok(());
    };
    tell(E_ERROR);
    globals::set_exit_status(EXIT_FATAL);
    Err(reason)
}

/// Class, message, file and line.
fn describe(exception: &ZendObject) -> String {
    let ask = |method| exception.try_call_method(method, Vec::new()).ok();
    let text = |method| ask(method).and_then(|value| value.string()).unwrap_or_default();
    let line = ask("getLine").and_then(|value| value.long()).unwrap_or(0);
    let class = exception.get_class_name().unwrap_or_default();
    format!("{class}: {} in {}:{line}", text("getMessage"), text("getFile"))
}

#[cold]
fn report(uncaught: Uncaught) {
    tell(if uncaught == Uncaught::Ends { E_ERROR } else { E_WARNING });
    if uncaught == Uncaught::Ends {
        process::end(EXIT_FATAL);
    }
}

/// Lets the program's handler have the exception, or prints it.
fn tell(severity: u32) {
    if globals::has_exception_handler() {
        // SAFETY: an exception is pending, and the program has a handler, which takes it.
        unsafe { zend_user_exception_handler() };
    }
    let left = globals::exception();
    if !left.is_null() {
        // SAFETY: it is pending; PHP prints and clears it, and does not bail out.
        unsafe { zend_exception_error(left, i32::try_from(severity).unwrap_or(1)) };
    }
}

/// The process has met a fatal error, and PHP has jumped to the outermost frame of ours.
pub(crate) fn after_bailout() -> ! {
    let status = globals::exit_status();
    process::end(if status == 0 { EXIT_FATAL } else { status })
}
