//! What the engine tells a worker, told to the callbacks of the program.

use ostler::{CloseReason, Handler, Outcome, Package, Packet, Session, Task, TaskResult, Worker};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::events::{PortEvent, ServerEvent};
use super::sessions::reactor_of;
use super::state::Given;
use super::state::{Process, ProcessKind, ServerState, slot};
use super::tasks;
use crate::zend::value::{self, Array, OwnString};
use crate::zend::{opcache, process, stack};

/// The handler of a worker.
pub(super) struct PhpHandler {
    /// The frame of `start()`, in which the worker's loop runs, keeps the server's object alive.
    server: *const ServerState,
    /// Whether there is only one, so that nothing has to be looked up.
    has_one_port: bool,
    has_one_reactor: bool,
}

impl PhpHandler {
    /// This process has become a worker.
    pub(super) fn begin(server: *const ServerState, worker: &Worker) -> Self {
        // SAFETY: as `PhpHandler::server` says.
        let state = unsafe { &*server };
        let kind = if worker.is_task_worker() { ProcessKind::Task } else { ProcessKind::Event };
        begin_process(state, worker, kind);
        let reactors = super::start::setting(state, "reactor_num").unwrap_or(0);
        Self {
            server,
            has_one_port: state.ports.borrow().len() == 1,
            has_one_reactor: reactors == 1 && state.mode == super::state::Mode::Process,
        }
    }

    fn server(&self) -> &ServerState {
        // SAFETY: as the field says.
        unsafe { &*self.server }
    }

    fn port_of(&self, session: &Session) -> usize {
        if self.has_one_port {
            return 0;
        }
        session.port().map_or(0, |port| usize::from(port.id()))
    }

    fn reactor(&self, session: &Session) -> i64 {
        if self.has_one_reactor { 0 } else { reactor_of(self.server(), session) }
    }

    /// An event that is about a session, and its callback's arguments server and session.
    fn tell(&self, session: &Session, event: PortEvent) {
        let server = self.server();
        let mut given = [value::object(server.object), value::id(session.id())];
        server.call_port(self.port_of(session), event, &mut given);
    }
}

/// What every process that runs the program's code begins with.
pub(super) fn begin_process(server: &ServerState, worker: &Worker, kind: ProcessKind) {
    process::begin(crate::timer::forget_all);
    stack::show_frames();
    opcache::forget_changed_scripts();
    let own = i64::from(rustix::process::getpid().as_raw_nonzero().get());
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    let parent = i64::from(parent);
    if super::start::setting(server, "daemonize").is_some() {
        // Going to the background is a fork: the master is not the process that called `start`.
        server.master.set(parent_of(parent).unwrap_or(0));
    }
    // It lived a moment ago, or this process would have ended itself.
    let master = Pid::from_raw(server.master.get())
        .and_then(|master| pidfd_open(master, PidfdFlags::empty()).ok());
    let _ = server.process.set(Process { worker: worker.clone(), kind, master });
    server.slot(slot::MASTER_PID).set_long(i64::from(server.master.get()));
    server.slot(slot::MANAGER_PID).set_long(parent);
    if let Some(id) = server.worker_id() {
        server.slot(slot::WORKER_PID).set_long(own);
        server.slot(slot::WORKER_ID).set_long(id);
        server.slot(slot::TASKWORKER).set_bool(kind == ProcessKind::Task);
    }
}

/// The parent of a process: the fourth field, behind the name in parentheses and the state.
fn parent_of(process: i64) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

impl Handler for PhpHandler {
    fn on_worker_start(&mut self, _: &Worker) -> Outcome {
        let server = self.server();
        let id = value::long(server.worker_id().unwrap_or(-1));
        server.call_start(&mut [value::object(server.object), id]).map_err(Into::into)
    }

    fn on_connect(&mut self, _: &Worker, session: &Session) -> Outcome {
        let server = self.server();
        let reactor = value::long(self.reactor(session));
        let mut given = [value::object(server.object), value::id(session.id()), reactor];
        server.call_port(self.port_of(session), PortEvent::Connect, &mut given);
        Ok(())
    }

    fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
        let server = self.server();
        let bytes = OwnString::new(package.as_bytes());
        let mut given = [
            value::object(server.object),
            value::id(session.id()),
            value::long(self.reactor(session)),
            bytes.argument(),
        ];
        let string = bytes.as_ptr();
        server.given.set(Some(Given { string, package: package.as_bytes() }));
        server.call_port(self.port_of(session), PortEvent::Receive, &mut given);
        server.given.set(None);
        Ok(())
    }

    fn on_buffer_full(&mut self, _: &Worker, session: &Session) -> Outcome {
        self.tell(session, PortEvent::BufferFull);
        Ok(())
    }

    fn on_buffer_empty(&mut self, _: &Worker, session: &Session) -> Outcome {
        self.tell(session, PortEvent::BufferEmpty);
        Ok(())
    }

    fn on_packet(&mut self, _: &Worker, packet: &Packet) -> Outcome {
        let server = self.server();
        let bytes = OwnString::new(packet.as_bytes());
        let number = packet.port().id();
        let listening = packet.port().local_address().socket_address();
        let from = packet.peer().socket_address();
        let path = packet.peer().path().map(|path| path.display().to_string());
        let address = from.map(|from| from.ip().to_string()).or(path).unwrap_or_default();
        let array = Array::new()
            .long("server_socket", i64::from(number))
            .long("server_port", listening.map_or(0, |address| i64::from(address.port())))
            .float("dispatch_time", now())
            .text("address", &address)
            .long("port", from.map_or(0, |from| i64::from(from.port())));
        let mut client = ext_php_rs::types::Zval::new();
        array.into(&mut client);
        let mut given =
            [value::object(server.object), bytes.argument(), std::mem::ManuallyDrop::new(client)];
        server.call_port(usize::from(number), PortEvent::Packet, &mut given);
        let [_, _, client] = given;
        drop(std::mem::ManuallyDrop::into_inner(client));
        Ok(())
    }

    fn on_close(&mut self, _: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        let server = self.server();
        let reactor = if is_clients(reason) { self.reactor(session) } else { -1 };
        server.closing.set(session.id());
        let mut given =
            [value::object(server.object), value::id(session.id()), value::long(reactor)];
        server.call_port(self.port_of(session), PortEvent::Close, &mut given);
        server.closing.set(0);
        Ok(())
    }

    fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
        tasks::on_task(self.server(), task);
        Ok(())
    }

    fn on_finish(&mut self, _: &Worker, result: &TaskResult) -> Outcome {
        tasks::on_finish(self.server(), result);
        Ok(())
    }

    fn on_worker_exit(&mut self, _: &Worker) {
        let server = self.server();
        let id = value::long(server.worker_id().unwrap_or(-1));
        server.call(ServerEvent::WorkerExit, &mut [value::object(server.object), id]);
    }

    fn on_worker_stop(&mut self, _: &Worker) {
        let server = self.server();
        let id = value::long(server.worker_id().unwrap_or(-1));
        server.call(ServerEvent::WorkerStop, &mut [value::object(server.object), id]);
    }
}

/// Whether a session ended because of its client; the reference tells the server's own closes by
/// the reactor -1, and those for idleness by the real one.
fn is_clients(reason: CloseReason) -> bool {
    use CloseReason::{FirstPackageTimeout, Idle, PackageTimeout, Peer, PeerError, Silent};
    matches!(reason, Peer | PeerError | Idle | Silent | FirstPackageTimeout | PackageTimeout)
}

/// Seconds since 1970.
fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
