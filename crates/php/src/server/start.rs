//! `start`: the server runs, and the call returns when it has ended.

use std::panic::AssertUnwindSafe;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::ZendHashTable;
use ext_php_rs::zend::try_catch;
use ostler::{Server, ServerBuilder};

use super::commands;
use super::companion::{self, PhpEvents};
use super::events::{PortEvent, ServerEvent};
use super::functions;
use super::handler::PhpHandler;
use super::options::{self, Engine, Problem};
use super::server;
use super::settings::complete;
use super::state::{Mode, Phase, PortState, ServerState, port_slot, slot};
use super::user;
use crate::errors;
use crate::zend::call::Call;
use crate::zend::fault::{self, Uncaught};
use crate::zend::message::{fatal, warning};
use crate::zend::value::Scalar;
use crate::zend::{Thrown, object, process};

/// `Server::start(): bool`
pub(super) fn start(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    let server = server(call)?;
    match server.phase.get() {
        Phase::Ready => {}
        Phase::Running => {
            warning("server is running, unable to execute Server::start()");
            return call.returns_bool(false);
        }
        Phase::Over => {
            warning("The server have been shutdown, please re-create the server object");
            return call.returns_bool(false);
        }
    }
    if let Some(text) = missing_callback(server) {
        fatal(text);
    }
    let ready = match prepare(server) {
        Ok(ready) => ready,
        Err(text) => {
            fatal(&text);
            return call.returns_bool(false);
        }
    };
    let ended = run(server, ready);
    server.phase.set(Phase::Over);
    server.living.end();
    if let Err(text) = ended {
        fatal(&text);
    }
    call.returns_bool(true)
}

/// Runs it until its end, in the master. Processes that are forked meanwhile never return from
/// here: their part of the end is in [`process`].
fn run(server: &ServerState, ready: Server) -> Result<(), String> {
    let state: *const ServerState = server;
    process::flush_output();
    server.phase.set(Phase::Running);
    let master = rustix::process::getpid().as_raw_nonzero().get();
    server.master.set(master);
    server.slot(slot::MASTER_PID).set_long(i64::from(master));
    // The one place to which PHP jumps when code of the program meets a fatal error. That leaves
    // frames of the engine behind, without their destructors, in a process that ends at once: for
    // everybody else it is one that died.
    let ran =
        try_catch(AssertUnwindSafe(|| ready.run(move |worker| PhpHandler::begin(state, worker))));
    match ran {
        Ok(result) => result.map_err(|error| format!("failed to start server. Error: {error}")),
        Err(ext_php_rs::zend::CatchError::Bailout) => fault::after_bailout(),
        Err(error) => Err(format!("the server has failed: {error}")),
    }
}

/// Which callback is missing.
fn missing_callback(server: &ServerState) -> Option<&'static str> {
    let task_workers = ["task_worker_num", "task_workers"].map(|name| setting(server, name));
    if task_workers.into_iter().flatten().any(|count| count > 0) && !server.has(ServerEvent::Task) {
        return Some("require 'onTask' callback");
    }
    let count = server.ports.borrow().len();
    (0..count).find_map(|number| {
        let (_, port) = server.port(number)?;
        let (event, text) = match port.kind.has_datagrams() {
            true => (PortEvent::Packet, "require onPacket callback"),
            false => (PortEvent::Receive, "require onReceive callback"),
        };
        (!server.port_has(number, event)).then_some(text)
    })
}

/// A number that the program has set, unless it is zero or false.
pub(super) fn setting(server: &ServerState, name: &str) -> Option<i64> {
    let settings = server.slot(slot::SETTING).array()?;
    let value = settings.get(name)?;
    let value = Scalar(value);
    value.is_true().then(|| value.long())
}

fn prepare(server: &ServerState) -> Result<Server, String> {
    let problem = |problem: Problem| problem.text;
    let settings = server.slot(slot::SETTING).array().unwrap_or_default();
    let coroutines = settings.get("enable_coroutine");
    let ends = coroutines.is_none_or(|on| Scalar(on).is_true());
    server.uncaught.set(if ends { Uncaught::Ends } else { Uncaught::IsTold });
    let begins = settings.get("start").and_then(|value| Scalar(value).text());
    if begins.is_some_and(|way| way == "exec") {
        return Err("workers of PHP programs are forks: start = exec is not for them".into());
    }
    let is_on = |name| settings.get(name).is_some_and(|value| Scalar(value).is_true());
    server.has_event_objects.set(is_on("event_object"));
    let of_tasks = ["event_object", "task_use_object", "task_object", "task_enable_coroutine"];
    server.has_task_objects.set(of_tasks.into_iter().any(is_on));
    if let Some(text) = options::unkept_queue(&settings) {
        warning(text);
    }
    if server.mode == Mode::Process {
        *server.dispatch.borrow_mut() = functions::of_settings(&settings, "dispatch_func")?;
    }
    let engine = options::translate(&settings, server.mode).map_err(problem)?;
    let count = |name| engine.said(name).and_then(|count| count.parse().ok());
    let workers = count("workers").unwrap_or_else(default_workers);
    // Who may be started later has a number already.
    server.event_workers.set(workers.max(count("workers_max").unwrap_or(0)));
    server.task_workers.set(count("task_workers").unwrap_or(0));
    tell_of_unheard_events(server, &engine);
    let mut builder = Server::builder()
        .set("mode", if server.mode == Mode::Base { "base" } else { "process" })
        .set("session_ids", "sequential")
        .set("connect_events", "true");
    // Otherwise every server of the machine would be called as the file of PHP is.
    if let Some(name) = process::program_name() {
        builder = builder.set("name", &name);
    }
    for (name, value) in engine.options(false) {
        builder = builder.set(name, value);
    }
    builder = add_ports(server, builder, &engine)?;
    builder = user::bodies(server).fold(builder, ServerBuilder::process);
    let has_events = companion::EVENTS.iter().any(|event| server.has(*event));
    if has_events || commands::want_companion(server) {
        let state: *const ServerState = server;
        builder = builder.companion(move |worker| PhpEvents::begin(state, worker));
    }
    let count = server.ports.borrow().len();
    let bound =
        builder.bind().map_err(|error| format!("failed to start server. Error: {error}"))?;
    (0..count).filter_map(|number| server.port(number)).for_each(|(_, port)| {
        port.placeholder.take();
    });
    fill_in(server, workers);
    Ok(bound)
}

/// The ports, the primary one first, each with its own settings or those of the server.
fn add_ports(
    server: &ServerState,
    mut builder: ServerBuilder,
    common: &Engine,
) -> Result<ServerBuilder, String> {
    let count = server.ports.borrow().len();
    let settings = server.slot(slot::SETTING).array().unwrap_or_default();
    let is_any_encrypted = server.any_port(|port| port.is_encrypted);
    for number in 0..count {
        let Some((object, port)) = server.port(number) else { continue };
        let own_settings = own_settings(object, port).filter(|_| number > 0);
        let own = own_settings.as_deref().map(|own| options::of_port(own, &settings, server.mode));
        let own = own.transpose().map_err(|problem| problem.text)?;
        let engine = own.as_ref().unwrap_or(common);
        let lengths = own_settings.as_deref().unwrap_or(&settings);
        *port.length.borrow_mut() = functions::of_settings(lengths, "package_length_func")?;
        let name = if number == 0 { "main".to_owned() } else { format!("port{number}") };
        let url = port.url();
        builder = builder.port(&name, &url, |port_builder| {
            // Where no port is encrypted, the engine tells that certificates have no effect.
            let may_be_encrypted = port.is_encrypted || !is_any_encrypted;
            let options =
                engine.options(true).filter(|(name, _)| port.takes(name, may_be_encrypted));
            options.fold(port_builder, |builder, (name, value)| builder.set(name, value))
        });
    }
    Ok(builder)
}

/// Event workers of the engine when nobody says how many.
fn default_workers() -> i64 {
    let cpus = std::thread::available_parallelism().map_or(1, |count| count.get().min(256));
    i64::try_from(cpus).unwrap_or(1)
}

/// Callbacks that are never called, because packages of a session go to any worker.
fn tell_of_unheard_events(server: &ServerState, engine: &Engine) {
    if engine.said("connect_events") != Some("false") {
        return;
    }
    let has = |event| (0..server.ports.borrow().len()).any(|port| server.port_has(port, event));
    let names = [(PortEvent::Connect, "onConnect"), (PortEvent::Close, "onClose")];
    let unheard: Vec<_> = names.into_iter().filter(|(event, _)| has(*event)).collect();
    if !unheard.is_empty() {
        let unheard = unheard.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" and ");
        let mode = setting(server, "dispatch_mode").unwrap_or(0);
        errors::set(errors::code::INVALID_CALLBACK);
        warning(&format!(
            "{unheard} cannot be called with dispatch_mode {mode}: set enable_unsafe_event"
        ));
    }
}

fn own_settings(
    object: *mut ext_php_rs::types::ZendObject,
    port: &PortState,
) -> Option<ZBox<ZendHashTable>> {
    // SAFETY: a port's properties are those of `port_slot`.
    let settings = unsafe { object::slot(object, port_slot::SETTING) };
    settings.array().filter(|_| port.has_own_settings.get())
}

/// What the program has not set is filled in with what is in force.
fn fill_in(server: &ServerState, workers: i64) {
    let setting = server.slot(slot::SETTING);
    complete(setting, "worker_num", workers);
    complete(setting, "task_worker_num", server.task_workers.get());
    complete(setting, "output_buffer_size", 2 << 20);
    complete(setting, "max_connection", 16_384);
    // A port without settings of its own has the server's, and shows them.
    let count = server.ports.borrow().len();
    for (object, port) in (0..count).filter_map(|number| server.port(number)) {
        // SAFETY: a port's properties are those of `port_slot`.
        let own = unsafe { object::slot(object, port_slot::SETTING) };
        if !port.has_own_settings.get()
            && own.array().is_none_or(|own| own.is_empty())
            && let Some(settings) = setting.array()
        {
            own.set_array(settings);
        }
    }
}
