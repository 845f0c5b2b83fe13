//! What is known of a client: `getClientInfo`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ext_php_rs::types::Zval;
use ostler::{Address, Peer, Session, Worker};

use super::sessions::session;
use super::state::ServerState;
use super::{running, server};
use crate::errors::{self, code};
use crate::zend::call::Call;
use crate::zend::value::Array;
use crate::zend::{Thrown, function};

/// Characters of a line of PEM.
const PEM_LINE_CHARS: usize = 64;
/// With fewer certificates it is not looked whose sessions are gone.
const LOOK_AT_LEAST: usize = 1_024;

/// `Server::getClientInfo(int $fd): array|false`
pub(super) fn client_info(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 3)?;
    server(call)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let number = call.long()?;
    answer_info(call, server, number)
}

/// What is known of a session, as a call's answer.
pub(super) fn answer_info(
    call: &mut Call<'_>,
    server: &ServerState,
    number: i64,
) -> Result<(), Thrown> {
    let Some(info) = session(server, number).and_then(|session| describe(server, &session)) else {
        return errors::refuse(call, code::SESSION_NOT_EXIST);
    };
    info.into(call.result());
    Ok(())
}

/// What is known of a session; nothing when it is gone.
fn describe(server: &ServerState, session: &Session) -> Option<Array> {
    let (info, port) = (session.info()?, session.port()?);
    let number = usize::from(port.id());
    let listening = match port.local_address() {
        Address::Ip(address) => i64::from(address.port()),
        _ => 0,
    };
    let kind = server.port(number).map_or(0, |(_, port)| port.kind as i64);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let connected = now.saturating_sub(info.connected_for);
    let (remote_ip, remote_port) = match info.peer {
        Peer::Ip(peer) => (peer.ip().to_canonical().to_string(), i64::from(peer.port())),
        _ => (String::new(), 0),
    };
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    // What has not happened yet is told as the connect.
    let at = |ago: Option<Duration>| now.saturating_sub(ago.unwrap_or(info.connected_for));
    let received = at(info.received_ago);
    let array = Array::new()
        .long("server_port", listening)
        .long("server_fd", i64::from(port.id()))
        .long("socket_fd", -1)
        .long("socket_type", kind)
        .long("remote_port", remote_port)
        .text("remote_ip", &remote_ip)
        .long("reactor_id", i64::try_from(info.reactor).unwrap_or(0))
        .long("connect_time", number(connected.as_secs()))
        .long("last_time", number(received.as_secs()))
        .float("last_recv_time", received.as_secs_f64())
        .float("last_send_time", at(info.sent_ago).as_secs_f64())
        .float("last_dispatch_time", at(info.given_ago).as_secs_f64())
        .long("close_errno", 0)
        .long("recv_queued_bytes", number(info.ungiven_bytes))
        .long("send_queued_bytes", number(info.unsent_bytes));
    let array = match server.user_of(session) {
        Some(user) => array.long("uid", i64::from(user)),
        None => array,
    };
    Some(match server.certificates.pem(session.id()) {
        Some(certificate) => array.text("ssl_client_cert", &certificate),
        None => array,
    })
}

/// The certificates that clients have shown, in the worker that was told of their connects.
#[derive(Default)]
pub(super) struct Certificates {
    /// As they were shown, by session.
    shown: RefCell<HashMap<u64, Vec<u8>>>,
    /// At so many it is looked who is gone.
    look_at: Cell<usize>,
}

impl Certificates {
    /// A client has connected.
    pub(super) fn keep(&self, worker: &Worker, session: &Session) {
        let Some(tls) = session.tls() else { return };
        let Some(certificate) = tls.client_certificate() else { return };
        let mut shown = self.shown.borrow_mut();
        // Another worker may be told of the ends of sessions.
        if shown.len() >= self.look_at.get() {
            shown.retain(|id, _| worker.session(*id).info().is_some());
            self.look_at.set(LOOK_AT_LEAST.max(shown.len() * 2));
        }
        shown.insert(session.id(), certificate.der().to_vec());
    }

    /// A session has ended.
    pub(super) fn forget(&self, session: u64) {
        self.shown.borrow_mut().remove(&session);
    }

    /// That of a session, in the form of PEM.
    fn pem(&self, session: u64) -> Option<String> {
        let mut der = Zval::new();
        der.set_binary(self.shown.borrow().get(&session)?.clone());
        let base64 = function::call("base64_encode", vec![der])?;
        let base64 = base64.str()?.as_bytes();
        let lines = base64.chunks(PEM_LINE_CHARS).map(String::from_utf8_lossy);
        let lines = lines.fold(String::new(), |all, line| all + &line + "\n");
        Some(format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"))
    }
}
