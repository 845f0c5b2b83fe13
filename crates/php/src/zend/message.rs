//! Messages of PHP: warnings, errors, exceptions.

use std::ffi::CString;

use ext_php_rs::ffi::{
    E_ERROR, E_USER_WARNING, E_WARNING, php_error_docref, zend_ce_error, zend_class_entry,
    zend_throw_exception_ex,
};

use super::Thrown;

/// A text as C has it; it ends at the first zero byte.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(text.get(..end).unwrap_or("")).unwrap_or_default()
}

fn docref(level: u32, text: &str) {
    let text = c_text(text);
    let level = i32::try_from(level).unwrap_or(0);
    // SAFETY: the format has one `%s`, and there is one argument, a string that ends with zero.
    unsafe { php_error_docref(std::ptr::null(), level, c"%s".as_ptr(), text.as_ptr()) };
}

/// `Warning: Ostler\Server::method(): text`. A handler of the program may throw.
pub(crate) fn warning(text: &str) {
    docref(E_WARNING, text);
}

/// The same as one of the program itself (`E_USER_WARNING`), which is what Swoole's library makes
/// of some.
pub(crate) fn user_warning(text: &str) {
    docref(E_USER_WARNING, text);
}

/// A fatal error: the process ends with code 255, and this never returns. `text` is not freed, as
/// nothing is that the callers hold.
pub(crate) fn fatal(text: &str) {
    docref(E_ERROR, text);
}

/// Throws an exception of this class.
pub(crate) fn throw(class: *mut zend_class_entry, code: i64, text: &str) -> Thrown {
    let text = c_text(text);
    // SAFETY: the class is one that can be thrown, or null for `Exception`; one `%s`, one string.
    unsafe { zend_throw_exception_ex(class, code, c"%s".as_ptr(), text.as_ptr()) };
    Thrown
}

/// Throws an `Error`, which PHP throws for what a program must not do.
pub(crate) fn throw_error(text: &str) -> Thrown {
    // SAFETY: PHP sets it when it starts and never again.
    throw(unsafe { zend_ce_error }, 0, text)
}
