//! Messages of one process of the server to another: `sendMessage`, `onPipeMessage`.

use ext_php_rs::types::Zval;
use ostler::{Message, ProcessSlot};

use super::events::ServerEvent;
use super::objects::Filled;
use super::state::ServerState;
use super::tasks::{decode, encode};
use super::{running, user};
use crate::errors::{self, code};
use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::value;

/// `Server::sendMessage(mixed $message, int $dst_worker_id): bool`
pub(super) fn send_message(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let Some(data) = call.value() else { return Err(Thrown) };
    let id = call.long()?;
    if !server.has(ServerEvent::PipeMessage) {
        warning("onPipeMessage is null, can't use sendMessage");
        return call.returns_bool(false);
    }
    if server.worker_id() == Some(id) {
        warning("can't send messages to self");
        return call.returns_bool(false);
    }
    let Some(to) = worker_of(server, id) else {
        warning(&format!("worker_id[{id}] is invalid"));
        return call.returns_bool(false);
    };
    let Some(worker) = server.worker() else {
        errors::set(code::WRONG_OPERATION);
        warning("only processes of the server can send messages");
        return call.returns_bool(false);
    };
    let bytes = encode(data).ok_or(Thrown)?;
    match worker.send_message(to, &bytes) {
        Ok(_) => call.returns_bool(true),
        Err(error) => {
            errors::set(if error.is_full() { code::QUEUE_FULL } else { code::INVALID_PARAMS });
            warning(&error.to_string());
            call.returns_bool(false)
        }
    }
}

/// The worker that a program knows by a number.
fn worker_of(server: &ServerState, id: i64) -> Option<ProcessSlot> {
    server.slot_of(id).filter(|slot| !matches!(slot, ProcessSlot::UserProcess(_)))
}

/// The number by which a program knows who has sent a message; -1 is nobody with a number.
fn id_of(server: &ServerState, sender: ProcessSlot) -> i64 {
    match sender {
        ProcessSlot::Worker(slot) => i64::from(slot),
        ProcessSlot::TaskWorker(slot) => server.event_workers.get() + i64::from(slot),
        ProcessSlot::UserProcess(slot) => user::first_id(server) + i64::from(slot),
        _ => -1,
    }
}

/// A message has come: `onPipeMessage`.
pub(super) fn on_message(server: &ServerState, message: &Message) {
    let source = id_of(server, message.sender());
    let this = value::object(server.object);
    let data: Zval = decode(message.as_bytes());
    if server.has_event_objects.get()
        && let Some(object) = Filled::new(|classes| classes.pipe_message)
    {
        let own = server.worker_id().unwrap_or(-1);
        let object = object.long(0, source).long(1, own).now(2).value(3, data);
        server.call(ServerEvent::PipeMessage, &mut [this, object.argument()]);
        return;
    }
    let data = std::mem::ManuallyDrop::new(data);
    let mut given = [this, value::long(source), data];
    server.call(ServerEvent::PipeMessage, &mut given);
    let [_, _, data] = given;
    drop(std::mem::ManuallyDrop::into_inner(data));
}
