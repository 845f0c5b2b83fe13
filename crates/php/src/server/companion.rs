//! What happens to the server as a whole, told to the callbacks of the program in the companion.

use ostler::{Outcome, ReloadReport, ServerEvents, Worker, WorkerDeath};

use super::commands;
use super::events::ServerEvent;
use super::handler::begin_process;
use super::objects::Filled;
use super::state::{ProcessKind, ServerState, slot};
use crate::zend::value;

/// The events for which there is a companion.
pub(super) const EVENTS: [ServerEvent; 8] = [
    ServerEvent::Start,
    ServerEvent::BeforeShutdown,
    ServerEvent::Shutdown,
    ServerEvent::WorkerError,
    ServerEvent::ManagerStart,
    ServerEvent::ManagerStop,
    ServerEvent::BeforeReload,
    ServerEvent::AfterReload,
];

/// The companion's side of a server.
pub(super) struct PhpEvents {
    /// As in the worker's handler: the frame of `start()` keeps the object alive.
    server: *const ServerState,
}

impl PhpEvents {
    /// This process has become the companion.
    pub(super) fn begin(server: *const ServerState, worker: &Worker) -> Self {
        // SAFETY: as the field says.
        begin_process(unsafe { &*server }, worker, ProcessKind::Companion);
        commands::offer::<Self>(server, worker, ProcessKind::Companion);
        Self { server }
    }

    fn tell(&self, event: ServerEvent) -> Outcome {
        // SAFETY: as the field says.
        let server = unsafe { &*self.server };
        server.call(event, &mut [value::object(server.object)]);
        Ok(())
    }

    fn manager(&self, event: ServerEvent, pid: i32) -> Outcome {
        // SAFETY: as the field says.
        let server = unsafe { &*self.server };
        server.slot(slot::MANAGER_PID).set_long(i64::from(pid));
        self.tell(event)
    }
}

/// The number that a program knows a process by: task workers come behind those that serve clients,
/// and its own processes behind them.
fn id_of(server: &ServerState, death: &WorkerDeath) -> i64 {
    let slot = i64::from(death.slot());
    match death.name().bytes().next() {
        Some(b't') => server.event_workers.get() + slot,
        Some(b'u') => super::user::first_id(server) + slot,
        _ => slot,
    }
}

impl ServerEvents for PhpEvents {
    fn on_start(&mut self, _: &Worker) -> Outcome {
        self.tell(ServerEvent::Start)
    }

    fn on_before_shutdown(&mut self, _: &Worker) -> Outcome {
        self.tell(ServerEvent::BeforeShutdown)
    }

    fn on_shutdown(&mut self, _: &Worker) -> Outcome {
        self.tell(ServerEvent::Shutdown)
    }

    fn on_manager_start(&mut self, _: &Worker, pid: i32) -> Outcome {
        self.manager(ServerEvent::ManagerStart, pid)
    }

    fn on_manager_stop(&mut self, _: &Worker, pid: i32) -> Outcome {
        self.manager(ServerEvent::ManagerStop, pid)
    }

    fn on_before_reload(&mut self, _: &Worker) -> Outcome {
        self.tell(ServerEvent::BeforeReload)
    }

    fn on_after_reload(&mut self, _: &Worker, _: &ReloadReport) -> Outcome {
        self.tell(ServerEvent::AfterReload)
    }

    fn on_worker_error(&mut self, _: &Worker, death: &WorkerDeath) -> Outcome {
        // SAFETY: as the field says.
        let server = unsafe { &*self.server };
        let (id, pid) = (id_of(server, death), i64::from(death.pid()));
        let code = i64::from(death.exit_code().unwrap_or(0));
        let signal = i64::from(death.signal().unwrap_or(0));
        let this = value::object(server.object);
        if server.has_event_objects.get()
            && let Some(object) = Filled::new(|classes| classes.status_info)
        {
            // As wait(2) has it.
            let status = code << 8 | signal;
            let object = object.long(0, id).long(1, pid).long(2, status);
            let object = object.long(3, code).long(4, signal);
            server.call(ServerEvent::WorkerError, &mut [this, object.argument()]);
            return Ok(());
        }
        let mut given =
            [this, value::long(id), value::long(pid), value::long(code), value::long(signal)];
        server.call(ServerEvent::WorkerError, &mut given);
        Ok(())
    }
}
