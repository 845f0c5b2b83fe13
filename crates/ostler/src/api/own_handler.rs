//! Handlers that ports have for themselves: how they are kept until a worker makes and calls them.

use std::any::{Any, TypeId};
use std::fmt;
use std::rc::Rc;

use ostler_core::brain::CloseReason;
use ostler_core::ids::PortId;
use ostler_core::per_port::PerPort;

use super::handler::Handler;
use super::message::Message;
use super::outcome::{Failure, IntoHandler, Outcome};
use super::package::Package;
use super::packet::Packet;
use super::session::Session;
use super::task::Task;
use super::task_result::TaskResult;
use super::undelivered::Undelivered;
use super::worker::Worker;
use crate::options::Options;

/// What the loop of a worker calls: a [`Handler`], also one of a type that is forgotten (it costs
/// an indirect call for each event, which the server's own handler does not pay), or what another
/// kind of process has in its place.
pub(crate) trait AnyHandler: 'static {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome;
    /// What there is to do once, beside serving: of a process that serves nobody, all of it.
    fn work(&mut self, worker: &Worker) -> Option<Outcome>;
    /// A round of the loop begins: what only this kind of process looks for.
    fn look(&mut self, _: &Worker) {}
    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome;
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome;
    fn on_buffer_full(&mut self, worker: &Worker, session: &Session) -> Outcome;
    fn on_buffer_empty(&mut self, worker: &Worker, session: &Session) -> Outcome;
    fn on_packet(&mut self, worker: &Worker, packet: &Packet) -> Outcome;
    fn on_task(&mut self, worker: &Worker, task: &Task) -> Outcome;
    fn on_finish(&mut self, worker: &Worker, result: &TaskResult) -> Outcome;
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome;
    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome;
    fn on_close(&mut self, worker: &Worker, session: &Session, reason: CloseReason) -> Outcome;
    fn on_worker_exit(&mut self, worker: &Worker);
    fn on_worker_stop(&mut self, worker: &Worker);
    /// It, for a callback that knows its type.
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<H: Handler> AnyHandler for H {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        Handler::on_worker_start(self, worker)
    }

    fn work(&mut self, _: &Worker) -> Option<Outcome> {
        None
    }

    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        Handler::on_connect(self, worker, session)
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        Handler::on_receive(self, worker, session, package)
    }

    fn on_buffer_full(&mut self, worker: &Worker, session: &Session) -> Outcome {
        Handler::on_buffer_full(self, worker, session)
    }

    fn on_buffer_empty(&mut self, worker: &Worker, session: &Session) -> Outcome {
        Handler::on_buffer_empty(self, worker, session)
    }

    fn on_packet(&mut self, worker: &Worker, packet: &Packet) -> Outcome {
        Handler::on_packet(self, worker, packet)
    }

    fn on_task(&mut self, worker: &Worker, task: &Task) -> Outcome {
        Handler::on_task(self, worker, task)
    }

    fn on_finish(&mut self, worker: &Worker, result: &TaskResult) -> Outcome {
        Handler::on_finish(self, worker, result)
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        Handler::on_message(self, worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        Handler::on_undelivered(self, worker, undelivered)
    }

    fn on_close(&mut self, worker: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        Handler::on_close(self, worker, session, reason)
    }

    fn on_worker_exit(&mut self, worker: &Worker) {
        Handler::on_worker_exit(self, worker);
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        Handler::on_worker_stop(self, worker);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

type Make = dyn Fn(&Worker) -> Result<Box<dyn AnyHandler>, Failure>;

/// Makes the handler of a port in a worker.
#[derive(Clone)]
pub(crate) struct OwnFactory {
    /// What it makes.
    pub(crate) type_id: TypeId,
    make: Rc<Make>,
}

impl fmt::Debug for OwnFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a factory")
    }
}

impl OwnFactory {
    pub(super) fn new<R, F>(make: F) -> Self
    where
        R: IntoHandler,
        F: Fn(&Worker) -> R + 'static,
    {
        let make = move |worker: &Worker| -> Result<Box<dyn AnyHandler>, Failure> {
            Ok(Box::new(make(worker).into_handler()?))
        };
        Self { type_id: TypeId::of::<R::Handler>(), make: Rc::new(make) }
    }

    pub(crate) fn make(&self, worker: &Worker) -> Result<Box<dyn AnyHandler>, Failure> {
        (self.make)(worker)
    }
}

/// The factories of ports by their names, as a program says them.
#[derive(Debug, Default)]
pub(super) struct NamedFactories(Vec<(String, OwnFactory)>);

impl NamedFactories {
    /// The last word for a port counts, as for options.
    pub(super) fn say(&mut self, port: &str, factory: OwnFactory) {
        self.0.push((port.to_owned(), factory));
    }

    /// By the ports that the server has.
    pub(super) fn resolve(&self, options: &Options) -> OwnFactories {
        let of = |name: &str| self.0.iter().rfind(|(port, _)| port == name);
        OwnFactories(options.ports().map(|plan| of(plan.name).map(|(_, it)| it.clone())))
    }
}

/// The factories of the ports that have a handler of their own.
#[derive(Clone, Debug)]
pub(crate) struct OwnFactories(PerPort<Option<OwnFactory>>);

impl OwnFactories {
    /// None, for the same ports: for a process to which no session is given.
    pub(crate) fn without(&self) -> Self {
        Self(self.0.map(|_| None))
    }

    /// What they make.
    pub(crate) fn types(&self) -> PerPort<Option<TypeId>> {
        self.0.map(|factory| factory.as_ref().map(|factory| factory.type_id))
    }

    /// What they make, by port.
    ///
    /// # Errors
    /// The first one of `make`.
    pub(crate) fn try_map<T, E>(
        &self,
        mut make: impl FnMut(PortId, &OwnFactory) -> Result<T, E>,
    ) -> Result<PerPort<Option<T>>, E> {
        let mut ports = (0..).map(PortId);
        self.0.try_map(|factory| match (ports.next(), factory) {
            (Some(port), Some(factory)) => make(port, factory).map(Some),
            _ => Ok(None),
        })
    }
}
