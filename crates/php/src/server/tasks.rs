//! Tasks: work that is given to task workers, and its results.
//!
//! What goes from process to process is a byte of [`flag`]s, and then the bytes of a string, or a
//! value as `serialize` writes it.

use std::time::Duration;

use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendHashTable, Zval};
use ostler::{Task, TaskError, TaskResult, Worker};

use super::events::ServerEvent;
use super::handler::PhpHandler;
use super::objects::{Filled, TASK_ID};
use super::running;
use super::state::{ProcessKind, ServerState};
use crate::errors::{self, code};
use crate::zend::call::Call;
use crate::zend::message::warning;
use crate::zend::value;
use crate::zend::{Thrown, callable, fault, function, globals, object};

/// What a task is, `SWOOLE_TASK_*`.
mod flag {
    pub(super) const SERIALIZED: u8 = 2;
    pub(super) const NON_BLOCKING: u8 = 4;
    pub(super) const CALLBACK: u8 = 8;
    pub(super) const WAIT_ALL: u8 = 16;
    pub(super) const COROUTINE: u8 = 32;
    /// Nobody takes its results.
    pub(super) const NO_REPLY: u8 = 128;
}

/// Most tasks of one `taskWaitMulti`.
const MULTI_MAX: usize = 1_024;

/// A value as it is sent. Nothing: it cannot be serialised, and an exception says why.
pub(super) fn encode(value: &Zval) -> Option<Vec<u8>> {
    encode_behind(&[], 0, value)
}

/// The same behind something else.
fn encode_behind(head: &[u8], flags: u8, value: &Zval) -> Option<Vec<u8>> {
    if let Some(string) = value.zend_str() {
        return Some([head, &[flags], string.as_bytes()].concat());
    }
    let text = function::call("serialize", vec![value.shallow_clone()])?;
    Some([head, &[flags | flag::SERIALIZED], text.zend_str()?.as_bytes()].concat())
}

/// The flags of what [`encode_behind`] has made.
fn flags_of(bytes: &[u8]) -> u8 {
    bytes.first().copied().unwrap_or(0)
}

/// A result, with the number of the worker that sends it in front.
fn encode_result(server: &ServerState, value: &Zval) -> Option<Vec<u8>> {
    let id = server.worker_id().unwrap_or(-1);
    encode_behind(&id.to_le_bytes(), 0, value)
}

/// Who has sent a result, and what.
fn decode_result(bytes: &[u8]) -> (i64, Zval) {
    match bytes.split_first_chunk() {
        Some((id, rest)) => (i64::from_le_bytes(*id), decode(rest)),
        None => (-1, Zval::new()),
    }
}

/// What was sent.
pub(super) fn decode(bytes: &[u8]) -> Zval {
    let Some((flags, rest)) = bytes.split_first() else { return Zval::new() };
    let mut value = Zval::new();
    value.set_binary(rest.to_vec());
    if flags & flag::SERIALIZED == 0 {
        return value;
    }
    function::call("unserialize", vec![value]).unwrap_or_default()
}

/// Who asks, if it is a process that may; nothing, with a warning, elsewhere.
fn asker<'a>(
    server: &'a ServerState,
    may_ask: impl Fn(ProcessKind) -> bool,
    refusal: &str,
) -> Option<&'a Worker> {
    let process = server.process()?;
    if !may_ask(process.kind) {
        warning(refusal);
        return None;
    }
    if server.task_workers.get() == 0 {
        warning("task method cannot be executed without task worker");
        return None;
    }
    Some(&process.worker)
}

/// The event worker that asks and waits.
fn waiter(server: &ServerState) -> Option<&Worker> {
    let refusal = "tasks can be waited for in event workers only";
    asker(server, |kind| kind == ProcessKind::Event, refusal)
}

fn refused(call: &mut Call<'_>, error: &TaskError) -> Result<(), Thrown> {
    errors::set(if error.is_full() { code::QUEUE_FULL } else { code::INVALID_PARAMS });
    warning(&error.to_string());
    call.returns_bool(false)
}

/// The slot that a program names; -1 is any.
fn slot_of(number: i64) -> Result<Option<u16>, ()> {
    if number == -1 { Ok(None) } else { u16::try_from(number).map(Some).map_err(|_| ()) }
}

/// `Server::task(mixed $data, int $taskWorkerIndex = -1, ?callable $finishCallback = null)`
pub(super) fn task(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 3)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let Some(data) = call.value() else { return Err(Thrown) };
    let to = slot_of(call.long_or(-1)?);
    let callback = call.value().filter(|value| !value.is_null()).map(|value| value.shallow_clone());
    let refusal = "a task worker cannot ask for tasks";
    let Some(worker) = asker(server, |kind| kind != ProcessKind::Task, refusal) else {
        return call.returns_bool(false);
    };
    let Ok(to) = to else {
        warning("the index of the task worker is invalid");
        return call.returns_bool(false);
    };
    let hears = server.process().is_some_and(|process| process.kind == ProcessKind::Event);
    let flags = flag::NON_BLOCKING
        | match (hears, &callback) {
            (false, _) => flag::NO_REPLY,
            (true, Some(_)) => flag::CALLBACK,
            (true, None) => 0,
        };
    let bytes = encode_behind(&[], flags, data).ok_or(Thrown)?;
    let request = worker.task(&bytes);
    let request = match to {
        Some(slot) => request.to(slot),
        None => request,
    };
    let asked = match callback {
        _ if !hears => request.send(),
        Some(mut callback) => request.then::<PhpHandler>(move |_, _, result| {
            finished(&mut callback, result);
            Ok(())
        }),
        None if server.has(ServerEvent::Finish) => request.report(),
        None => request.send(),
    };
    match asked {
        Ok(number) => call.returns_long(number.cast_signed()),
        Err(error) => refused(call, &error),
    }
}

/// The result of a task that had a callback of its own.
fn finished(callback: &mut Zval, result: &TaskResult) {
    let (Some(server), Ok(bytes)) = (super::current(), result.bytes()) else { return };
    let data = std::mem::ManuallyDrop::new(decode_result(bytes).1);
    let number = value::id(result.task());
    let mut given = [value::object(server.object), number, data];
    callable::call_value(callback, &mut given);
    let [_, _, data] = given;
    drop(std::mem::ManuallyDrop::into_inner(data));
    fault::after_call(server.uncaught.get());
}

/// The result of a task: `onFinish`. That there is none, because the task has failed or returned
/// nothing, is told to nobody, as in the reference.
pub(super) fn on_finish(server: &ServerState, result: &TaskResult) {
    let Ok(bytes) = result.bytes() else { return };
    let (source, data) = decode_result(bytes);
    if server.has_event_objects.get() {
        return on_finish_object(server, result, source, data);
    }
    let data = std::mem::ManuallyDrop::new(data);
    let mut given = [value::object(server.object), value::id(result.task()), data];
    server.call(ServerEvent::Finish, &mut given);
    let [_, _, data] = given;
    drop(std::mem::ManuallyDrop::into_inner(data));
}

/// The same as an object.
fn on_finish_object(server: &ServerState, result: &TaskResult, source: i64, data: Zval) {
    let object = Filled::new(|classes| classes.task_result);
    let Some(object) = object else { return };
    let object = object.long(0, result.task().cast_signed()).long(1, source).now(2).value(3, data);
    server.call(ServerEvent::Finish, &mut [value::object(server.object), object.argument()]);
}

/// A task that this process runs: `onTask`. What that returns is a result, unless it is nothing or
/// nobody takes any.
pub(super) fn on_task(server: &ServerState, task: &Task) {
    server.task.set(std::ptr::from_ref(task));
    let returned = call_for(server, task);
    if !returned.is_null()
        && !is_one_way(task)
        && let Some(bytes) = encode_result(server, &returned)
        && let Err(error) = task.finish(&bytes)
    {
        warning(&error.to_string());
    }
    fault::after_call(server.uncaught.get());
    server.task.set(std::ptr::null());
}

/// Whether nobody takes results of this task.
fn is_one_way(task: &Task) -> bool {
    flags_of(task.as_bytes()) & flag::NO_REPLY != 0
}

/// The number by which a program knows who has asked for a task; -1 is the companion.
fn source_of(server: &ServerState, task: &Task) -> i64 {
    let slot = i64::from(task.asker_slot());
    if !is_one_way(task) {
        return slot;
    }
    if task.asker().starts_with('u') { super::user::first_id(server) + slot } else { -1 }
}

/// What `onTask` returns.
fn call_for(server: &ServerState, task: &Task) -> Zval {
    let source = source_of(server, task);
    let this = value::object(server.object);
    if server.has_task_objects.get()
        && let Some(object) = Filled::new(|classes| classes.task)
    {
        let object = object
            .value(0, decode(task.as_bytes()))
            .now(1)
            .long(TASK_ID, task.number().cast_signed())
            .long(3, source)
            .long(4, i64::from(flags_of(task.as_bytes())));
        return server.call_for(ServerEvent::Task, &mut [this, object.argument()]);
    }
    let data = std::mem::ManuallyDrop::new(decode(task.as_bytes()));
    let mut given = [this, value::id(task.number()), value::long(source), data];
    let returned = server.call_for(ServerEvent::Task, &mut given);
    let [_, _, _, data] = given;
    drop(std::mem::ManuallyDrop::into_inner(data));
    returned
}

/// `Server::finish(mixed $data): bool`
pub(super) fn finish(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let Some(server) = running(call)? else { return Ok(()) };
    finish_running(call, server, None)
}

/// `Task::finish(mixed $data): bool`: as long as its `onTask` runs.
pub(super) fn finish_object(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let Some(server) = super::current() else { return call.returns_bool(false) };
    // SAFETY: this is a method of the task's class, which declares so many properties.
    let number = unsafe { object::slot(call.this(), TASK_ID) }.long();
    finish_running(call, server, number)
}

/// Finishes the task that runs, if it is that of this number.
fn finish_running(
    call: &mut Call<'_>,
    server: &ServerState,
    number: Option<i64>,
) -> Result<(), Thrown> {
    let Some(data) = call.value() else { return Err(Thrown) };
    let is_meant = |task: &&Task| number.is_none_or(|it| it == task.number().cast_signed());
    // SAFETY: it is set as long as the task lives, which is as long as its callback runs.
    let Some(task) = (unsafe { server.task.get().as_ref() }).filter(is_meant) else {
        warning("finish can only be used within onTask");
        return call.returns_bool(false);
    };
    if is_one_way(task) {
        warning("nobody takes results of this task: no event worker has asked for it");
        return call.returns_bool(false);
    }
    let bytes = encode_result(server, data).ok_or(Thrown)?;
    match task.finish(&bytes) {
        Ok(()) => call.returns_bool(true),
        Err(error) => refused(call, &error),
    }
}

fn timeout(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(86_400))
}

/// `Server::taskwait(mixed $data, float $timeout = 0.5, int $taskWorkerIndex = -1): mixed`
pub(super) fn taskwait(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 3)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let Some(data) = call.value() else { return Err(Thrown) };
    let (seconds, to) = (call.float_or(0.5)?, slot_of(call.long_or(-1)?));
    let Some(worker) = waiter(server) else { return call.returns_bool(false) };
    let bytes = encode(data).ok_or(Thrown)?;
    let request = worker.task(&bytes);
    let request = match to {
        Ok(Some(slot)) => request.to(slot),
        Ok(None) => request,
        Err(()) => {
            warning("the index of the task worker is invalid");
            return call.returns_bool(false);
        }
    };
    match request.wait(timeout(seconds)) {
        Ok(result) => {
            *call.result() = decode_result(&result).1;
            Ok(())
        }
        Err(error) if is_none_in_time(&error) => errors::refuse(call, code::TASK_TIMEOUT),
        Err(error) => refused(call, &error),
    }
}

/// Whether a task was taken, and had no result until somebody stopped to wait for it, or for ever.
fn is_none_in_time(error: &TaskError) -> bool {
    let is_over = error.is_unanswered() || error.is_worker_died() || error.is_past_deadline();
    error.is_timed_out() || is_over
}

/// `Server::taskWaitMulti(array $tasks, float $timeout = 0.5): array|false`
pub(super) fn task_wait_multi(call: &mut Call<'_>) -> Result<(), Thrown> {
    wait_for_many(call, false)
}

/// `Server::taskCo(array $tasks, float $timeout = 0.5): array|false`
pub(super) fn task_co(call: &mut Call<'_>) -> Result<(), Thrown> {
    wait_for_many(call, true)
}

/// The results by the places of their tasks. What has not come in time is absent, or false.
fn wait_for_many(call: &mut Call<'_>, has_all: bool) -> Result<(), Thrown> {
    call.arguments(1, 2)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let tasks = call.array()?;
    let seconds = call.float_or(0.5)?;
    if tasks.len() >= MULTI_MAX {
        warning("too many concurrent tasks");
        return call.returns_bool(false);
    }
    let Some(worker) = waiter(server) else { return call.returns_bool(false) };
    let flags = if has_all { flag::NON_BLOCKING | flag::COROUTINE } else { flag::WAIT_ALL };
    let payloads: Option<Vec<_>> =
        tasks.values().map(|task| encode_behind(&[], flags, task)).collect();
    let payloads = payloads.ok_or(Thrown)?;
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let results = worker.task_wait_multi(&payloads, timeout(seconds));
    let mut found: ZBox<ZendHashTable> = ZendHashTable::new();
    let mut was_taken = false;
    for (index, result) in (0_i64..).zip(results) {
        was_taken |= result.as_ref().map_or_else(is_none_in_time, |_| true);
        match result {
            Ok(bytes) => {
                let _ = found.insert(index, decode_result(&bytes).1);
            }
            Err(error) if is_none_in_time(&error) && !has_all => {}
            Err(_) => {
                let _ = found.insert(index, false);
            }
        }
    }
    if !was_taken {
        return errors::refuse(call, code::TASK_DISPATCH_FAIL);
    }
    if !globals::exception().is_null() {
        return Err(Thrown);
    }
    call.result().set_hashtable(found);
    Ok(())
}
