//! Processes of the program's own that the server supervises: `Server::addProcess`.

use ext_php_rs::types::ZendObject;
use ostler::{Outcome, ProcessBody, UserProcess, Worker};

use super::handler::begin_process;
use super::server;
use super::state::{Phase, ProcessKind, ServerState, slot};
use crate::process::{self, signals};
use crate::zend::Thrown;
use crate::zend::call::Call;
use crate::zend::message::{fatal, warning};

/// A process of the program, in that process.
pub(super) struct PhpProcess {
    /// As in the worker's handler: the frame of `start()` keeps the object alive.
    server: *const ServerState,
    /// The server's private list keeps it alive.
    process: *mut ZendObject,
    id: i64,
}

impl PhpProcess {
    /// This process has become that of this index.
    fn begin(server: *const ServerState, index: usize, worker: &Worker) -> Self {
        // SAFETY: as the field says.
        let state = unsafe { &*server };
        begin_process(state, worker, ProcessKind::User);
        signals::leave_by_term();
        let process = state.added.borrow().get(index).copied().unwrap_or(std::ptr::null_mut());
        Self { server, process, id: first_id(state) + i64::try_from(index).unwrap_or(0) }
    }
}

impl ProcessBody for PhpProcess {
    fn run(&mut self, worker: &Worker) -> Outcome {
        // SAFETY: as the field says.
        let state = unsafe { &*self.server };
        state.user_id.set(Some(self.id));
        // It may have been told before TERM was this process's own.
        if !worker.is_leaving()
            && let Some(Ok(process)) = process::of(self.process)
        {
            process.run(Some(self.id));
        }
        Ok(())
    }
}

/// The number of the first one: they come behind all workers.
pub(super) fn first_id(server: &ServerState) -> i64 {
    server.event_workers.get() + server.task_workers.get()
}

/// Each of them, for the engine.
pub(super) fn bodies(server: &ServerState) -> impl Iterator<Item = UserProcess> {
    let state: *const ServerState = server;
    (0..server.added.borrow().len()).map(move |index| {
        UserProcess::new(&format!("process{index}"), move |worker| {
            PhpProcess::begin(state, index, worker)
        })
    })
}

/// `Server::addProcess(Process $process): int|false`
pub(super) fn add_process(call: &mut Call<'_>) -> Result<(), Thrown> {
    call.arguments(1, 1)?;
    let server = server(call)?;
    let Some(value) = call.value() else { return Err(Thrown) };
    if server.phase.get() != Phase::Ready {
        warning("server is running, unable to add process");
        return call.returns_bool(false);
    }
    let object = value.object_mut().map(|object| &raw mut *object);
    let Some(object) = object.filter(|object| process::of(*object).is_some()) else {
        fatal("object is not instanceof Ostler\\Process");
        return call.returns_bool(false);
    };
    if let Some(Err(thrown)) = process::of(object) {
        return Err(thrown);
    }
    let list = server.slot(slot::PROCESSES);
    let mut processes = list.array().unwrap_or_default();
    let _ = processes.push(value.shallow_clone());
    list.set_array(processes);
    server.added.borrow_mut().push(object);
    let index = server.added.borrow().len() - 1;
    call.returns_long(i64::try_from(index).unwrap_or(0))
}
