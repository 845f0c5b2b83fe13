//! Callbacks, the processes of a server, and what a program asks of its life.

use ext_php_rs::types::Zval;
use ostler::Reload;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::events::{self, PORT_EVENTS, SERVER_EVENTS};
use super::state::{Phase, ServerState, port_slot, slot};
use super::{port, running, server, stats, user};
use crate::errors::{self, code};
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::{Thrown, callable, object};

/// `Server::on(string $event_name, callable $callback): bool`
pub(super) fn on(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(2, 2)?;
    let server = server(call)?;
    let name = call.text_or("")?;
    if server.phase.get() != Phase::Ready {
        warning("server is running, unable to register event callback function");
        return call.returns_bool(false);
    }
    let done = if let Some(event) = events::find(&SERVER_EVENTS, &name) {
        put(server, event, call)
    } else if let Some(event) = events::find(&PORT_EVENTS, &name)
        && let Some((port, _)) = server.port(0)
    {
        port::put(port, event, call)
    } else {
        warning(&format!("unknown event types[{name}]"));
        false
    };
    call.returns_bool(done)
}

fn put(server: &ServerState, event: usize, call: &mut Call<'_>) -> bool {
    let Some(value) = call.value() else { return false };
    if !callable::is_callable(value) {
        warning("the callback cannot be called");
        return false;
    }
    server.slot(slot::EVENTS + event).set(value.shallow_clone());
    server.bind(event)
}

/// `Server::getCallback(string $event_name): callable|null`
pub(super) fn get_callback(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let server = server(call)?;
    let name = call.text_or("")?;
    let value = if let Some(event) = events::find(&SERVER_EVENTS, &name) {
        server.slot(slot::EVENTS + event).copy()
    } else if let Some(event) = events::find(&PORT_EVENTS, &name)
        && let Some((port, _)) = server.port(0)
    {
        // SAFETY: a port's properties are those of `port_slot`.
        unsafe { object::slot(port, port_slot::EVENTS + event) }.copy()
    } else {
        Zval::new()
    };
    *call.result() = value;
    Ok(())
}

/// `Server::getWorkerId(): int|false`
pub(super) fn worker_id(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    match server(call)?.worker_id() {
        Some(id) => call.returns_long(id),
        None => call.returns_bool(false),
    }
}

/// `Server::getManagerPid(): int`
pub(super) fn manager_pid(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let pid = server(call)?.slot(slot::MANAGER_PID).long().unwrap_or(0);
    call.returns_long(pid)
}

/// `Server::getMasterPid(): int`
pub(super) fn master_pid(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let pid = server(call)?.slot(slot::MASTER_PID).long().unwrap_or(0);
    call.returns_long(pid)
}

/// Asks the master for something by a signal.
fn ask_master(server: &ServerState, signal: Signal) -> bool {
    let process = server.process();
    let master = process.and_then(|process| process.master.as_ref());
    master.is_some_and(|master| pidfd_send_signal(master, signal).is_ok())
}

/// `Server::shutdown(): bool`
pub(super) fn shutdown(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let Some(server) = running(call)? else {
        errors::set(code::WRONG_OPERATION);
        return Ok(());
    };
    let done = ask_master(server, Signal::TERM);
    call.returns_bool(done)
}

/// `Server::reload(bool $only_reload_taskworker = false): bool`
pub(super) fn reload(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let only_tasks = call.bool_or(false)?;
    let Some(worker) = server.worker() else { return call.returns_bool(false) };
    // Whatever becomes of it: `onAfterReload` and the log tell.
    drop(worker.reload(if only_tasks { Reload::TaskWorkers } else { Reload::Workers }));
    call.returns_bool(true)
}

/// `Server::stop(int $workerId = -1, bool $waitEvent = false): bool`: a worker always leaves when
/// what it has in hand is done. Another one is asked by a signal, as by hand.
pub(super) fn stop(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let id = call.long_or(-1)?;
    call.bool_or(false)?;
    match (server.worker_id(), server.worker()) {
        (Some(own), Some(worker)) if id == -1 || id == own => {
            worker.leave();
            call.returns_bool(true)
        }
        _ if (0..user::first_id(server)).contains(&id) => {
            let done = ask_worker(server, id);
            call.returns_bool(done)
        }
        _ => {
            warning(&format!("invalid worker id[{id}]"));
            call.returns_bool(false)
        }
    }
}

/// Asks the worker of this number to leave; false when none has it now.
fn ask_worker(server: &ServerState, id: i64) -> bool {
    let pid = || stats::process_of(server, id).map(|process| process.pid);
    let opened = pid().and_then(|found| {
        let process = pidfd_open(Pid::from_raw(found)?, PidfdFlags::empty()).ok()?;
        Some((found, process))
    });
    // What was opened is that worker, if its number is still the worker's.
    opened.is_some_and(|(found, process)| {
        pid() == Some(found) && pidfd_send_signal(process, Signal::TERM).is_ok()
    })
}
