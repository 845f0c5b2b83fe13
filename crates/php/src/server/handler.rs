//! What the engine tells a worker, told to the callbacks of the program.

use std::mem::ManuallyDrop;

use ext_php_rs::types::Zval;
use ostler::{
    CloseReason, Handler, Message, Outcome, Package, Packet, Session, Task, TaskResult, Worker,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::commands;
use super::events::{PortEvent, ServerEvent};
use super::functions;
use super::messages;
use super::objects::Filled;
use super::sessions::reactor_of;
use super::state::Given;
use super::state::{Process, ProcessKind, ServerState, slot};
use super::stats_file;
use super::tasks;
use crate::process::signals;
use crate::zend::value::{self, Array, OwnString};
use crate::zend::{opcache, process, stack};

/// The handler of a worker.
#[derive(Clone, Copy)]
pub(super) struct PhpHandler {
    /// The frame of `start()`, in which the worker's loop runs, keeps the server's object alive.
    server: *const ServerState,
    /// Whether there is only one, so that nothing has to be looked up.
    has_one_port: bool,
    has_one_reactor: bool,
    /// Whether a port has a function that tells the lengths of packages.
    has_lengths: bool,
    /// Whether a port speaks TLS.
    is_encrypted: bool,
}

impl PhpHandler {
    /// This process has become a worker.
    pub(super) fn begin(server: *const ServerState, worker: &Worker) -> Self {
        // SAFETY: as `PhpHandler::server` says.
        let state = unsafe { &*server };
        let kind = if worker.is_task_worker() { ProcessKind::Task } else { ProcessKind::Event };
        begin_process(state, worker, kind);
        commands::offer::<Self>(server, worker, kind);
        let count = state.ports.borrow().len();
        let reactors = super::start::setting(state, "reactor_num").unwrap_or(0);
        Self {
            server,
            has_one_port: count == 1,
            has_lengths: state.any_port(|port| port.length.borrow().is_some()),
            is_encrypted: state.any_port(|port| port.is_encrypted),
            has_one_reactor: reactors == 1 && state.mode == super::state::Mode::Process,
        }
    }

    pub(super) fn server(&self) -> &ServerState {
        // SAFETY: as the field says.
        unsafe { &*self.server }
    }

    fn port_of(&self, session: &Session) -> usize {
        if self.has_one_port {
            return 0;
        }
        session.port().map_or(0, |port| usize::from(port.id()))
    }

    /// Server, session and reactor, or server and an object, as arguments of a callback.
    fn call_event(&self, session: &Session, event: PortEvent, reactor: i64, data: Option<Zval>) {
        let server = self.server();
        let port = self.port_of(session);
        let this = value::object(server.object);
        if server.has_event_objects.get()
            && let Some(object) = Filled::new(|classes| classes.event)
        {
            let object = object.long(0, reactor).long(1, session.id().cast_signed()).now(2);
            let object = match data {
                Some(data) => object.value(3, data),
                None => object,
            };
            server.call_port(port, event, &mut [this, object.argument()]);
            return;
        }
        let (session, reactor) = (value::id(session.id()), value::long(reactor));
        match data.map(ManuallyDrop::new) {
            Some(data) => {
                let mut given = [this, session, reactor, data];
                server.call_port(port, event, &mut given);
                let [_, _, _, data] = given;
                drop(ManuallyDrop::into_inner(data));
            }
            None => {
                server.call_port(port, event, &mut [this, session, reactor]);
            }
        }
    }

    /// A package has come.
    pub(super) fn receive(&self, session: &Session, package: &Package) {
        let server = self.server();
        let bytes = OwnString::new(package.as_bytes());
        let string = bytes.as_ptr();
        server.given.set(Some(Given { string, package: package.as_bytes() }));
        self.call_event(session, PortEvent::Receive, self.reactor(session), Some(bytes.into()));
        server.given.set(None);
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
    signals::begin();
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
    server.become_process(Process { worker: worker.clone(), kind, master });
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
        stats_file::begin(server);
        let id = value::long(server.worker_id().unwrap_or(-1));
        server.call_start(&mut [value::object(server.object), id]).map_err(Into::into)
    }

    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        if self.is_encrypted {
            self.server().certificates.keep(worker, session);
        }
        if functions::choose(self.server(), session) {
            self.call_event(session, PortEvent::Connect, self.reactor(session), None);
        }
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        if self.has_lengths
            && let Some((_, port)) = self.server().port(self.port_of(session))
            && port.length.borrow().is_some()
        {
            return functions::receive(*self, port, (worker, session, package));
        }
        self.receive(session, package);
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
        let ports = [listening, from].map(|it| it.map_or(0, |address| i64::from(address.port())));
        let [own_port, port] = ports;
        if server.has_event_objects.get()
            && let Some(object) = Filled::new(|classes| classes.packet)
        {
            let object = object.long(0, i64::from(number)).long(1, own_port).now(2);
            let object = object.text(3, &address).long(4, port).value(5, bytes.into());
            let mut given = [value::object(server.object), object.argument()];
            server.call_port(usize::from(number), PortEvent::Packet, &mut given);
            return Ok(());
        }
        let array = Array::new()
            .long("server_socket", i64::from(number))
            .long("server_port", own_port)
            .float("dispatch_time", now())
            .text("address", &address)
            .long("port", port);
        let mut client = Zval::new();
        array.into(&mut client);
        let mut given = [value::object(server.object), bytes.argument(), ManuallyDrop::new(client)];
        server.call_port(usize::from(number), PortEvent::Packet, &mut given);
        let [_, _, client] = given;
        drop(ManuallyDrop::into_inner(client));
        Ok(())
    }

    fn on_close(&mut self, _: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        let server = self.server();
        let reactor = if is_clients(reason) { self.reactor(session) } else { -1 };
        server.closing.set(session.id());
        self.call_event(session, PortEvent::Close, reactor, None);
        server.closing.set(0);
        if self.is_encrypted {
            server.certificates.forget(session.id());
        }
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

    fn on_message(&mut self, _: &Worker, message: &Message) -> Outcome {
        messages::on_message(self.server(), message);
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
pub(super) fn now() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
