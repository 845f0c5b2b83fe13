//! What the server tells about itself: `stats`, and of other processes `getWorkerStatus` and
//! `getWorkerPid`.

use std::time::UNIX_EPOCH;

use ostler::{ProcessSlot, ProcessStatistics, Worker};

use super::start::setting;
use super::state::ServerState;
use super::{running, server};
use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::value::Array;

/// A worker runs a callback.
const BUSY: i64 = 1;
/// It does nothing.
const IDLE: i64 = 2;
/// It was asked to leave.
const EXIT: i64 = 3;

fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// `Server::stats(): array`
pub(super) fn stats(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 0)?;
    server(call)?;
    let Some(server) = running(call)? else { return Ok(()) };
    match figures(server) {
        Some(array) => array.into(call.result()),
        None => call.result().set_bool(false),
    }
    Ok(())
}

/// All figures; nothing outside of the processes of the server.
pub(super) fn figures(server: &ServerState) -> Option<Array> {
    let worker = server.worker()?;
    let processes = worker.process_stats();
    let array = of_server(server, worker, &processes);
    let array = match server.worker_id() {
        Some(_) => of_this_worker(array, server, worker, &processes),
        None => array,
    };
    let array = of_tasks(array, worker, &processes);
    Some(array.long("coroutine_num", 0).long("coroutine_peek_num", 0))
}

fn of_server(server: &ServerState, worker: &Worker, processes: &[ProcessStatistics]) -> Array {
    let stats = worker.stats();
    let since = stats.server.started_at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (connections, packages) = (&stats.connections, &stats.packages);
    let idle = idle_of(processes, |slot| matches!(slot, ProcessSlot::Worker(_)));
    let newest = setting(server, "start_session_id").unwrap_or(0);
    Array::new()
        .long("start_time", number(since.as_secs()))
        .long("connection_num", number(connections.open))
        .long("abort_count", number(connections.refused))
        .long("accept_count", number(connections.accepted))
        .long("close_count", number(connections.closed))
        .long("worker_num", i64::from(stats.server.workers))
        .long("task_worker_num", i64::from(stats.server.task_workers))
        .long("user_worker_num", i64::from(stats.server.user_processes))
        .long("idle_worker_num", idle)
        .long("dispatch_count", number(packages.given))
        .long("request_count", number(packages.finished + stats.datagrams.finished))
        .long("response_count", number(packages.answers + stats.datagrams.sent))
        .long("total_recv_bytes", number(stats.traffic.received_bytes))
        .long("total_send_bytes", number(stats.traffic.sent_bytes))
        .long("pipe_packet_msg_id", number(stats.messages.sent))
        .long("concurrency", 0)
        .long("session_round", newest.saturating_add(number(connections.accepted)))
        .long("min_fd", 0)
        .long("max_fd", 0)
}

/// What this process has done since it began.
fn of_this_worker(
    array: Array,
    server: &ServerState,
    worker: &Worker,
    processes: &[ProcessStatistics],
) -> Array {
    let is_own = |process: &&ProcessStatistics| {
        process.slot == worker.process_slot() && process.generation == worker.generation()
    };
    let own = processes.iter().find(is_own);
    let of_own = |count: fn(&ProcessStatistics) -> u64| number(own.map_or(0, count));
    array
        .long("worker_request_count", of_own(|own| own.requests))
        .long("worker_response_count", server.responses.get())
        .long("worker_dispatch_count", of_own(|own| own.deliveries))
        .long("worker_concurrency", 0)
}

fn of_tasks(array: Array, worker: &Worker, processes: &[ProcessStatistics]) -> Array {
    let stats = worker.stats();
    if stats.server.task_workers == 0 {
        return array;
    }
    let idle = idle_of(processes, |slot| matches!(slot, ProcessSlot::TaskWorker(_)));
    array
        .long("task_idle_worker_num", idle)
        .long("tasking_num", number(stats.tasks.open))
        .long("task_count", number(stats.tasks.asked))
}

fn idle_of(processes: &[ProcessStatistics], is_one: fn(ProcessSlot) -> bool) -> i64 {
    let idle = processes.iter().filter(|process| is_one(process.slot) && status(process) == IDLE);
    number(idle.count())
}

const fn status(process: &ProcessStatistics) -> i64 {
    match (process.is_leaving, &process.running) {
        (true, _) => EXIT,
        (false, Some(_)) => BUSY,
        (false, None) => IDLE,
    }
}

/// The process with this number: of two in one slot that which stays.
pub(super) fn process_of(server: &ServerState, id: i64) -> Option<ProcessStatistics> {
    let slot = server.slot_of(id)?;
    let processes = server.worker()?.process_stats().into_iter();
    processes.filter(|process| process.slot == slot).min_by_key(|process| process.is_leaving)
}

/// `Server::getWorkerPid(int $worker_id = -1): int|false`
pub(super) fn worker_pid(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let id = call.long_or(-1)?;
    if server.worker_id().or(server.user_id.get()).is_some_and(|own| id == -1 || id == own) {
        return call.returns_long(i64::from(own_pid()));
    }
    match process_of(server, id) {
        Some(process) => call.returns_long(i64::from(process.pid)),
        None => call.returns_bool(false),
    }
}

/// `Server::getWorkerStatus(int $worker_id = -1): int|false`: whoever asks is busy with that.
pub(super) fn worker_status(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(0, 1)?;
    let Some(server) = running(call)? else { return Ok(()) };
    let id = call.long_or(-1)?;
    if let (Some(own), Some(worker)) = (server.worker_id(), server.worker())
        && (id == -1 || id == own)
    {
        return call.returns_long(if worker.is_leaving() { EXIT } else { BUSY });
    }
    match process_of(server, id) {
        Some(process) => call.returns_long(status(&process)),
        None => call.returns_bool(false),
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}
