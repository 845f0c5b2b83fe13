//! The end of a worker: when it asks for its successor, what keeps it, and its last words.

use ostler_core::supervisor::LeaveReason;

use super::event_loop::Run;
use super::leaving::place;
use crate::api::own_handler::AnyHandler;
use crate::control::{Callback, FromWorker, ShortText};
use crate::log::Quotas as _;
use crate::sys::{clock, signal};

/// The body of a user process returned an error.
const EXIT_FAILED: i32 = 1;
/// Of what holds a leaving process so much is told.
const HOLDERS_TOLD_MAX: usize = 8;

impl<H: AnyHandler> Run<H> {
    /// Asks to be replaced, once, when there is a reason.
    pub(super) fn ask_to_leave(&mut self) {
        if self.asked_to_leave {
            return;
        }
        let enough = self
            .context
            .settings
            .max_requests
            .is_some_and(|most| self.context.sender.finished() >= most);
        let reason = if enough {
            LeaveReason::MaxRequests
        } else if signal::termination_requested() || self.context.leaving.is_wanted() {
            LeaveReason::Asked
        } else if self.idleness.is_over(self.measured_at, self.is_held()) {
            LeaveReason::Idle
        } else {
            return;
        };
        self.asked_to_leave = true;
        let _ = FromWorker::LeaveRequest(reason).send(&self.control);
    }

    /// Between two rounds: whether every lane was left and nothing holds this process any more.
    pub(crate) fn may_end(&mut self) -> bool {
        if !self.context.sender.port().is_left() {
            if self.context.sender.port().is_told_to_leave() {
                self.context.leaving.told();
            }
            return self.context.leaving.is_done() && self.ends_by_itself();
        }
        if !self.context.leaving.has_begun() {
            self.context.leaving.begin();
            self.context.timers.borrow_mut().begin_leaving();
            let half = self.context.settings.drain_timeout / 2;
            self.context.reloads.begin_leaving(clock::monotonic_ns().saturating_add(half));
            self.shown.begin(Callback::Exit);
            let span = self.context.begin_traced("on_worker_exit", None);
            self.handlers.on_worker_exit();
            self.context.end_traced(span);
            self.shown.end();
            self.context.settle_deferred();
            self.log_holders();
            self.listen();
        }
        !self.is_held() && self.context.inbox.end()
    }

    /// Whether nothing keeps a process whose work is done.
    fn ends_by_itself(&self) -> bool {
        if self.context.leaving.has_failed() {
            return true;
        }
        let has_timers = self.context.timers.borrow_mut().next_due().is_some();
        !has_timers && self.context.leaving.count() == 0 && self.context.inbox.end()
    }

    fn is_held(&self) -> bool {
        self.context.leaving.count() > 0
            || self.context.tasks.are_awaited()
            || self.context.timers.borrow().holding().next().is_some()
            || self.context.reloads.holds_until(clock::monotonic_ns()).is_some()
    }

    /// This process is to end: its manager may ask what keeps it.
    pub(crate) fn listen(&self) {
        self.context.leaving.told();
        self.context.manager.listen_by(&self.context.sender.port());
    }

    /// All that keeps a leaving process, in words.
    fn holders(&self) -> Vec<String> {
        let context = &self.context;
        let mut all = context.leaving.holders();
        let timers = context.timers.borrow();
        all.extend(timers.holding().map(|made_at| format!("a timer of {}", place(made_at))));
        let reloads = context.reloads.awaited();
        all.extend(reloads.iter().map(|at| format!("a reload asked for at {}", place(at))));
        let tasks = context.tasks.awaited();
        all.extend((tasks > 0).then(|| format!("the results of {tasks} tasks")));
        if context.inbox.has_posts() {
            all.push("closures that other threads have posted".to_owned());
        }
        // In BASE mode its clients are its own.
        if context.sessions.others().is_some() {
            let open = context.sessions.open_here();
            all.extend((open > 0).then(|| format!("{open} open sessions")));
        }
        all
    }

    /// Says once what keeps a leaving process (P8).
    fn log_holders(&self) {
        if self.is_held() {
            let mut holders = self.holders();
            let count = holders.len();
            holders.truncate(HOLDERS_TOLD_MAX);
            tracing::info!(count, held_by = holders.join("; "), "leaving, but held");
        }
    }

    /// The manager wants to know it, before it ends this process.
    pub(super) fn answer_what_holds(&self) {
        if !self.context.leaving.take_question() {
            return;
        }
        let holders = self.holders();
        for holder in holders.iter().take(HOLDERS_TOLD_MAX) {
            self.context.manager.say(FromWorker::Holder(ShortText::new(holder)));
        }
        let more = holders.len().saturating_sub(HOLDERS_TOLD_MAX);
        self.context.manager.say(FromWorker::LastHolder(u32::try_from(more).unwrap_or(u32::MAX)));
    }

    /// With which code this process ends in good order.
    pub(crate) fn exit_code(&self) -> i32 {
        if self.context.leaving.has_failed() { EXIT_FAILED } else { 0 }
    }

    /// The last words of a worker that ends with this code.
    pub(crate) fn end(&mut self, code: i32) {
        self.context.complaints.tell_rest();
        if code == 0 {
            self.shown.begin(Callback::Stop);
            let span = self.context.begin_traced("on_worker_stop", None);
            self.handlers.on_worker_stop();
            self.context.end_traced(span);
            self.shown.end();
            self.context.settle_deferred();
            self.context.sender.publish();
            tracing::debug!(finished = self.context.sender.finished(), "leaves");
        }
    }

    /// The last of all, because exporting what is left may take long: whoever hears of spans is
    /// told that no more come. Of a body that has failed, too, whose spans are wanted the most.
    pub(crate) fn end_spans(&self, code: i32) {
        if matches!(code, 0 | EXIT_FAILED) {
            self.context.traces.stop_listening();
        }
    }
}
