//! The beginning of a worker: its end of the lanes, its handler, and what is told when one of them
//! cannot be made.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::invariant;
use ostler_core::per_port::PerPort;
use ostler_shm::board::Board;
use ostler_shm::lane::WorkerMemory;

use super::context::{WorkerContext, WorkerSettings};
use super::event_loop::{EXIT_LANES, Run};
use super::handlers::{Callee, Handlers};
use super::inbox::Inbox;
use super::port::Port;
use super::token;
use crate::api::outcome::Failure;
use crate::api::own_handler::AnyHandler;
use crate::api::port::Port as ListeningPort;
use crate::api::program_code::Factories;
use crate::api::worker::Worker;
use crate::control::{FromWorker, ShortText};
use crate::inheritance::{EXIT_ORPHANED, ProcessBoot, ProcessEnds};
use crate::options::Options;
use crate::sys::panic;

/// The manager was gone before this worker served.
pub(super) const ORPHANED: i32 = EXIT_ORPHANED;
/// `on_worker_start` failed.
pub(crate) const EXIT_START_FAILED: i32 = 3;

/// The life of one worker process; answers its exit code.
pub(crate) fn worker_main<H, F>(
    boot: ProcessBoot,
    options: &Options,
    ports: &PerPort<ListeningPort>,
    factories: &Factories<F>,
) -> i32
where
    H: AnyHandler,
    F: Fn(&Worker) -> Result<H, Failure>,
{
    arm_fault(boot.key);
    let ProcessBoot { key, control, board, worker_bell, ends, .. } = boot;
    let ProcessEnds::Lanes { down, up, lane_bells, file_links } = ends else {
        invariant!(false, "a worker that serves clients itself is started as one");
        return EXIT_LANES;
    };
    let open = || -> Result<_, Failure> {
        let inbox = Inbox::new()?;
        let lane_ends = lane_bells.into_iter().zip(file_links).collect();
        let port = open_port(key, [down, up, board], worker_bell, lane_ends)?;
        port.watch(inbox.bell())?;
        Ok((Arc::new(inbox), port))
    };
    let (inbox, port) = match open() {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%error, "cannot use the lanes");
            return EXIT_LANES;
        }
    };
    let callee = Callee::new(factories);
    let settings = WorkerSettings::new(options, ports, key);
    let context = WorkerContext::new(key, settings, callee, inbox, port);
    token::live_here(&context);
    let handlers = match starting(&control, || Handlers::make(&context, factories)) {
        Ok(handlers) => handlers,
        Err(error) => return cannot_start(&control, "the handler cannot be made", &error),
    };
    Run::new(context, handlers, control).run()
}

/// Arms the debug hook for the first process of the first slot of event workers, or of task
/// workers.
pub(crate) fn arm_fault(key: ProcessKey) {
    let variable = match key.kind {
        ProcessKind::Task => "OSTLER_FAULT_OF_TASKS",
        _ if key.kind.serves_sessions() => "OSTLER_FAULT",
        _ => return,
    };
    if let Ok(fault) = std::env::var(variable)
        && key.generation.0 == 1
        && key.slot.0 == 0
    {
        let armed = ostler_shm::fault::arm(&fault);
        tracing::info!(fault, armed, "debug hook");
    }
}

/// Maps the memory and closes its files: a process that user code forks does not inherit the
/// mappings, and must not be able to make them again and write when this one is dead.
fn open_port(
    key: ProcessKey,
    [down, up, board]: [OwnedFd; 3],
    worker_bell: OwnedFd,
    lane_ends: Vec<(OwnedFd, OwnedFd)>,
) -> Result<Port, Failure> {
    let memory = open_memory(key, &down, &up)?;
    let board = Board::open(&board)?;
    Ok(Port::new(memory, board, worker_bell, lane_ends)?)
}

/// Maps the memory of lanes that were made for this process.
pub(crate) fn open_memory(
    key: ProcessKey,
    down: &OwnedFd,
    up: &OwnedFd,
) -> io::Result<WorkerMemory> {
    let memory = WorkerMemory::open(down, up).map_err(io::Error::other)?;
    let owner = memory.key();
    if owner != (u64::from(key.place()), u64::from(key.generation.0)) {
        return Err(io::Error::other("the lanes were made for another process"));
    }
    Ok(memory)
}

/// Runs a part of the start that is user code; a panic in it is told as the reason of the failure.
pub(crate) fn starting<T>(control: &OwnedFd, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        let text = format!("panicked at the start: {}", panic::text_of(&*payload));
        let _ = FromWorker::StartFailed(ShortText::new(&text)).send(control);
        resume_unwind(payload)
    })
}

/// Tells the manager, which writes it to the log, why this process ends; the answer is the exit
/// code.
pub(crate) fn cannot_start(control: &OwnedFd, what: &str, error: &dyn std::fmt::Display) -> i32 {
    let text = format!("{what}: {error}");
    let short = ShortText::new(&text);
    // Paths are long, and the place of an error comes last.
    if short.as_str().len() < text.len() {
        tracing::error!("cannot start: {text}");
    }
    let _ = FromWorker::StartFailed(short).send(control);
    EXIT_START_FAILED
}
