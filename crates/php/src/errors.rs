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

/// What a code of ours means.
const TEXTS: &[(i64, &str)] = &[
    (code::SYSTEM_CALL_FAIL, "a system call has failed"),
    (code::NAME_TOO_LONG, "the name is too long"),
    (code::INVALID_PARAMS, "a parameter is invalid"),
    (code::QUEUE_FULL, "the queue is full"),
    (code::NOT_SUPPORTED, "the operation is not supported"),
    (code::WRONG_OPERATION, "this process cannot do that"),
    (code::NO_PAYLOAD, "there is no data"),
    (code::SESSION_CLOSING, "the session is closing"),
    (code::SESSION_CLOSED, "the session is closed"),
    (code::SESSION_NOT_EXIST, "there is no such session"),
    (code::SESSION_INVALID_ID, "no session has such a number"),
    (code::OUTPUT_OVERFLOW, "too much output waits for the client"),
    (code::DATA_TOO_LARGE, "the data is longer than output_buffer_size"),
    (code::TASK_DISPATCH_FAIL, "no task was taken"),
    (code::TASK_TIMEOUT, "the task had no result in time"),
    (code::ONLY_START_ONE, "a process has one server"),
    (code::INVALID_COMMAND, "there is no such command"),
    (code::NOT_REGULAR_FILE, "it is no regular file"),
    (code::INVALID_CALLBACK, "the callback is never called"),
    (code::RESULT_TIMEOUT, "no answer came in time"),
];

/// `swoole_strerror(int $errno, int $error_type = 0): string`: of a code of ours, or of one of the
/// system.
pub(crate) fn text(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let number = call.long()?;
    call.long_or(0)?;
    let own = TEXTS.iter().find(|(code, _)| *code == number).map(|(_, text)| (*text).to_owned());
    let text = own.unwrap_or_else(|| {
        let number = i32::try_from(number).unwrap_or(0);
        let text = std::io::Error::from_raw_os_error(number).to_string();
        text.split(" (os error").next().unwrap_or_default().to_owned()
    });
    let _ = call.result().set_string(&text, false);
    Ok(())
}
