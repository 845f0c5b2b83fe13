//! What a program does with clients: send, close, ask.

use std::net::{IpAddr, SocketAddr};

use ostler::{SendError, Session};

use super::running;
use super::state::{ServerState, slot};
use crate::errors::{self, code};
use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::message::warning;

/// The session of this number, in a process that serves.
pub(super) fn session(server: &ServerState, number: i64) -> Option<Session> {
    let id = u64::try_from(number).ok().filter(|id| *id > 0)?;
    Some(server.worker()?.session(id))
}

/// What a call about a session returns.
pub(super) fn answer(call: &mut Call<'_>, result: Result<(), SendError>) -> Result<(), Thrown> {
    if let Err(error) = &result {
        errors::set(errors::of_send(error));
        if error.is_too_long() {
            warning("the data is longer than output_buffer_size");
        }
    }
    call.returns_bool(result.is_ok())
}

/// As [`answer`], for bytes, which are counted.
fn answer_sent(
    call: &mut Call<'_>,
    server: &ServerState,
    result: Result<(), SendError>,
) -> Result<(), Thrown> {
    if result.is_ok() {
        server.responses.set(server.responses.get() + 1);
    }
    answer(call, result)
}

/// `Server::send(int|string $fd, string $send_data, int $serverSocket = -1): bool`
pub(super) fn send(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 3)?;
    let Some(server) = running(call)? else { return Ok(()) };
    if let Some(path) = call.path() {
        let bytes = call.bytes()?.unwrap_or_default();
        let from = call.long_or(-1)?;
        return send_datagram(call, server, (&path, 0), (bytes, from));
    }
    let number = call.long()?;
    let bytes = call.bytes()?.unwrap_or_default();
    if number <= 0 {
        warning(&format!("invalid fd[{number}]"));
        return errors::refuse(call, code::SESSION_INVALID_ID);
    }
    if bytes.is_empty() {
        warning("data to send is empty");
        return errors::refuse(call, code::NO_PAYLOAD);
    }
    match session(server, number) {
        Some(session) => {
            let bytes = server.given.get().map_or(bytes, |given| given.own(bytes));
            answer_sent(call, server, session.send(bytes))
        }
        None => no_sessions(call),
    }
}

/// This process serves nobody.
pub(super) fn no_sessions(call: &mut Call<'_>) -> Result<(), Thrown> {
    errors::set(code::WRONG_OPERATION);
    warning("only processes that serve clients can do this");
    call.returns_bool(false)
}

/// `Server::sendto(string $ip, int $port, string $send_data, int $server_socket = -1): bool`
pub(super) fn sendto(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(3, 4)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let host = call.text_or("")?;
    let number = call.long()?;
    let bytes = call.bytes()?.unwrap_or_default();
    let from = call.long_or(-1)?;
    send_datagram(call, server, (&host, number), (bytes, from))
}

/// Sends a datagram to an address, by the port of this index or by the first that can.
fn send_datagram(
    call: &mut Call<'_>,
    server: &ServerState,
    (host, number): (&str, i64),
    (bytes, from): (&[u8], i64),
) -> Result<(), Thrown> {
    if bytes.is_empty() {
        warning("data to send is empty");
        return errors::refuse(call, code::NO_PAYLOAD);
    }
    let Some(worker) = server.worker() else { return no_sessions(call) };
    let peer = if host.starts_with('/') {
        ostler::PacketPeer::unix(host)
    } else {
        let number = u16::try_from(number).ok();
        let ip = host.parse::<IpAddr>().ok();
        ip.zip(number).map(|(ip, number)| SocketAddr::new(ip, number).into())
    };
    let Some(peer) = peer else {
        warning(&format!("invalid address [{host}:{number}]"));
        return call.returns_bool(false);
    };
    let Some(port) = datagram_port(server, host, from) else {
        warning("a port for such datagrams has to be listened on before the server starts");
        return call.returns_bool(false);
    };
    let result = worker.send_to(port, &peer, bytes);
    answer_sent(call, server, result)
}

/// The port by which datagrams go to an address of this form: the one that was asked for, or the
/// first.
fn datagram_port(server: &ServerState, host: &str, wanted: i64) -> Option<u16> {
    use super::sock_type::SockType;
    let kind = match host {
        _ if host.starts_with('/') => SockType::UnixDatagram,
        _ if host.contains(':') => SockType::Udp6,
        _ => SockType::Udp,
    };
    let count = server.ports.borrow().len();
    let fits = |number: &usize| server.port(*number).is_some_and(|(_, port)| port.kind == kind);
    let found = match usize::try_from(wanted) {
        Ok(wanted) => Some(wanted).filter(fits),
        Err(_) => (0..count).find(fits),
    };
    found.and_then(|number| u16::try_from(number).ok())
}

/// `Server::close(int $fd, bool $reset = false): bool`
pub(super) fn close(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    let reset = call.bool_or(false)?;
    let Some(session) = session(server, number) else {
        return errors::refuse(call, code::SESSION_NOT_EXIST);
    };
    if server.closing.get() == session.id() {
        return errors::refuse(call, code::SESSION_CLOSING);
    }
    let result = if reset { session.reset() } else { session.close() };
    answer(call, result)
}

/// `Server::exists(int $fd): bool`
pub(super) fn exists(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    let exists = session(server, number)
        .is_some_and(|session| server.closing.get() != session.id() && session.is_open());
    call.returns_bool(exists)
}

/// The number of the reactor that a callback is told.
pub(super) fn reactor_of(server: &ServerState, session: &Session) -> i64 {
    if server.slot(slot::MODE).long() == Some(1) {
        return server.worker().map_or(0, |worker| i64::from(worker.slot()));
    }
    session.info().map_or(0, |info| i64::try_from(info.reactor).unwrap_or(0))
}
