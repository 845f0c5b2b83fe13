//! The built-in loop of a worker: deliveries, timers, leaving.

mod messages;
mod tasks;
mod traces;

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use ostler_core::Nanos;
use ostler_core::brain::CloseReason;
use ostler_core::ids::{PortId, ProcessKey};
use ostler_core::invariant;
use ostler_core::work_mean::WorkMean;
use ostler_shm::record::{Header, RecordKind};

use super::closed::Cause;
use super::context::WorkerContext;
use super::handlers::Handlers;
use super::idleness::Idleness;
use super::port::{Found, Payload, Taken};
use super::running::RunningDelivery;
use super::shown::Shown;
use super::start::{ORPHANED, cannot_start, starting};
use super::streams::Parked;
use crate::api::outcome::{Failure, Outcome};
use crate::api::own_handler::AnyHandler;
use crate::api::package::Package;
use crate::api::packet::Packet;
use crate::api::send_error::SendError;
use crate::api::session::Session;
use crate::control::{Callback, FromWorker};
use crate::log::{self, Quotas as _};
use crate::sys::clock;

/// The memory that the master gave does not fit this worker, or became nonsense.
pub(crate) const EXIT_LANES: i32 = 4;

/// Deliveries handled before timers and signals are looked at again.
const BATCH: usize = 64;

/// The loop of a worker process.
pub(crate) struct Run<H> {
    pub(super) context: Rc<WorkerContext>,
    pub(super) handlers: Handlers<H>,
    /// Words to the manager.
    pub(super) control: Rc<OwnedFd>,
    said_taken: bool,
    pub(super) asked_to_leave: bool,
    pub(super) idleness: Idleness,
    work: WorkMean,
    /// When the last delivery ended, or the batch began.
    pub(super) measured_at: Nanos,
    /// Where this process shows what it is doing.
    pub(super) shown: Shown,
}

/// What a round of the loop found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// There may be more at once.
    Busy,
    /// Nothing is left to do for now.
    Idle,
    /// The lanes hold nonsense.
    Broken,
}

impl<H: AnyHandler> Run<H> {
    pub(crate) fn new(context: Rc<WorkerContext>, handlers: Handlers<H>, control: OwnedFd) -> Self {
        let control = Rc::new(control);
        context.manager.attach(Rc::clone(&control));
        Self {
            idleness: Idleness::new(context.settings.idle_max),
            context,
            handlers,
            control,
            said_taken: false,
            asked_to_leave: false,
            work: WorkMean::default(),
            measured_at: 0,
            shown: Shown::default(),
        }
    }

    /// The worker's handlers.
    pub(crate) const fn handlers(&mut self) -> &mut Handlers<H> {
        &mut self.handlers
    }

    /// Who this is.
    pub(crate) fn key(&self) -> ProcessKey {
        self.context.key
    }

    /// Hands out what becomes readable when a bell of this worker rings.
    pub(crate) fn with_bells<T>(&self, look: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        look(self.context.sender.port().as_fd())
    }

    /// Forgets the bells that have rung: this worker looks for itself in each round.
    pub(crate) fn hush(&self) {
        // A look that fails leaves them as they are, and comes again.
        let _ = self.context.sender.port().hush();
    }

    /// Somebody else sleeps for this worker: tells reactors that are not in this thread. False:
    /// there are news of theirs.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.context.sender.port().fall_asleep(self.context.leaving.has_begun())
    }

    /// It is awake again.
    pub(crate) fn wake(&self) {
        self.context.sender.port().wake();
    }

    /// Calls `on_worker_start`.
    pub(crate) fn start(&mut self) -> Outcome {
        let span = self.context.begin_traced("on_worker_start", None);
        let started = self.handlers.on_worker_start();
        self.context.end_traced(span);
        started
    }

    /// Serves until the end; answers the exit code.
    pub(crate) fn run(mut self) -> i32 {
        if let Err(code) = self.begin() {
            return code;
        }
        let code = self.serve();
        self.end(code);
        self.end_spans(code);
        code
    }

    /// Calls `on_worker_start` and tells the manager; an error is the exit code.
    pub(crate) fn begin(&mut self) -> Result<(), i32> {
        self.shown.begin(Callback::Start);
        let span = self.context.begin_traced("on_worker_start", None);
        let started = starting(&self.control, || self.handlers.on_worker_start());
        if started.is_err() {
            self.context.traces.failed();
        }
        self.context.end_traced(span);
        self.shown.end();
        if let Err(error) = started {
            return Err(cannot_start(&self.control, "on_worker_start failed", &error));
        }
        if let Err(error) = FromWorker::Ready.send(&self.control) {
            // Nobody will let this worker serve, and another takes its place. Whoever lost the
            // manager tells that, once.
            tracing::debug!(%error, "the manager does not listen");
            return Err(ORPHANED);
        }
        tracing::debug!("ready");
        self.work();
        Ok(())
    }

    /// Does what there is to do once. A process that serves nobody has done its part with that.
    fn work(&mut self) {
        let span = self.context.begin_traced("run", None);
        let outcome = self.handlers.work();
        if let Some(Err(_)) = outcome {
            self.context.traces.failed();
        }
        self.context.end_traced(span);
        let Some(outcome) = outcome else { return };
        if let Err(error) = &outcome {
            tracing::error!(%error, "failed");
        }
        self.context.sender.publish();
        self.context.leaving.work_is_done(outcome.is_err());
    }

    fn serve(&mut self) -> i32 {
        loop {
            match self.round() {
                Round::Busy => continue,
                Round::Broken => return EXIT_LANES,
                Round::Idle => {}
            }
            if self.may_end() {
                return self.exit_code();
            }
            if let Err(error) = self.idle() {
                tracing::error!(%error, "cannot wait");
                return EXIT_LANES;
            }
        }
    }

    /// What is due, what other threads posted, a batch of deliveries.
    pub(crate) fn round(&mut self) -> Round {
        self.handlers.look();
        self.run_timers();
        self.run_posts();
        self.run_writers();
        let results = self.run_results();
        if results == Round::Broken {
            return results;
        }
        let messages = self.run_messages();
        self.measured_at = clock::monotonic_ns();
        let mut round = Round::Busy;
        for _ in 0..BATCH {
            // Bound apart, so that no borrow is held while the handler runs.
            let found = self.context.sender.port().take();
            match found {
                Found::Delivery(taken) => {
                    self.deliver(taken);
                    self.measure();
                }
                Found::Nothing => {
                    round = if messages == Round::Busy { messages } else { results };
                    break;
                }
                Found::Broken => {
                    tracing::error!("the lanes hold nonsense");
                    return Round::Broken;
                }
            }
        }
        self.context.sender.flush_aborts(&self.context.sessions);
        self.context.complaints.tell_due();
        self.ask_to_leave();
        self.context.say_wishes();
        if self.run_answers() { Round::Busy } else { round }
    }

    fn idle(&self) -> std::io::Result<()> {
        let was_left = self.context.leaving.has_begun();
        // Whoever gives credit was seen by this look, or rings after it.
        let timeout = self.sleep_time();
        self.context.sender.port().idle(timeout, was_left, || self.has_more())
    }

    /// Whether there is something to do that no lane shows.
    pub(crate) fn has_more(&self) -> bool {
        self.context.streams.has_ready()
            || self.context.tasks.has_parked()
            || self.context.messages.has_parked()
    }

    /// How long this worker may sleep when nothing is there for it; `None`: until something is.
    pub(crate) fn sleep_time(&self) -> Option<Duration> {
        let timer = self.context.timers.borrow_mut().next_due();
        let idle = self.idleness.due().filter(|_| !self.asked_to_leave);
        let answers = self.context.reloads.holds_until(clock::monotonic_ns());
        let complaints = self.context.complaints.next_due();
        let due = [timer, idle, answers, complaints].into_iter().flatten().min();
        let mut timeout =
            due.map(|at| Duration::from_nanos(at.saturating_sub(clock::monotonic_ns())));
        if self.context.inbox.has_posts() {
            timeout = Some(Duration::ZERO);
        }
        if self.context.sender.owes_aborts() {
            timeout = Some(Duration::from_millis(10));
        }
        timeout
    }

    /// Calls what is due now. What becomes due meanwhile waits for the next round, or a timer whose
    /// callback takes longer than its period would keep the packages out.
    fn run_timers(&mut self) {
        let now = clock::monotonic_ns();
        loop {
            let due = self.context.timers.borrow_mut().take_due(now);
            let Some((handler, callback)) = due else { return };
            self.shown.begin(Callback::Timer);
            let span = self.context.begin_traced("timer", None);
            let call = |handler: &mut _, worker: &_| callback.call(handler, worker);
            let outcome = self.handlers.call(handler, call);
            self.shown.end();
            self.log_failure(outcome, "timer");
            self.context.end_traced(span);
            self.context.settle_deferred();
        }
    }

    /// Runs what other threads have posted until now.
    fn run_posts(&mut self) {
        for (handler, post) in self.context.inbox.take() {
            self.shown.begin(Callback::Post);
            let span = self.context.begin_traced("post", None);
            let outcome = self.handlers.call(handler, post);
            self.shown.end();
            self.log_failure(outcome, "post");
            self.context.end_traced(span);
            self.context.settle_deferred();
        }
    }

    /// Calls those who stream and have room again, each once.
    fn run_writers(&mut self) {
        for Parked { writer, handler, resumption, trace } in self.context.streams.take_ready() {
            self.shown.begin(Callback::Writable);
            let span = self.context.begin_traced("on_writable", trace);
            let resume = |handler: &mut _, worker: &_| resumption(handler, worker, writer);
            let outcome = self.handlers.call(handler, resume);
            self.shown.end();
            self.log_failure(outcome, "on_writable");
            self.context.end_traced(span);
            self.context.settle_deferred();
        }
    }

    /// Calls those who have waited for what the manager has answered; true when there were some.
    fn run_answers(&mut self) -> bool {
        self.context.hear_manager();
        self.answer_what_holds();
        let mut has_run = false;
        while let Some((handler, then, report)) = self.context.reloads.take_answer() {
            has_run = true;
            self.shown.begin(Callback::Post);
            let span = self.context.begin_traced("reload", None);
            let call = |handler: &mut _, worker: &_| then(handler, worker, &report);
            let outcome = self.handlers.call(handler, call);
            self.shown.end();
            self.log_failure(outcome, "reload");
            self.context.end_traced(span);
            self.context.settle_deferred();
        }
        has_run
    }

    fn deliver(&mut self, taken: Taken) {
        if !self.said_taken {
            self.said_taken = true;
            // If the manager does not listen any more, it is not interested either.
            let _ = FromWorker::TookDelivery.send(&self.control);
        }
        let Taken { lane, header, payload, position, terms } = taken;
        if header.kind == RecordKind::Task as u8 {
            return self.run_task(lane, &header, payload, terms);
        }
        let (ring_len, area) = (payload.ring_len(), payload.area());
        let port = PortId(header.port);
        let exposed = !self.context.settings.port(port).holds_outputs();
        let kind = RecordKind::from_byte(header.kind);
        let cause = Cause { session: header.subject, seq: header.seq };
        let is_package = kind == Some(RecordKind::Data);
        let called = kind.filter(|kind| self.calls_with(*kind, port, cause));
        let skipped = is_package && called.is_none();
        self.context.begin_callback(RunningDelivery {
            session: header.subject,
            port,
            lane,
            seq: header.seq,
            position,
            ring_len,
            area,
            exposed,
            held_bytes: 0,
            used: None,
            skipped,
        });
        self.shown.begin_delivery(kind, &header, self.measured_at);
        let span = self.begin_trace(lane, called, &header);
        let session = Session::new(Rc::clone(&self.context), header.subject);
        log::set_session(header.subject);
        // Nothing of the ring may be held when the delivery is finished: its space is given back
        // with the FIN.
        let is_told = matches!(kind, Some(RecordKind::Connect | RecordKind::Datagram));
        let payload = Some(payload).filter(|_| (is_package && !skipped) || is_told);
        match kind {
            Some(RecordKind::Connect) => self.tell_of_connect(port, &session, payload),
            Some(RecordKind::Data | RecordKind::BufferFull | RecordKind::BufferEmpty)
                if called.is_none() => {}
            Some(RecordKind::Data) => {
                let payload = payload.unwrap_or(Payload::Heap(Vec::new()));
                let package = Package::new(&self.context, payload, header.subject, header.flags);
                let outcome = self.handlers.on_receive(port, &session, &package);
                self.close_on_failure(outcome, "on_receive", &session);
            }
            Some(kind @ (RecordKind::BufferFull | RecordKind::BufferEmpty)) => {
                self.tell_of_buffer(kind, port, &session);
            }
            Some(RecordKind::Datagram) => self.deliver_datagram(payload, &header),
            Some(RecordKind::Closed) => {
                if called.is_some() {
                    self.tell_of_close(port, &session);
                }
                self.context.sessions.forget(header.subject);
            }
            _ => tracing::warn!(kind = header.kind, "a delivery of an unknown kind is skipped"),
        }
        log::set_session(0);
        self.context.end_traced(span);
        self.context.end_callback();
        self.shown.end_delivery();
    }

    /// A client has connected; `payload` is what it has shown.
    fn tell_of_connect(&mut self, port: PortId, session: &Session, payload: Option<Payload>) {
        if let Some(payload) = payload {
            self.context.arriving.begin(session.id(), payload.bytes());
        }
        let outcome = self.handlers.on_connect(port, session);
        self.context.arriving.end();
        self.close_on_failure(outcome, "on_connect", session);
    }

    /// Its client has gone, or its session was closed.
    fn tell_of_close(&mut self, port: PortId, session: &Session) {
        // Its reactor publishes the reason before it gives this record.
        let reason = self.context.sessions.shown_reason(session.id());
        let reason = reason.unwrap_or(CloseReason::PeerError);
        let outcome = self.handlers.on_close(port, session, reason);
        self.log_failure(outcome, "on_close");
    }

    /// Whether a handler is called with what has come.
    fn calls_with(&self, kind: RecordKind, port: PortId, cause: Cause) -> bool {
        let settings = self.context.settings.port(port);
        match kind {
            RecordKind::Closed => settings.connect_events,
            RecordKind::Data => !self.context.sessions.skips_package(cause, settings.discards_gone),
            // Whoever has closed a session sends no more.
            RecordKind::BufferFull | RecordKind::BufferEmpty => {
                !self.context.sessions.skips_package(cause, false)
            }
            _ => true,
        }
    }

    /// The unsent output of a session has crossed a mark.
    fn tell_of_buffer(&mut self, kind: RecordKind, port: PortId, session: &Session) {
        if kind == RecordKind::BufferFull {
            let outcome = self.handlers.on_buffer_full(port, session);
            self.close_on_failure(outcome, "on_buffer_full", session);
        } else {
            let outcome = self.handlers.on_buffer_empty(port, session);
            self.close_on_failure(outcome, "on_buffer_empty", session);
        }
    }

    fn deliver_datagram(&mut self, payload: Option<Payload>, header: &Header) {
        let packet = payload
            .and_then(|payload| Packet::new(&self.context, payload, header.port, header.flags));
        let Some(packet) = packet else {
            return invariant!(false, "the master puts an address in front of a datagram");
        };
        let outcome = self.handlers.on_packet(PortId(header.port), &packet);
        self.log_failure(outcome, "on_packet");
    }

    /// A delivery is over: tells reactors what one takes, so that they know how many may wait here.
    fn measure(&mut self) {
        let now = clock::monotonic_ns();
        self.work.add(now.saturating_sub(self.measured_at));
        self.shown.delivered(self.measured_at, now);
        self.measured_at = now;
        self.idleness.has_worked(now);
        self.context.sender.port().publish_work(self.work.mean_ns());
    }

    /// A callback of a session has returned. If it failed its client would wait for an answer that
    /// does not come: the session ends. That a session is gone is no failure, its `on_close`
    /// follows.
    fn close_on_failure(&self, outcome: Outcome, callback: &str, session: &Session) {
        let Err(error) = outcome else { return };
        if is_gone(&error) {
            return;
        }
        self.context.traces.failed();
        if self.context.complaints.callback_failed.admits() {
            let (id, text) = (session.id(), "a callback failed, its session is closed");
            tracing::error!(callback, session = id, %error, "{text}");
        }
        // Gone meanwhile: then there is nothing to close.
        let _ = session.close();
    }

    /// A callback without a session has returned.
    fn log_failure(&self, outcome: Outcome, callback: &str) {
        let Err(error) = outcome else { return };
        if is_gone(&error) {
            return;
        }
        self.context.traces.failed();
        if self.context.complaints.callback_failed.admits() {
            tracing::error!(callback, %error, "a callback failed");
        }
    }
}

fn is_gone(error: &Failure) -> bool {
    error.downcast_ref::<SendError>().is_some_and(SendError::is_gone)
}
