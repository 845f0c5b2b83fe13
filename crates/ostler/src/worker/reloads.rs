//! Reloads that code of this process has asked for, and their answers.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::Location;

use ostler_core::{Nanos, invariant};

use super::context::WorkerContext;
use super::handlers::HandlerId;
use crate::api::outcome::Outcome;
use crate::api::reports::ReloadReport;
use crate::api::worker::Worker;
use crate::control::{FromWorker, ToWorker, WantedReload};

/// What is called with the answer.
pub(crate) type Answered = Box<dyn FnOnce(&mut dyn Any, &Worker, &ReloadReport) -> Outcome>;

/// One request.
struct Request {
    asked_at: &'static Location<'static>,
    report: Option<ReloadReport>,
    then: Option<(HandlerId, Answered)>,
}

/// All requests whose tickets somebody has, or whose answers somebody waits for.
#[derive(Default)]
pub(crate) struct Reloads {
    requests: RefCell<BTreeMap<u32, Request>>,
    last: Cell<u32>,
    /// What was told of the reload whose end is told next.
    coming: RefCell<ReloadReport>,
    /// A leaving worker waits for its answers until then.
    stays_until: Cell<Nanos>,
}

impl Reloads {
    fn add(&self, asked_at: &'static Location<'static>) -> u32 {
        let ticket = self.last.get().wrapping_add(1);
        self.last.set(ticket);
        let request = Request { asked_at, report: None, then: None };
        self.requests.borrow_mut().insert(ticket, request);
        ticket
    }

    /// How it ended, if that is known.
    pub(crate) fn report(&self, ticket: u32) -> Option<ReloadReport> {
        self.requests.borrow().get(&ticket)?.report.clone()
    }

    /// Calls this with the answer.
    pub(crate) fn call(&self, ticket: u32, handler: HandlerId, then: Answered) {
        let mut requests = self.requests.borrow_mut();
        let request = requests.get_mut(&ticket);
        invariant!(request.is_some(), "a request stays as long as its ticket");
        if let Some(request) = request {
            request.then = Some((handler, then));
        }
    }

    /// Nobody has the ticket any more: the request stays for what is to be called.
    pub(crate) fn forget_ticket(&self, ticket: u32) {
        self.requests.borrow_mut().retain(|number, it| *number != ticket || it.then.is_some());
    }

    /// Takes one answer out that somebody waits for.
    pub(super) fn take_answer(&self) -> Option<(HandlerId, Answered, ReloadReport)> {
        let mut requests = self.requests.borrow_mut();
        let is_due = |request: &Request| request.report.is_some() && request.then.is_some();
        let ticket = requests.iter().find(|(_, it)| is_due(it)).map(|(ticket, _)| *ticket)?;
        let Request { report, then, .. } = requests.remove(&ticket)?;
        let (handler, then) = then?;
        Some((handler, then, report?))
    }

    /// The process begins to leave: it stays for its answers until then.
    pub(super) fn begin_leaving(&self, stays_until: Nanos) {
        self.stays_until.set(stays_until);
    }

    /// Where it was asked what a leaving process waits for.
    pub(super) fn awaited(&self) -> Vec<&'static Location<'static>> {
        let requests = self.requests.borrow();
        let awaited = requests.values().filter(|it| it.report.is_none() && it.then.is_some());
        awaited.map(|request| request.asked_at).collect()
    }

    /// Until when a leaving process waits for an answer, if it does.
    pub(super) fn holds_until(&self, now: Nanos) -> Option<Nanos> {
        let until = Some(self.stays_until.get()).filter(|until| *until > now)?;
        (!self.awaited().is_empty()).then_some(until)
    }

    fn hear(&self, message: ToWorker) {
        let mut coming = self.coming.borrow_mut();
        match message {
            ToWorker::Slots(part) => coming.add(&part),
            ToWorker::Why(text) => coming.give_reason(text.as_str()),
            ToWorker::WhatHolds => {}
            ToWorker::Reloaded { ticket, outcome, has_waited } => {
                let report = coming.end(outcome, has_waited);
                if let Some(request) = self.requests.borrow_mut().get_mut(&ticket) {
                    request.report = Some(report);
                }
            }
        }
    }
}

impl WorkerContext {
    /// Code asks for a reload; the answer is the number of its request.
    pub(crate) fn want_reload(
        &self,
        wanted: WantedReload,
        asked_at: &'static Location<'static>,
    ) -> u32 {
        let ticket = self.reloads.add(asked_at);
        self.wishes.want_reload(ticket, wanted);
        ticket
    }

    /// Says what user code asked for, once there is somebody who hears it.
    pub(super) fn say_wishes(&self) {
        if !self.manager.is_attached() {
            return;
        }
        if let Some(workers) = self.wishes.take_workers() {
            self.manager.say(FromWorker::WantWorkers(workers));
        }
        while let Some((ticket, wanted)) = self.wishes.take_reload() {
            self.manager.listen_by(&self.sender.port());
            self.manager.say(FromWorker::WantReload { ticket, wanted });
        }
    }

    /// Takes what the manager says, if this process has a reason to listen.
    pub(super) fn hear_manager(&self) {
        while self.manager.listens()
            && let Some(message) = self.manager.hear()
        {
            match message {
                ToWorker::WhatHolds => self.leaving.ask(),
                answer => self.reloads.hear(answer),
            }
        }
    }
}
