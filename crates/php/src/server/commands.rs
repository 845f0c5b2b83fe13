//! Commands: functions of the program that another process of the server calls by their names,
//! `addCommand`, `command`.
//!
//! They are the engine's commands. Functions for the master and the manager run in the companion,
//! as their events do (decision 44).

use std::time::Duration;

use ext_php_rs::types::Zval;
use ostler::{CommandError, ProcessSlot, Worker};

use super::state::{Phase, Process, ProcessKind, ServerState, slot};
use super::{running, server};
use crate::errors::{self, code};
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::value::{self, OwnString};
use crate::zend::{Thrown, callable, fault, function};

/// Bits of processes, `SWOOLE_SERVER_COMMAND_*`.
mod process {
    pub(super) const MASTER: i64 = 2;
    pub(super) const REACTOR_THREAD: i64 = 4;
    pub(super) const EVENT_WORKER: i64 = 8;
    pub(super) const TASK_WORKER: i64 = 16;
    pub(super) const MANAGER: i64 = 32;
    pub(super) const ALL: i64 = MASTER | EVENT_WORKER | TASK_WORKER | MANAGER;
}

/// Longest name, bytes: the engine's.
const NAME_BYTES_MAX: usize = 255;
/// So long is an answer waited for. The reference waits for ever, in a coroutine; here the process
/// does nothing else meanwhile.
const COMMAND_WAIT_MAX: Duration = Duration::from_secs(10);
/// What is answered in place of something that is no text.
const WRONG_RETURN_TYPE: &[u8] = br#"{"data":"wrong return type","code":-2}"#;

/// A command. Its function lies at the same place in the server's private list.
pub(super) struct Command {
    name: String,
    /// Bits of the processes that answer it.
    processes: i64,
}

/// `Server::addCommand(string $name, int $accepted_process_types, callable $callback): bool`
pub(super) fn add_command(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(3, 3)?;
    let server = server(call)?;
    let name = call.text_or("")?;
    let processes = call.long()?;
    let function = call.callable()?;
    if server.phase.get() != Phase::Ready {
        warning("server is running, unable to add command");
        return call.returns_bool(false);
    }
    let is_known = server.commands.borrow().iter().any(|command| command.name == name);
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len());
    let is_wrong = processes & process::ALL == 0 || processes & process::REACTOR_THREAD != 0;
    if is_known || is_wrong || !is_name {
        return errors::refuse(call, code::INVALID_PARAMS);
    }
    let place = server.slot(slot::COMMANDS);
    let mut list = place.array().unwrap_or_default();
    let _ = list.push(function);
    place.set_array(list);
    server.commands.borrow_mut().push(Command { name, processes });
    call.returns_bool(true)
}

/// Whether some command is for the master or the manager, in whose place the companion is.
pub(super) fn want_companion(server: &ServerState) -> bool {
    let mine = process::MASTER | process::MANAGER;
    server.commands.borrow().iter().any(|command| command.processes & mine != 0)
}

/// Lets others call what this process answers; `H` is its handler.
pub(super) fn offer<H: 'static>(server: *const ServerState, worker: &Worker, kind: ProcessKind) {
    // SAFETY: the frame of `start()`, in which all processes of a server live, keeps it alive.
    let state = unsafe { &*server };
    let own = match kind {
        ProcessKind::Event => process::EVENT_WORKER,
        ProcessKind::Task => process::TASK_WORKER,
        ProcessKind::Companion => process::MASTER | process::MANAGER,
        ProcessKind::User => 0,
    };
    for (at, command) in state.commands.borrow().iter().enumerate() {
        if command.processes & own == 0 {
            continue;
        }
        worker.add_command::<H>(&command.name, move |_, _, bytes| {
            // SAFETY: as above.
            Ok(run(unsafe { &*server }, at, bytes))
        });
    }
}

/// Calls the function of a command.
fn run(server: &ServerState, at: usize, bytes: &[u8]) -> Vec<u8> {
    let list = server.slot(slot::COMMANDS).array();
    let function = list.as_ref().and_then(|list| list.get_index(i64::try_from(at).ok()?));
    let Some(mut function) = function.map(Zval::shallow_clone) else { return Vec::new() };
    let data = OwnString::new(bytes);
    let mut given = [value::object(server.object), data.argument()];
    let answer = callable::call_for(&mut function, &mut given);
    fault::after_call(server.uncaught.get());
    answer.zend_str().map_or(WRONG_RETURN_TYPE, |text| text.as_bytes()).to_vec()
}

/// `Server::command(string $name, int $process_id, int $process_type, mixed $data,
/// bool $json_decode = true): mixed`
pub(super) fn command(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(4, 5)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let name = call.text_or("")?;
    let (id, kind) = (call.long()?, call.long()?);
    let Some(data) = call.value() else { return Err(Thrown) };
    let is_decoded = call.bool_or(true)?;
    let Ok(id) = u32::try_from(id) else {
        warning(&format!("the process_id[{id}] is out of range"));
        return call.returns_bool(false);
    };
    let found = server.commands.borrow().iter().position(|command| command.name == name);
    let Some(at) = found else { return errors::refuse(call, code::INVALID_COMMAND) };
    let answers = server.commands.borrow().get(at).map_or(0, |command| command.processes);
    let Some(to) = addressee(kind, id).filter(|_| answers & kind != 0) else {
        return errors::refuse(call, code::NOT_SUPPORTED);
    };
    let Some(process) = server.process() else {
        return errors::refuse(call, code::WRONG_OPERATION);
    };
    let data = function::call("json_encode", vec![data.shallow_clone()]).ok_or(Thrown)?;
    let Some(data) = data.zend_str() else { return errors::refuse(call, code::INVALID_PARAMS) };
    let answer = match is_own(process, to) {
        true => Ok(run(server, at, data.as_bytes())),
        false => process.worker.call(to, &name, data.as_bytes()).wait(COMMAND_WAIT_MAX),
    };
    match answer {
        Ok(bytes) => give(call, &bytes, is_decoded),
        Err(error) => failed(call, &error),
    }
}

fn failed(call: &mut Call<'_>, error: &CommandError) -> Result<(), Thrown> {
    warning(&error.to_string());
    errors::refuse(
        call,
        if error.is_timed_out() { code::RESULT_TIMEOUT } else { code::INVALID_PARAMS },
    )
}

/// What a command has answered, as text or as what its text says.
fn give(call: &mut Call<'_>, bytes: &[u8], is_decoded: bool) -> Result<(), Thrown> {
    let mut text = Zval::new();
    text.set_binary(bytes.to_vec());
    if is_decoded {
        let mut to_arrays = Zval::new();
        to_arrays.set_bool(true);
        text = function::call("json_decode", vec![text, to_arrays]).ok_or(Thrown)?;
    }
    *call.result() = text;
    Ok(())
}

/// The process that a program knows by its kind and its number among those.
fn addressee(kind: i64, id: u32) -> Option<ProcessSlot> {
    let slot = u16::try_from(id).ok()?;
    match kind {
        process::EVENT_WORKER => Some(ProcessSlot::Worker(slot)),
        process::TASK_WORKER => Some(ProcessSlot::TaskWorker(slot)),
        process::MASTER | process::MANAGER => Some(ProcessSlot::Companion),
        _ => None,
    }
}

fn is_own(process: &Process, to: ProcessSlot) -> bool {
    let slot = process.worker.slot();
    match to {
        ProcessSlot::Worker(it) => process.kind == ProcessKind::Event && it == slot,
        ProcessSlot::TaskWorker(it) => process.kind == ProcessKind::Task && it == slot,
        ProcessSlot::Companion => process.kind == ProcessKind::Companion,
        _ => false,
    }
}
