//! What else than bytes goes to a client: files, pauses, bindings, and who the clients are.

use std::path::Path;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::ZendHashTable;
use ostler::{SendError, Session};

use super::running;
use super::sessions::{answer, no_sessions, session};
use super::state::{Mode, ProcessKind, ServerState};
use crate::errors::{self, code};
use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::message::warning;

/// Longest path that `sendfile` takes, bytes.
const PATH_BYTES_MAX: usize = 8_152;
/// Most sessions that `getClientList` answers with.
const LIST_MAX: i64 = 100;

/// A refused call: the code and a warning.
fn refuse(call: &mut Call<'_>, code: i64, text: &str) -> Result<(), Thrown> {
    errors::set(code);
    warning(text);
    call.returns_bool(false)
}

/// `Server::sendfile(int $conn_fd, string $filename, int $offset = 0, int $length = 0): bool`
pub(super) fn sendfile(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 4)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    let path = call.text_or("")?;
    let (offset, length) = (call.long_or(0)?, call.long_or(0)?);
    if path.len() > PATH_BYTES_MAX {
        return refuse(call, code::NAME_TOO_LONG, "the name of the file is too long");
    }
    let (Ok(offset), Ok(length)) = (u64::try_from(offset), u64::try_from(length)) else {
        return refuse(call, code::INVALID_PARAMS, "offset and length cannot be negative");
    };
    let Ok(file) = std::fs::metadata(Path::new(&path)) else {
        return refuse(call, code::SYSTEM_CALL_FAIL, &format!("stat({path}) failed"));
    };
    if !file.is_file() {
        return refuse(call, code::NOT_REGULAR_FILE, &format!("{path} is no regular file"));
    }
    if offset >= file.len() {
        return refuse(call, code::INVALID_PARAMS, "the offset is not less than the file's size");
    }
    if length > file.len() - offset {
        return refuse(call, code::INVALID_PARAMS, "the file has not so many bytes");
    }
    let Some(session) = session(server, number) else { return no_sessions(call) };
    answer(call, session.sendfile(&path, offset, Some(length).filter(|length| *length > 0)))
}

/// `Server::sendwait(int $conn_fd, string $send_data): bool`
pub(super) fn sendwait(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    let bytes = call.bytes()?.unwrap_or_default();
    if bytes.is_empty() {
        return refuse(call, code::NO_PAYLOAD, "data to send is empty");
    }
    if server.mode == Mode::Process {
        warning("can only be used in BASE mode");
        return call.returns_bool(false);
    }
    if server.process().is_some_and(|process| process.kind != ProcessKind::Event) {
        warning("can only be used in event workers");
        return call.returns_bool(false);
    }
    match session(server, number) {
        Some(session) => answer(call, session.send(bytes)),
        None => no_sessions(call),
    }
}

/// A call with a session and nothing else.
fn with_session(
    call: &mut Call<'_>,
    act: impl FnOnce(&Session) -> Result<(), SendError>,
) -> Result<(), Thrown> {
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    match session(server, number).filter(|session| session.info().is_some()) {
        Some(session) => answer(call, act(&session)),
        None => errors::refuse(call, code::SESSION_NOT_EXIST),
    }
}

/// `Server::pause(int $fd): bool`
pub(super) fn pause(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    with_session(call, Session::pause)
}

/// `Server::resume(int $fd): bool`, `Server::confirm(int $fd): bool`
pub(super) fn resume(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    with_session(call, Session::resume)
}

/// `Server::protect(int $fd, bool $is_protected = true): bool`
pub(super) fn protect(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    let on = call.bool_or(true)?;
    match session(server, number).filter(|session| session.info().is_some()) {
        Some(session) => answer(call, session.protect(on)),
        None => errors::refuse(call, code::SESSION_NOT_EXIST),
    }
}

/// `Server::bind(int $fd, int $uid): bool`
pub(super) fn bind(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let (number, user) = (call.long()?, call.long()?);
    // A negative number is one of 32 bits with a sign.
    let stored =
        u32::try_from(user).ok().or_else(|| i32::try_from(user).ok().map(i32::cast_unsigned));
    let Some(stored) = stored else {
        warning("uid can not be greater than 4294967295 or less than -2147483648");
        return call.returns_bool(false);
    };
    match session(server, number).filter(|session| session.info().is_some()) {
        Some(session) if server.user_of(&session).is_some() => call.returns_bool(false),
        Some(_) if stored == 0 => call.returns_bool(true),
        Some(session) => {
            let result = session.bind(stored);
            if result.is_ok() {
                server.bound.set(Some((session.id(), stored)));
            }
            answer(call, result)
        }
        None => errors::refuse(call, code::SESSION_NOT_EXIST),
    }
}

/// The sessions that this process sees, of one port or of all, in the order of their numbers.
pub(super) fn list(server: &ServerState, port: Option<u16>) -> Vec<i64> {
    let Some(worker) = server.worker() else { return Vec::new() };
    let all = worker.sessions().into_iter();
    let of_port = |session: &Session| match port {
        Some(wanted) => session.port().is_some_and(|port| port.id() == wanted),
        None => true,
    };
    let mut ids: Vec<i64> = all.filter(of_port).map(|session| session.id().cast_signed()).collect();
    ids.sort_unstable();
    ids
}

/// `Server::heartbeat(bool $ifCloseConnection = true): array|false`: who has been silent for too
/// long was closed when that time was over, so nobody is ever left.
pub(super) fn heartbeat(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let _closes = call.bool_or(true)?;
    let is_set = |name| super::start::setting(server, name).is_some();
    if !["heartbeat_check_interval", "heartbeat_idle_time"].into_iter().any(is_set) {
        return call.returns_bool(false);
    }
    call.result().set_hashtable(ZendHashTable::new());
    Ok(())
}

/// `Server::getClientList(int $start_fd = 0, int $find_count = 10): array|false`
pub(super) fn client_list(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let (start, count) = (call.long_or(0)?, call.long_or(10)?);
    if count > LIST_MAX {
        warning("[find_count] is too large");
        return call.returns_bool(false);
    }
    let all = list(server, None);
    if start > 0 && all.binary_search(&start).is_err() {
        return errors::refuse(call, code::SESSION_NOT_EXIST);
    }
    let count = usize::try_from(count).unwrap_or(0);
    let mut found: ZBox<ZendHashTable> = ZendHashTable::new();
    for session in all.into_iter().filter(|session| *session > start).take(count) {
        let _ = found.push(session);
    }
    call.result().set_hashtable(found);
    Ok(())
}
