//! What a program gives to a server besides options: its code, until a process runs it.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use ostler_core::brain::CloseReason;
use ostler_core::ids::Slot;
use ostler_core::supervisor::SingleSettings;

use super::message::Message;
use super::outcome::{Failure, Outcome};
use super::own_handler::{AnyHandler, OwnFactories};
use super::package::Package;
use super::packet::Packet;
use super::server_events::{Companion, CompanionFactory};
use super::session::Session;
use super::task::Task;
use super::task_result::TaskResult;
use super::undelivered::Undelivered;
use super::user_process::{AnyBody, UserProcess};
use super::worker::Worker;
use crate::control::Channel;

/// What a program runs besides the server's handler.
#[derive(Debug)]
pub(crate) struct ProgramCode {
    /// Handlers of ports that have their own.
    pub(crate) own_handlers: OwnFactories,
    pub(crate) processes: UserProcesses,
    /// What the companion runs, if there is one.
    pub(crate) companion: Option<CompanionFactory>,
}

impl ProgramCode {
    /// The same with the processes of these names in this order: a server that was started by
    /// another program has them so.
    pub(crate) fn in_order_of(self, names: &[String]) -> Self {
        let known = &self.processes.0;
        let of =
            |name: &String| known.iter().flatten().find(|process| process.name() == name).cloned();
        let processes = UserProcesses(names.iter().map(of).collect());
        Self { processes, ..self }
    }
}

/// The user processes of a program, in the order of their slots. A place is empty when the server
/// has a process that this program has not.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserProcesses(Vec<Option<UserProcess>>);

impl UserProcesses {
    pub(super) fn new(processes: Vec<UserProcess>) -> Self {
        Self(processes.into_iter().map(Some).collect())
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().flatten().map(|process| process.name().to_owned()).collect()
    }

    /// Their names by their slots; that of one that this program has not is empty.
    pub(crate) fn names_by_slot(&self) -> Rc<[String]> {
        let name = |it: &Option<UserProcess>| it.as_ref().map_or("", UserProcess::name).to_owned();
        self.0.iter().map(name).collect()
    }

    /// How each is supervised, with the pauses of the server.
    pub(crate) fn settings(&self, pauses: (u64, u64)) -> Vec<SingleSettings> {
        self.0.iter().flatten().map(|process| process.settings(pauses)).collect()
    }

    /// The one in a slot.
    pub(crate) fn get(&self, slot: Slot) -> Option<&UserProcess> {
        self.0.get(usize::from(slot.0))?.as_ref()
    }
}

/// What the handlers of a process are made by.
#[derive(Debug)]
pub(crate) struct Factories<F> {
    /// That of the server.
    pub(crate) server: F,
    /// What it makes, as timers know it.
    pub(crate) server_type: TypeId,
    pub(crate) own: OwnFactories,
    /// The user process that they are for.
    pub(crate) process_name: Option<String>,
    /// The names of all user processes, by their slots.
    pub(crate) process_names: Rc<[String]>,
}

impl<H, F> Factories<F>
where
    H: AnyHandler,
    F: Fn(&Worker) -> Result<H, Failure>,
{
    /// Those of an event worker.
    pub(crate) fn of_workers(server: F, own: OwnFactories) -> Self {
        let (process_name, process_names) = (None, Rc::default());
        Self { server, server_type: TypeId::of::<H>(), own, process_name, process_names }
    }
}

/// Those of a user process.
pub(crate) fn of_process(
    process: &UserProcess,
    own: OwnFactories,
) -> Factories<impl Fn(&Worker) -> Result<Resident, Failure>> {
    let factory = process.factory().clone();
    let server_type = factory.type_id;
    let server = move |worker: &Worker| Ok(Resident(factory.make(worker)));
    let process_name = Some(process.name().to_owned());
    Factories { server, server_type, own, process_name, process_names: Rc::default() }
}

/// Those of the companion, which hears of events through this socket.
pub(crate) fn of_companion(
    factory: &CompanionFactory,
    link: OwnedFd,
    own: OwnFactories,
) -> Factories<impl Fn(&Worker) -> Result<Companion, Failure>> {
    let (factory, link) = (factory.clone(), Cell::new(Some(link)));
    let server_type = factory.type_id;
    let server = move |worker: &Worker| {
        let link = link.take().ok_or("a process has one companion")?;
        worker.context().sender.watch(&link)?;
        Ok(factory.make(worker, Channel::new(link)))
    };
    let process_name = Some("companion".to_owned());
    Factories { server, server_type, own, process_name, process_names: Rc::default() }
}

/// What a user process has in the place of a handler.
pub(crate) struct Resident(Box<dyn AnyBody>);

pub(super) const NO_SESSIONS: &str = "sessions are given to event workers only";

impl AnyHandler for Resident {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        self.0.on_start(worker)
    }

    fn work(&mut self, worker: &Worker) -> Option<Outcome> {
        Some(self.0.run(worker))
    }

    fn on_connect(&mut self, _: &Worker, _: &Session) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_buffer_full(&mut self, _: &Worker, _: &Session) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_buffer_empty(&mut self, _: &Worker, _: &Session) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_packet(&mut self, _: &Worker, _: &Packet) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_task(&mut self, _: &Worker, _: &Task) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_finish(&mut self, _: &Worker, _: &TaskResult) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_close(&mut self, _: &Worker, _: &Session, _: CloseReason) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        self.0.on_message(worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        self.0.on_undelivered(worker, undelivered)
    }

    fn on_worker_exit(&mut self, worker: &Worker) {
        self.0.on_exit(worker);
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        self.0.on_stop(worker);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self.0.as_any()
    }
}
