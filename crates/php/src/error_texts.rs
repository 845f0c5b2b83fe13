//! What codes of errors mean: those of the reference, and those of the system.

use std::ffi::{CStr, c_char, c_int};

use crate::zend::Thrown;
use crate::zend::call::Call;

unsafe extern "C" {
    /// `netdb.h`, from which the crate of the C library leaves it out.
    fn hstrerror(code: c_int) -> *const c_char;
}

/// Whose code it is, `SWOOLE_STRERROR_*`; whatever else is the system's or the reference's.
mod kind {
    pub(super) const ADDRESS: i64 = 1;
    pub(super) const NAME_SERVER: i64 = 2;
}

/// Each code of `SWOOLE_ERROR_*`.
const TEXTS: &[(i64, &str)] = &[
    (501, "there is no memory"),
    (502, "a system call has failed"),
    (503, "PHP has met a fatal error"),
    (504, "the name is too long"),
    (505, "a parameter is invalid"),
    (506, "the queue is full"),
    (507, "the operation is not supported"),
    (508, "the peer breaks the protocol"),
    (509, "this process cannot do that"),
    (510, "PHP has met something that it warns of"),
    (550, "there is no data"),
    (600, "nothing says what that does"),
    (601, "threads cannot do that at once"),
    (700, "there is no such file"),
    (701, "the file is too large"),
    (702, "the file is empty"),
    (703, "there is no such directory"),
    (710, "the name is looked up already"),
    (711, "the name has no address"),
    (712, "the name was not looked up in time"),
    (713, "such names cannot be looked up"),
    (714, "there is nobody who knows names"),
    (720, "it is no address of IPv6"),
    (721, "nobody wants this signal"),
    (722, "it is no address of a host"),
    (723, "it is no number of a port"),
    (724, "it is no kind of socket"),
    (800, "the loop cannot forget the socket"),
    (801, "the loop cannot take the socket"),
    (802, "the loop cannot change what it waits for"),
    (803, "the loop was told of what it does not know"),
    (1001, "the server has closed the session"),
    (1002, "the client has closed the session"),
    (1003, "the session is closing"),
    (1004, "the session is closed"),
    (1005, "there is no such session"),
    (1006, "no session has such a number"),
    (1007, "what has come too late is thrown away"),
    (1008, "data of a closed session is thrown away"),
    (1009, "too much output waits for the client"),
    (1010, "whoever sends has to wait"),
    (1011, "TLS is not ready"),
    (1012, "with TLS files go another way"),
    (1013, "the peer has shown no certificate"),
    (1014, "the peer's certificate is not trusted"),
    (1015, "the client does not speak TLS"),
    (1016, "the peer breaks the protocol of TLS"),
    (1017, "the peer has reset the connection of TLS"),
    (1018, "TLS cannot begin"),
    (1019, "TLS cannot be set up"),
    (1020, "there is no memory for a session of TLS"),
    (1201, "the package is longer than package_max_length"),
    (1202, "the length of the package is not where it should be"),
    (1203, "the data is longer than output_buffer_size"),
    (1204, "the package is malformed"),
    (2001, "the task is too long"),
    (2002, "no task was taken"),
    (2003, "the task had no result in time"),
    (6001, "the socket is closed"),
    (6002, "nothing came in time"),
    (6003, "there is no such socket"),
    (9001, "the server has to be made before its clients"),
    (9002, "there are too many sockets"),
    (9003, "the worker has ended"),
    (9004, "the port cannot be listened on"),
    (9005, "there are too many ports"),
    (9006, "the pipe is full"),
    (9007, "no worker idles"),
    (9008, "a process has one server"),
    (9009, "the master cannot send"),
    (9010, "the request is invalid"),
    (9011, "the server cannot be reached"),
    (9012, "there is no such command"),
    (9013, "it is no regular file"),
    (9014, "no answer came in time"),
    (9015, "the callback is never called"),
    (9016, "the server belongs to another thread"),
    (9101, "the worker has not ended in time"),
    (9102, "a pipe has brought what nobody has begun"),
    (9103, "a worker has left data behind"),
];

/// `swoole_strerror(int $errno, int $error_type = 0): string`: of a code of ours, of the system, or
/// of one of its two resolvers of names.
pub(crate) fn text(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let number = call.long()?;
    let kind = call.long_or(0)?;
    let system = c_int::try_from(number).unwrap_or(0);
    let own = || TEXTS.iter().find(|(code, _)| *code == number).map(|(_, text)| *text);
    let text = match kind {
        // SAFETY: both take any number, and answer with a constant of the library.
        kind::ADDRESS => unsafe { owned(libc::gai_strerror(system)) },
        // SAFETY: as above.
        kind::NAME_SERVER => unsafe { owned(hstrerror(system)) },
        _ => own().map_or_else(|| of_system(system), str::to_owned),
    };
    let _ = call.result().set_string(&text, false);
    Ok(())
}

/// # Safety
/// It is null or a text that ends with a zero.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn of_system(number: c_int) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
