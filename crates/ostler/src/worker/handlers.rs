//! The handlers of a worker: the server's, and those of ports that have one of their own.
//!
//! A port's handler gets what concerns the sessions and datagrams of its port. Timers, closures of
//! other threads and writers call the handler whose callback was running when they were made: so
//! several handlers may be of one type.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::rc::Rc;

use ostler_core::brain::CloseReason;
use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;

use super::context::WorkerContext;
use crate::api::message::Message;
use crate::api::outcome::{Failure, Outcome};
use crate::api::own_handler::AnyHandler;
use crate::api::package::Package;
use crate::api::packet::Packet;
use crate::api::program_code::Factories;
use crate::api::session::Session;
use crate::api::task::Task;
use crate::api::task_result::TaskResult;
use crate::api::undelivered::Undelivered;
use crate::api::worker::Worker;

/// One of the handlers of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HandlerId {
    /// The one that serves all ports without their own.
    #[default]
    Server,
    /// That of this port.
    OfPort(PortId),
}

/// Of which types the handlers are, and the callback of which of them runs.
pub(crate) struct Callee {
    server: TypeId,
    ports: PerPort<Option<TypeId>>,
    running: Cell<HandlerId>,
    process_name: Option<String>,
    process_names: Rc<[String]>,
}

impl Callee {
    /// For what these make.
    pub(crate) fn new<F>(factories: &Factories<F>) -> Self {
        let ports = factories.own.types();
        Self {
            server: factories.server_type,
            ports,
            running: Cell::default(),
            process_name: factories.process_name.clone(),
            process_names: Rc::clone(&factories.process_names),
        }
    }

    /// The name of the user process whose body is called.
    pub(super) fn process_name(&self) -> Option<&str> {
        self.process_name.as_deref()
    }

    /// The slot of the user process of this name.
    pub(crate) fn slot_of_process(&self, name: &str) -> Option<u16> {
        let at = self.process_names.iter().position(|known| known == name)?;
        u16::try_from(at).ok()
    }

    /// The handler whose callback runs, or ran last.
    pub(crate) const fn running(&self) -> HandlerId {
        self.running.get()
    }

    /// The handler whose callback runs, if it is of this type.
    pub(crate) fn running_of<H: 'static>(&self) -> Option<HandlerId> {
        let running = self.running();
        let known = match running {
            HandlerId::Server => Some(self.server),
            HandlerId::OfPort(port) => *self.ports.get(port),
        };
        (known == Some(TypeId::of::<H>())).then_some(running)
    }

    /// A callback of this handler begins.
    fn enter(&self, handler: HandlerId) {
        self.running.set(handler);
    }
}

/// All of them.
pub(crate) struct Handlers<H> {
    context: Rc<WorkerContext>,
    worker: Worker,
    server: H,
    ports: PerPort<Option<Box<dyn AnyHandler>>>,
}

/// Calls the handler of what came on a port. That of the server is called directly, as if there
/// were no others.
macro_rules! call {
    ($handlers:expr, $port:expr, $event:ident $(, $argument:expr)*) => {{
        let port = $port;
        let handlers = $handlers;
        match handlers.ports.get_mut(port) {
            None => {
                handlers.context.callee.enter(HandlerId::Server);
                handlers.server.$event(&handlers.worker $(, $argument)*)
            }
            Some(own) => {
                handlers.context.callee.enter(HandlerId::OfPort(port));
                own.$event(&handlers.worker $(, $argument)*)
            }
        }
    }};
}

impl<H: AnyHandler> Handlers<H> {
    /// Makes them, that of the server first.
    pub(crate) fn make<F>(
        context: &Rc<WorkerContext>,
        factories: &Factories<F>,
    ) -> Result<Self, Failure>
    where
        F: Fn(&Worker) -> Result<H, Failure>,
    {
        let worker = Worker::new(Rc::clone(context));
        context.callee.enter(HandlerId::Server);
        let server = (factories.server)(&worker)?;
        let ports = factories.own.try_map(|port, factory| {
            context.callee.enter(HandlerId::OfPort(port));
            factory.make(&worker).map_err(|error| of_port(context, port, &error))
        })?;
        Ok(Self { context: Rc::clone(context), worker, server, ports })
    }

    /// That of the server.
    pub(crate) const fn server(&mut self) -> &mut H {
        &mut self.server
    }

    /// That of a port, if it is its own.
    pub(crate) fn own(&mut self, port: PortId) -> Option<&mut dyn Any> {
        self.ports.get_mut(port).as_mut().map(|own| own.as_any())
    }

    /// A round of the loop begins.
    pub(super) fn look(&mut self) {
        self.server.look(&self.worker);
    }

    /// What there is to do once, beside serving.
    pub(super) fn work(&mut self) -> Option<Outcome> {
        self.context.callee.enter(HandlerId::Server);
        self.server.work(&self.worker)
    }

    pub(super) fn on_connect(&mut self, port: PortId, session: &Session) -> Outcome {
        call!(self, port, on_connect, session)
    }

    pub(super) fn on_receive(
        &mut self,
        port: PortId,
        session: &Session,
        package: &Package,
    ) -> Outcome {
        call!(self, port, on_receive, session, package)
    }

    pub(super) fn on_buffer_full(&mut self, port: PortId, session: &Session) -> Outcome {
        call!(self, port, on_buffer_full, session)
    }

    pub(super) fn on_buffer_empty(&mut self, port: PortId, session: &Session) -> Outcome {
        call!(self, port, on_buffer_empty, session)
    }

    pub(super) fn on_packet(&mut self, port: PortId, packet: &Packet) -> Outcome {
        call!(self, port, on_packet, packet)
    }

    pub(super) fn on_close(
        &mut self,
        port: PortId,
        session: &Session,
        reason: CloseReason,
    ) -> Outcome {
        call!(self, port, on_close, session, reason)
    }

    /// Tells all of them, that of the server first; the error says whose it is.
    pub(super) fn on_worker_start(&mut self) -> Outcome {
        self.context.callee.enter(HandlerId::Server);
        self.server.on_worker_start(&self.worker)?;
        for (port, own) in with_ids(&mut self.ports) {
            self.context.callee.enter(HandlerId::OfPort(port));
            let started = own.on_worker_start(&self.worker);
            started.map_err(|error| of_port(&self.context, port, &error))?;
        }
        Ok(())
    }

    /// Tells all of them, that of the server last: others may build on it.
    pub(super) fn on_worker_exit(&mut self) {
        for (port, own) in with_ids(&mut self.ports) {
            self.context.callee.enter(HandlerId::OfPort(port));
            own.on_worker_exit(&self.worker);
        }
        self.context.callee.enter(HandlerId::Server);
        self.server.on_worker_exit(&self.worker);
    }

    /// Tells all of them, that of the server last.
    pub(super) fn on_worker_stop(&mut self) {
        for (port, own) in with_ids(&mut self.ports) {
            self.context.callee.enter(HandlerId::OfPort(port));
            own.on_worker_stop(&self.worker);
        }
        self.context.callee.enter(HandlerId::Server);
        self.server.on_worker_stop(&self.worker);
    }

    /// A task is to be run: by the handler of the server, whose ports no task worker has.
    pub(super) fn on_task(&mut self, task: &Task) -> Outcome {
        self.context.callee.enter(HandlerId::Server);
        self.server.on_task(&self.worker, task)
    }

    /// A task that this handler has asked has a result, or failed.
    pub(super) fn on_finish(&mut self, handler: HandlerId, result: &TaskResult) -> Outcome {
        self.context.callee.enter(handler);
        let own = match handler {
            HandlerId::Server => None,
            HandlerId::OfPort(port) => self.ports.get_mut(port).as_mut(),
        };
        match own {
            Some(own) => own.on_finish(&self.worker, result),
            None => self.server.on_finish(&self.worker, result),
        }
    }

    /// Another process has sent something: to the process, so that the handler of the server is
    /// told.
    pub(super) fn on_message(&mut self, message: &Message) -> Outcome {
        self.context.callee.enter(HandlerId::Server);
        self.server.on_message(&self.worker, message)
    }

    /// A message of this process did not reach its receiver.
    pub(super) fn on_undelivered(&mut self, undelivered: &Undelivered) -> Outcome {
        self.context.callee.enter(HandlerId::Server);
        self.server.on_undelivered(&self.worker, undelivered)
    }

    /// Calls what is meant for one of them and knows its type.
    pub(super) fn call(
        &mut self,
        handler: HandlerId,
        callback: impl FnOnce(&mut dyn Any, &Worker) -> Outcome,
    ) -> Outcome {
        self.context.callee.enter(handler);
        let own = match handler {
            HandlerId::Server => None,
            HandlerId::OfPort(port) => self.ports.get_mut(port).as_mut(),
        };
        let callee = own.map_or_else(|| self.server.as_any(), |own| own.as_any());
        callback(callee, &self.worker)
    }
}

fn with_ids(
    ports: &mut PerPort<Option<Box<dyn AnyHandler>>>,
) -> impl Iterator<Item = (PortId, &mut Box<dyn AnyHandler>)> {
    (0..).map(PortId).zip(ports.iter_mut()).filter_map(|(port, own)| Some((port, own.as_mut()?)))
}

/// A failure, with the name of the port.
fn of_port(context: &WorkerContext, port: PortId, error: &Failure) -> Failure {
    let name = context.listening_port(port.0).name();
    format!("the handler of the port {name}: {error}").into()
}
