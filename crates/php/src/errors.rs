//! The codes of errors, as `getLastError` tells them.

use std::cell::Cell;

use ostler::SendError;

use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::message::warning;

thread_local! {
    static LAST: Cell<i64> = const { Cell::new(0) };
}

/// Their numbers are those of the reference.
pub(crate) mod code {
    pub(crate) const SYSTEM_CALL_FAIL: i64 = 502;
    pub(crate) const NAME_TOO_LONG: i64 = 504;
    pub(crate) const INVALID_PARAMS: i64 = 505;
    pub(crate) const QUEUE_FULL: i64 = 506;
    pub(crate) const NOT_SUPPORTED: i64 = 507;
    pub(crate) const WRONG_OPERATION: i64 = 509;
    pub(crate) const NO_PAYLOAD: i64 = 550;
    pub(crate) const SESSION_CLOSING: i64 = 1003;
    pub(crate) const SESSION_CLOSED: i64 = 1004;
    pub(crate) const SESSION_NOT_EXIST: i64 = 1005;
    pub(crate) const SESSION_INVALID_ID: i64 = 1006;
    pub(crate) const OUTPUT_OVERFLOW: i64 = 1009;
    pub(crate) const DATA_TOO_LARGE: i64 = 1203;
    pub(crate) const TASK_DISPATCH_FAIL: i64 = 2002;
    pub(crate) const TASK_TIMEOUT: i64 = 2003;
    pub(crate) const ONLY_START_ONE: i64 = 9008;
    pub(crate) const INVALID_COMMAND: i64 = 9012;
    pub(crate) const INVALID_CALLBACK: i64 = 9015;
    pub(crate) const RESULT_TIMEOUT: i64 = 9014;
    pub(crate) const NOT_REGULAR_FILE: i64 = 9013;
}

/// The last error stays until there is another one: success does not clear it.
pub(crate) fn set(code: i64) {
    LAST.set(code);
}

/// A call is refused for this reason: it answers false.
pub(crate) fn refuse(call: &mut Call<'_>, code: i64) -> Result<(), Thrown> {
    set(code);
    call.returns_bool(false)
}

/// The code of a send that was refused.
pub(crate) fn of_send(error: &SendError) -> i64 {
    if error.is_full() {
        code::OUTPUT_OVERFLOW
    } else if error.is_too_long() {
        code::DATA_TOO_LARGE
    } else if error.gone_because().is_some() {
        code::SESSION_CLOSED
    } else {
        code::SESSION_NOT_EXIST
    }
}

/// Warns that a call of the system has failed, in the form of the reference.
pub(crate) fn warn_of_failure(what: &str, error: impl Into<std::io::Error>) {
    warning(&format!("{what} failed, Error: {}", of_system(error)));
}

/// What has failed, as PHP programs are told: the text, and the number in brackets.
pub(crate) fn of_system(error: impl Into<std::io::Error>) -> String {
    let error: std::io::Error = error.into();
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{text}[{}]", error.raw_os_error().unwrap_or(0))
}

/// `Server::getLastError(): int`, `swoole_last_error(): int`
pub(crate) fn last_error(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    call.returns_long(LAST.get())
}

/// `swoole_clear_error(): void`
pub(crate) fn clear_error(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    LAST.set(0);
    Ok(())
}
