//! What a server and its ports are, besides what PHP sees of them.

use std::cell::{Cell, OnceCell, RefCell};
use std::os::fd::{OwnedFd, RawFd};

use ext_php_rs::ffi::zend_object;
use ext_php_rs::types::Zval;
use ostler::{ProcessSlot, Session, Task, Worker};

use super::client_info::Certificates;
use super::commands::Command;
use super::construct::Living;
use super::events::{PORT_EVENTS, PortEvent, SERVER_EVENTS, ServerEvent};
use super::sock_type::{Placeholder, SockType};
use crate::zend::callable::Callable;
use crate::zend::fault::{self, Uncaught};
use crate::zend::object::{self, Embedded, Handlers, Slot};
use crate::zend::value::Argument;

/// How far a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Made, not started.
    Ready,
    /// It runs: in the master, and in every process that was forked from it.
    Running,
    /// It has run.
    Over,
}

/// `SWOOLE_BASE`, `SWOOLE_PROCESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Base = 1,
    Process = 2,
}

/// The places of a server's properties, in the order in which they are declared.
pub(crate) mod slot {
    pub(crate) const SETTING: usize = 0;
    pub(crate) const CONNECTIONS: usize = 1;
    pub(crate) const HOST: usize = 2;
    pub(crate) const PORT: usize = 3;
    pub(crate) const TYPE: usize = 4;
    pub(crate) const SSL: usize = 5;
    pub(crate) const MODE: usize = 6;
    pub(crate) const PORTS: usize = 7;
    pub(crate) const MASTER_PID: usize = 8;
    pub(crate) const MANAGER_PID: usize = 9;
    pub(crate) const WORKER_ID: usize = 10;
    pub(crate) const TASKWORKER: usize = 11;
    pub(crate) const WORKER_PID: usize = 12;
    pub(crate) const STATS_TIMER: usize = 13;
    /// The list of ports that the server itself goes by; private.
    pub(crate) const LISTENERS: usize = 14;
    /// The list of processes that were added; private.
    pub(crate) const PROCESSES: usize = 15;
    /// The list of the functions of commands; private.
    pub(crate) const COMMANDS: usize = 16;
    /// The first callback; private, as all of them.
    pub(crate) const EVENTS: usize = 17;
}

/// The places of a port's properties.
pub(crate) mod port_slot {
    pub(crate) const HOST: usize = 0;
    pub(crate) const PORT: usize = 1;
    pub(crate) const TYPE: usize = 2;
    pub(crate) const SSL: usize = 4;
    pub(crate) const SETTING: usize = 5;
    pub(crate) const CONNECTIONS: usize = 6;
    /// The first callback; private.
    pub(crate) const EVENTS: usize = 7;
}

/// A server that a program has made.
pub(crate) struct ServerState {
    /// The object of which this is a part.
    pub(crate) object: *mut zend_object,
    pub(crate) phase: Cell<Phase>,
    pub(crate) mode: Mode,
    /// The objects of its ports, the primary one first; its private list of them keeps them alive.
    pub(crate) ports: RefCell<Vec<*mut zend_object>>,
    callbacks: [Callable; SERVER_EVENTS.len()],
    /// The function that chooses the workers of sessions.
    pub(crate) dispatch: RefCell<Option<Zval>>,
    /// The processes that were added; the private list of them keeps them alive.
    pub(crate) added: RefCell<Vec<*mut zend_object>>,
    /// What others may call by name; the functions are in the private list of them.
    pub(super) commands: RefCell<Vec<Command>>,
    /// What clients have shown to this worker.
    pub(super) certificates: Certificates,
    /// The number of the process that was added, when this is one.
    pub(crate) user_id: Cell<Option<i64>>,
    /// The process in which this is, when that runs the program's code.
    process: OnceCell<Process>,
    /// This is a process that one of the server's has forked, and not the server's.
    is_foreign: Cell<bool>,
    pub(crate) master: Cell<i32>,
    pub(crate) uncaught: Cell<Uncaught>,
    /// Callbacks get an object in place of several arguments.
    pub(crate) has_event_objects: Cell<bool>,
    /// `onTask` does.
    pub(crate) has_task_objects: Cell<bool>,
    /// How many event workers there may be, by whatever name the program has said so: task workers
    /// have the numbers behind theirs.
    pub(crate) event_workers: Cell<i64>,
    /// How many task workers there are.
    pub(crate) task_workers: Cell<i64>,
    /// What `onReceive` was given, as PHP's string and as the engine's package.
    pub(crate) given: Cell<Option<Given>>,
    /// The task whose `onTask` runs; null otherwise.
    pub(crate) task: Cell<*const Task>,
    /// The session whose `onClose` runs.
    pub(crate) closing: Cell<u64>,
    /// What this process has sent to clients.
    pub(super) responses: Cell<i64>,
    /// The last session that this process has bound to a user, and the user: the engine tells of it
    /// when the callback has ended.
    pub(super) bound: Cell<Option<(u64, u32)>>,
    pub(super) living: Living,
}

/// A package that a callback handles, twice in memory: PHP's copy, which nobody can change while
/// the handler has a reference to it, and the engine's.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub(crate) string: *const u8,
    pub(crate) package: *const [u8],
}

impl Given {
    /// The engine's bytes, when these are PHP's copy of all of them: the engine sends its own
    /// without a copy.
    pub(crate) fn own(self, bytes: &[u8]) -> &[u8] {
        let is_all = std::ptr::eq(bytes.as_ptr(), self.string) && bytes.len() == self.package.len();
        // SAFETY: it is set as long as the callback runs, which the package outlives.
        if is_all { unsafe { &*self.package } } else { bytes }
    }
}

/// A process that runs the program's code.
pub(crate) struct Process {
    pub(crate) worker: Worker,
    pub(crate) kind: ProcessKind,
    /// Names the master and nobody else, however long this lives (S11).
    pub(crate) master: Option<OwnedFd>,
}

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessKind {
    /// It serves clients.
    Event,
    /// It runs tasks.
    Task,
    /// It is one that the program has added.
    User,
    /// It is told of the life of the server.
    Companion,
}

/// A port that a server listens on.
pub(crate) struct PortState {
    pub(crate) kind: SockType,
    pub(crate) is_encrypted: bool,
    pub(crate) host: String,
    pub(crate) number: Cell<u16>,
    /// The listener, when systemd has opened it.
    pub(crate) inherited: Option<RawFd>,
    /// Whether it has settings of its own and inherits none.
    pub(crate) has_own_settings: Cell<bool>,
    pub(crate) placeholder: RefCell<Option<Placeholder>>,
    /// The function that tells the lengths of its packages.
    pub(crate) length: RefCell<Option<Zval>>,
    pub(crate) callbacks: [Callable; PORT_EVENTS.len()],
}

static SERVERS: Handlers<ServerState> = Handlers::new();
static PORTS: Handlers<PortState> = Handlers::new();

impl Embedded for ServerState {
    fn handlers() -> &'static Handlers<Self> {
        &SERVERS
    }
}

impl Embedded for PortState {
    fn handlers() -> &'static Handlers<Self> {
        &PORTS
    }
}

impl PortState {
    /// The engine's name of the place.
    pub(crate) fn url(&self) -> String {
        match self.inherited {
            Some(descriptor) if self.is_encrypted => format!("fd+tls://{descriptor}"),
            Some(descriptor) => format!("fd://{descriptor}"),
            None => self.kind.url(&self.host, self.number.get(), self.is_encrypted),
        }
    }

    /// Whether an option of the engine's can have an effect here.
    pub(crate) fn takes(&self, option: &str, may_be_encrypted: bool) -> bool {
        let is_listeners = self.inherited.is_some() && option == "backlog";
        !is_listeners && self.kind.takes(option, may_be_encrypted)
    }
}

impl ServerState {
    pub(crate) fn new(object: *mut zend_object, mode: Mode, living: Living) -> Self {
        Self {
            object,
            phase: Cell::new(Phase::Ready),
            mode,
            ports: RefCell::default(),
            callbacks: Default::default(),
            dispatch: RefCell::default(),
            added: RefCell::default(),
            commands: RefCell::default(),
            certificates: Certificates::default(),
            user_id: Cell::new(None),
            process: OnceCell::new(),
            is_foreign: Cell::new(false),
            master: Cell::new(0),
            uncaught: Cell::new(Uncaught::Ends),
            has_event_objects: Cell::new(false),
            has_task_objects: Cell::new(false),
            event_workers: Cell::new(0),
            task_workers: Cell::new(0),
            given: Cell::new(None),
            task: Cell::new(std::ptr::null()),
            closing: Cell::new(0),
            responses: Cell::new(0),
            bound: Cell::new(None),
            living,
        }
    }

    /// The user to whom a session was bound.
    pub(super) fn user_of(&self, session: &Session) -> Option<u32> {
        let own = self.bound.get().filter(|(id, _)| *id == session.id());
        own.map(|(_, user)| user).or_else(|| session.user())
    }

    /// The place of a property.
    pub(crate) fn slot(&self, number: usize) -> Slot {
        // SAFETY: the object's class is the server's or extends it, whose properties come first;
        // the numbers are those of `slot`.
        unsafe { object::slot(self.object, number) }
    }

    /// This process has become one of the server's.
    pub(crate) fn become_process(&self, process: Process) {
        let _ = self.process.set(process);
    }

    /// This process was forked by one of the server's: what is the engine's there is not its own.
    pub(crate) fn disown(&self) {
        self.is_foreign.set(true);
    }

    /// The process in which this is, if it is one of the server's.
    pub(crate) fn process(&self) -> Option<&Process> {
        self.process.get().filter(|_| !self.is_foreign.get())
    }

    /// Whether this process is one that the program has added.
    pub(crate) fn is_user_process(&self) -> bool {
        self.process().is_some_and(|process| process.kind == ProcessKind::User)
    }

    /// The number of this worker: task workers come behind those that serve clients.
    pub(crate) fn worker_id(&self) -> Option<i64> {
        let process = self.process()?;
        let slot = i64::from(process.worker.slot());
        match process.kind {
            ProcessKind::Event => Some(slot),
            ProcessKind::Task => Some(self.event_workers.get() + slot),
            ProcessKind::User | ProcessKind::Companion => None,
        }
    }

    /// Which process has this number: event workers come first, then task workers, then the
    /// program's own.
    pub(crate) fn slot_of(&self, id: i64) -> Option<ProcessSlot> {
        let (workers, task_workers) = (self.event_workers.get(), self.task_workers.get());
        let slot = |id: i64| u16::try_from(id).ok();
        match id {
            _ if id < 0 => None,
            _ if id < workers => slot(id).map(ProcessSlot::Worker),
            _ if id < workers + task_workers => slot(id - workers).map(ProcessSlot::TaskWorker),
            _ => slot(id - workers - task_workers).map(ProcessSlot::UserProcess),
        }
    }

    /// The process in which the program's code runs, if it is one of the server's.
    pub(crate) fn worker(&self) -> Option<&Worker> {
        self.process().map(|process| &process.worker)
    }

    /// Takes a callback that was put into its property.
    pub(crate) fn bind(&self, event: usize) -> bool {
        let property = self.slot(slot::EVENTS + event);
        self.callbacks.get(event).is_some_and(|callback| callback.bind(property))
    }

    /// Whether the program wants to know of an event.
    pub(crate) fn has(&self, event: ServerEvent) -> bool {
        !self.slot(slot::EVENTS + event as usize).is_null()
    }

    /// Calls the callback of an event, if there is one.
    pub(crate) fn call(&self, event: ServerEvent, arguments: &mut [Argument]) {
        if self.has(event)
            && let Some(callback) = self.callbacks.get(event as usize)
        {
            let property = self.slot(slot::EVENTS + event as usize);
            run(callback, property, arguments, self.uncaught.get());
        }
    }

    /// The same, for what it returns. Whoever calls this looks after what it has thrown.
    pub(crate) fn call_for(&self, event: ServerEvent, arguments: &mut [Argument]) -> Zval {
        let mut result = Zval::new();
        if self.has(event)
            && let Some(callback) = self.callbacks.get(event as usize)
        {
            callback.call(self.slot(slot::EVENTS + event as usize), arguments, &mut result);
        }
        result
    }

    /// Calls the callback of the beginning of a worker; the error is why it cannot begin.
    pub(crate) fn call_start(&self, arguments: &mut [Argument]) -> Result<(), String> {
        let event = ServerEvent::WorkerStart;
        if self.has(event)
            && let Some(callback) = self.callbacks.get(event as usize)
        {
            let mut result = Zval::new();
            callback.call(self.slot(slot::EVENTS + event as usize), arguments, &mut result);
            drop(result);
        }
        fault::after_start()
    }

    /// Its ports, the primary one first.
    pub(crate) fn port(&self, number: usize) -> Option<(*mut zend_object, &PortState)> {
        let object = *self.ports.borrow().get(number)?;
        // SAFETY: ports are made by `make::<PortState>` and live in the server's private list.
        Some((object, unsafe { object::get::<PortState>(object) }?))
    }

    /// Whether this is so of any port.
    pub(crate) fn any_port(&self, is_so: impl Fn(&PortState) -> bool) -> bool {
        let count = self.ports.borrow().len();
        (0..count).filter_map(|number| self.port(number)).any(|(_, port)| is_so(port))
    }

    /// The port that has a callback for an event of the port of this number: itself, or the
    /// primary one.
    fn callee(&self, number: usize, event: PortEvent) -> Option<(&Callable, Slot)> {
        let has = |(object, port): (*mut zend_object, _)| {
            // SAFETY: a port's properties are those of `port_slot`.
            let property = unsafe { object::slot(object, port_slot::EVENTS + event as usize) };
            let port: &PortState = port;
            (!property.is_null()).then_some((port.callbacks.get(event as usize)?, property))
        };
        self.port(number).and_then(has).or_else(|| self.port(0).and_then(has))
    }

    /// Whether there is a callback for an event of this port.
    pub(crate) fn port_has(&self, number: usize, event: PortEvent) -> bool {
        self.callee(number, event).is_some()
    }

    /// Calls the callback for an event of a port; false when there is none.
    pub(crate) fn call_port(
        &self,
        number: usize,
        event: PortEvent,
        given: &mut [Argument],
    ) -> bool {
        let Some((callback, property)) = self.callee(number, event) else { return false };
        run(callback, property, given, self.uncaught.get());
        true
    }
}

/// Calls a callback; what it returns is nobody's. Does not return when that ends the process.
fn run(callback: &Callable, property: Slot, given: &mut [Argument], uncaught: Uncaught) {
    let mut result = Zval::new();
    callback.call(property, given, &mut result);
    drop(result);
    fault::after_call(uncaught);
}
