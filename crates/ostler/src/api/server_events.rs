//! What happens to a server as a whole, told to the companion.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use ostler_core::brain::CloseReason;

use super::builder::ServerBuilder;
use super::message::Message;
use super::outcome::{Failure, Outcome};
use super::own_handler::AnyHandler;
use super::package::Package;
use super::packet::Packet;
use super::program_code::NO_SESSIONS;
use super::reports::{ReloadReport, WorkerDeath};
use super::session::Session;
use super::task::Task;
use super::task_result::TaskResult;
use super::undelivered::Undelivered;
use super::worker::Worker;
use crate::control::{Channel, FromCompanion, Received, ServerEvent, ShortText, ToCompanion};

/// What a program does about the life of its server. One value lives in *the companion*, a process
/// of its own that exists when [`ServerBuilder::companion`] is called: no code of the program runs
/// in the master, in a manager or in a signal handler.
///
/// The companion is started first and ends last. It may send to every session, has timers and
/// threads ([`Worker`]). An event is told again to the next companion when this one dies before its
/// method has returned; one that three companions have died of is given up, and logged. An error is
/// logged.
///
/// The server does not wait for the companion, with two exceptions: its end begins when
/// [`ServerEvents::on_before_shutdown`] has returned, and it is over when
/// [`ServerEvents::on_shutdown`] has; each for at most `drain_timeout_ms`.
///
/// ```
/// use ostler::{Outcome, Server, ServerEvents, Worker, WorkerDeath};
///
/// struct Log;
///
/// impl ServerEvents for Log {
///     fn on_start(&mut self, _: &Worker) -> Outcome {
///         Ok(println!("the server starts"))
///     }
///
///     fn on_worker_error(&mut self, _: &Worker, death: &WorkerDeath) -> Outcome {
///         Ok(println!("{} has died: {}", death.name(), death.cause()))
///     }
/// }
///
/// let builder = Server::builder().companion(|_| Log);
/// ```
#[allow(unused_variables)] // names are documentation for those who implement them
pub trait ServerEvents: Sized + 'static {
    /// The server starts: the first event.
    ///
    /// # Errors
    /// They are logged.
    fn on_start(&mut self, worker: &Worker) -> Outcome {
        Ok(())
    }

    /// The server is to end: clients are served on until this returns. An INT, or a second TERM a
    /// second later, does not wait.
    ///
    /// # Errors
    /// They are logged.
    fn on_before_shutdown(&mut self, worker: &Worker) -> Outcome {
        Ok(())
    }

    /// Everybody else is gone, sessions too: the last event. It does not come when the server ends
    /// at once (INT, a second TERM) or by a failure.
    ///
    /// # Errors
    /// They are logged.
    fn on_shutdown(&mut self, worker: &Worker) -> Outcome {
        Ok(())
    }

    /// A manager with this process number is in charge: at the start, and whenever a spare has
    /// taken the place of one that died.
    ///
    /// # Errors
    /// They are logged.
    fn on_manager_start(&mut self, worker: &Worker, pid: i32) -> Outcome {
        Ok(())
    }

    /// The manager with this number has died, or has nobody left to supervise but this process.
    ///
    /// # Errors
    /// They are logged.
    fn on_manager_stop(&mut self, worker: &Worker, pid: i32) -> Outcome {
        Ok(())
    }

    /// A reload has begun.
    ///
    /// # Errors
    /// They are logged.
    fn on_before_reload(&mut self, worker: &Worker) -> Outcome {
        Ok(())
    }

    /// A reload has ended.
    ///
    /// # Errors
    /// They are logged.
    fn on_after_reload(&mut self, worker: &Worker, report: &ReloadReport) -> Outcome {
        Ok(())
    }

    /// Another process of the server has sent a message ([`Worker::send_message`]).
    ///
    /// # Errors
    /// An error is logged (a few in a time, the others are counted), and nothing else.
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        Err("a message came and the companion has no on_message".into())
    }

    /// A message of this process did not reach its receiver: [`Undelivered::error`] tells why.
    ///
    /// # Errors
    /// An error is logged, and nothing else: so it is unless this says otherwise.
    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        Err(undelivered.error().into())
    }

    /// A process of the server has died, or could not start, and nobody had told it to: a worker, a
    /// user process, or a companion before this one.
    ///
    /// # Errors
    /// They are logged.
    fn on_worker_error(&mut self, worker: &Worker, death: &WorkerDeath) -> Outcome {
        Ok(())
    }
}

impl ServerBuilder {
    /// Lets the program know what happens to its server: `make` is called in a process of its own,
    /// the companion, and what it makes is told ([`ServerEvents`]).
    ///
    /// ```
    /// use ostler::{Outcome, Server, ServerEvents, Worker};
    ///
    /// struct Flag;
    ///
    /// impl ServerEvents for Flag {
    ///     fn on_before_shutdown(&mut self, _: &Worker) -> Outcome {
    ///         Ok(std::fs::write("/run/it/leaving", b"")?) // a load balancer looks at it
    ///     }
    /// }
    ///
    /// let builder = Server::builder().companion(|_| Flag);
    /// ```
    #[must_use]
    pub fn companion<E: ServerEvents>(mut self, make: impl Fn(&Worker) -> E + 'static) -> Self {
        self.companion = Some(CompanionFactory {
            type_id: std::any::TypeId::of::<E>(),
            make: Rc::new(move |worker| Box::new(make(worker))),
        });
        self
    }
}

type MakeEvents = dyn Fn(&Worker) -> Box<dyn AnyEvents>;

/// Makes what the companion tells events to.
#[derive(Clone)]
pub(crate) struct CompanionFactory {
    /// For whom its timers are.
    pub(crate) type_id: std::any::TypeId,
    make: Rc<MakeEvents>,
}

impl fmt::Debug for CompanionFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a factory")
    }
}

impl CompanionFactory {
    /// The companion, which hears of events through this link.
    pub(crate) fn make(
        &self,
        worker: &Worker,
        link: Channel<FromCompanion, ToCompanion>,
    ) -> Companion {
        let (text, report) = (ShortText::new(""), ReloadReport::default());
        Companion { events: (self.make)(worker), link, text, report }
    }
}

/// [`ServerEvents`] of a type that is forgotten.
trait AnyEvents {
    fn tell(&mut self, worker: &Worker, event: ServerEvent, more: (&str, ReloadReport)) -> Outcome;
    fn message(&mut self, worker: &Worker, message: &Message) -> Outcome;
    fn undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<E: ServerEvents> AnyEvents for E {
    fn tell(
        &mut self,
        worker: &Worker,
        event: ServerEvent,
        (text, mut report): (&str, ReloadReport),
    ) -> Outcome {
        match event {
            ServerEvent::Start => self.on_start(worker),
            ServerEvent::BeforeShutdown => self.on_before_shutdown(worker),
            ServerEvent::Shutdown => self.on_shutdown(worker),
            ServerEvent::ManagerStart { pid } => self.on_manager_start(worker, pid),
            ServerEvent::ManagerStop { pid } => self.on_manager_stop(worker, pid),
            ServerEvent::BeforeReload => self.on_before_reload(worker),
            ServerEvent::AfterReload(outcome) => {
                report.give_reason(text);
                self.on_after_reload(worker, &report.end(outcome, false))
            }
            ServerEvent::WorkerError { worker: key, pid, exit } => {
                let death = WorkerDeath {
                    name: key.to_string(),
                    slot: key.slot.0,
                    generation: key.generation.0,
                    pid,
                    exit,
                    cause: text.to_owned(),
                };
                self.on_worker_error(worker, &death)
            }
        }
    }

    fn message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        self.on_message(worker, message)
    }

    fn undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        self.on_undelivered(worker, undelivered)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// What the companion has in the place of a handler.
pub(crate) struct Companion {
    events: Box<dyn AnyEvents>,
    link: Channel<FromCompanion, ToCompanion>,
    /// That of the next event.
    text: ShortText,
    /// The slots of the reload that the next event is about.
    report: ReloadReport,
}

impl Companion {
    fn on_event(&mut self, worker: &Worker, number: u32, event: ServerEvent) {
        let text = std::mem::replace(&mut self.text, ShortText::new(""));
        let more = (text.as_str(), std::mem::take(&mut self.report));
        if let Err(error) = self.events.tell(worker, event, more) {
            tracing::error!(?event, %error, "the companion failed at an event");
        }
        worker.context().sender.publish();
        if let Err(error) = self.link.send(&FromCompanion::Handled(number), Vec::new()) {
            tracing::debug!(%error, "the master cannot be reached");
        }
    }
}

fn no_session() -> Outcome {
    Err(Failure::from(NO_SESSIONS))
}

impl AnyHandler for Companion {
    fn on_worker_start(&mut self, _: &Worker) -> Outcome {
        Ok(())
    }

    fn work(&mut self, _: &Worker) -> Option<Outcome> {
        None
    }

    fn look(&mut self, worker: &Worker) {
        // What the master does not read now it reads later.
        let _ = self.link.flush();
        loop {
            match self.link.receive() {
                Ok(Received::Message(ToCompanion::Text(text), _)) => self.text = text,
                Ok(Received::Message(ToCompanion::Slots(part), _)) => self.report.add(&part),
                Ok(Received::Message(ToCompanion::Event(number, event), _)) => {
                    self.on_event(worker, number, event);
                }
                // Who ends this process with the master has seen it, too.
                Ok(Received::Nothing | Received::Closed) => return,
                Err(error) => return tracing::error!(%error, "the master cannot be understood"),
            }
        }
    }

    fn on_connect(&mut self, _: &Worker, _: &Session) -> Outcome {
        no_session()
    }

    fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
        no_session()
    }

    fn on_buffer_full(&mut self, _: &Worker, _: &Session) -> Outcome {
        no_session()
    }

    fn on_buffer_empty(&mut self, _: &Worker, _: &Session) -> Outcome {
        no_session()
    }

    fn on_packet(&mut self, _: &Worker, _: &Packet) -> Outcome {
        no_session()
    }

    fn on_task(&mut self, _: &Worker, _: &Task) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_finish(&mut self, _: &Worker, _: &TaskResult) -> Outcome {
        Err(NO_SESSIONS.into())
    }

    fn on_close(&mut self, _: &Worker, _: &Session, _: CloseReason) -> Outcome {
        no_session()
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        self.events.message(worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        self.events.undelivered(worker, undelivered)
    }

    fn on_worker_exit(&mut self, _: &Worker) {}

    fn on_worker_stop(&mut self, _: &Worker) {}

    fn as_any(&mut self) -> &mut dyn Any {
        self.events.as_any()
    }
}
