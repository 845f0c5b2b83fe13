//! Reloads as those see them who ask for them: whose request which reload answers, and with what.

use std::collections::BTreeMap;

use ostler_core::ids::{ProcessKey, ProcessKind, Slot};
use ostler_core::reload_requests::{ReloadRequests, Request};
use ostler_core::supervisor::{Event, ReloadOutcome};

use super::event_loop::{Driver, Step};
use super::report;
use crate::control::{Asker, ReloadPart, ShortText, ToMaster, ToWorker, WantedReload};

/// The requests, by the kind of process that is to be reloaded.
#[derive(Default)]
pub(super) struct Reloads {
    requests: BTreeMap<ProcessKind, ReloadRequests<Asker>>,
    /// What became of the slots of the reload whose end is told next.
    slots: Vec<(Slot, bool)>,
}

impl Reloads {
    fn of(&mut self, kind: ProcessKind) -> &mut ReloadRequests<Asker> {
        self.requests.entry(kind).or_default()
    }

    /// Somebody asks. Says so when that has to wait.
    fn ask(&mut self, kind: ProcessKind, asker: Asker) {
        if self.of(kind).ask(asker) {
            let text = "a reload runs: this one is merged with all that are asked for until it \
                        ends, and follows it";
            tracing::info!(kind = %kind.letter(), asked_by = %asker, "{text}");
        }
    }
}

impl Driver<'_> {
    /// Somebody wants new workers.
    pub(super) fn on_reload_asked(&mut self, asker: Asker) -> Step {
        self.reloads.ask(ProcessKind::Event, asker);
        self.tell(Event::ReloadRequested)
    }

    /// An operator wants the processes of a kind replaced, and nobody else.
    pub(super) fn on_renewal_asked(&mut self, kind: ProcessKind, ticket: u32) -> Step {
        if kind.serves_sessions() {
            ostler_core::invariant!(false, "the master remembers reloads of event workers");
            return Ok(());
        }
        self.reloads.ask(kind, Asker::Operator { ticket });
        self.tell(Event::RenewalRequested(kind, None))
    }

    /// Code of the program wants something reloaded.
    pub(super) fn on_reload_wanted(
        &mut self,
        worker: ProcessKey,
        (ticket, wanted): (u32, WantedReload),
    ) -> Step {
        let (kind, slot) = match wanted {
            // The master has its part in that, and remembers it if this manager dies.
            WantedReload::Workers => return self.say(&ToMaster::WantReload { worker, ticket }),
            WantedReload::TaskWorkers => (ProcessKind::Task, None),
            WantedReload::Processes => (ProcessKind::User, None),
            WantedReload::Process(name) => {
                let names = &self.setup.attributes.process_names;
                let place = names.iter().position(|it| it == name.as_str());
                let Some(slot) = place.and_then(|place| u16::try_from(place).ok()) else {
                    let why = ShortText::new(&format!("there is no user process `{name}`"));
                    let request = Request { asker: ticket, has_waited: false };
                    self.answer(worker, request, (ReloadOutcome::NothingToReload, &[], why));
                    return Ok(());
                };
                (ProcessKind::User, Some(Slot(slot)))
            }
        };
        self.reloads.ask(kind, Asker::Process { worker, ticket });
        self.tell(Event::RenewalRequested(kind, slot))
    }

    pub(super) fn reload_started(&mut self, kind: ProcessKind) -> Step {
        let requests = self.reloads.of(kind).begin();
        report::reload_begins(kind, requests);
        if kind.serves_sessions() {
            let requests = u32::try_from(requests).unwrap_or(u32::MAX);
            return self.say(&ToMaster::ReloadStarted { requests });
        }
        Ok(())
    }

    /// What became of each slot; the end is told next.
    pub(super) fn reload_slots(&mut self, slots: Vec<(Slot, bool)>) {
        self.reloads.slots = slots;
    }

    pub(super) fn reload_ended(&mut self, kind: ProcessKind, outcome: ReloadOutcome) -> Step {
        let why = match outcome {
            ReloadOutcome::Done => ShortText::new(""),
            ReloadOutcome::CanaryFailed(_) | ReloadOutcome::Partial(_) => {
                self.reports.last_failure(kind)
            }
            ReloadOutcome::ShuttingDown => ShortText::new("the server shuts down"),
            ReloadOutcome::NothingToReload => ShortText::new("there are no such processes"),
        };
        let slots = std::mem::take(&mut self.reloads.slots);
        let requests = match outcome {
            ReloadOutcome::ShuttingDown => self.reloads.of(kind).end_all(),
            _ => self.reloads.of(kind).end(),
        };
        for Request { asker, has_waited } in requests {
            match asker {
                Asker::Process { worker, ticket } => {
                    let request = Request { asker: ticket, has_waited };
                    self.answer(worker, request, (outcome, &slots, why));
                }
                Asker::Operator { ticket } if !kind.serves_sessions() => {
                    for part in ReloadPart::split(&slots) {
                        self.say(&ToMaster::ReloadSlots(part))?;
                    }
                    self.say(&ToMaster::RenewalWhy(why))?;
                    self.say(&ToMaster::Renewed { kind, ticket, outcome })?;
                }
                // The master answers.
                Asker::Operator { .. } | Asker::Signal { .. } => {}
            }
        }
        if !kind.serves_sessions() {
            report::reload_ended(kind, outcome, &slots, why);
            return Ok(());
        }
        self.reload_over(outcome);
        // The master says how it ended.
        for part in ReloadPart::split(&slots) {
            self.say(&ToMaster::ReloadSlots(part))?;
        }
        self.say(&ToMaster::ReloadFinished { outcome, why })
    }

    /// Answers a process. One that does not listen, or lives no more, has lost its answer.
    fn answer(
        &self,
        worker: ProcessKey,
        request: Request<u32>,
        (outcome, slots, why): (ReloadOutcome, &[(Slot, bool)], ShortText),
    ) {
        let control = self.children.get(worker).and_then(|child| child.control.as_ref());
        let Some(control) = control else { return };
        let Request { asker: ticket, has_waited } = request;
        let parts = ReloadPart::split(slots).into_iter().map(ToWorker::Slots);
        let end = [ToWorker::Why(why), ToWorker::Reloaded { ticket, outcome, has_waited }];
        for message in parts.chain(end) {
            if let Err(error) = message.send(control) {
                tracing::debug!(%worker, %error, "cannot be told how a reload ended");
                return;
            }
        }
    }
}
