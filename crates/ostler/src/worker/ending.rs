//! The end of a worker: when it asks for its successor, what keeps it, and its last words.

use ostler_core::supervisor::LeaveReason;

use super::event_loop::Run;
use crate::api::own_handler::AnyHandler;
use crate::control::{Callback, FromWorker};
use crate::log::Quotas as _;
use crate::sys::{clock, signal};

/// The body of a user process returned an error.
const EXIT_FAILED: i32 = 1;

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
            return self.context.leaving.is_done() && self.ends_by_itself();
        }
        if !self.context.leaving.has_begun() {
            self.context.leaving.begin();
            self.context.timers.borrow_mut().begin_leaving();
            let half = self.context.settings.drain_timeout / 2;
            self.context.reloads.begin_leaving(clock::monotonic_ns().saturating_add(half));
            self.shown.begin(Callback::Exit);
            self.handlers.on_worker_exit();
            self.shown.end();
            self.context.settle_deferred();
            self.log_holders();
        }
        !self.is_held() && self.context.inbox.end()
    }

    /// Whether nothing keeps a process whose work is done.
    fn ends_by_itself(&self) -> bool {
        if self.context.leaving.has_failed() {
            return true;
        }
        let has_timers = self.context.timers.borrow_mut().next_due().is_some();
        !has_timers && self.context.leaving.holders() == 0 && self.context.inbox.end()
    }

    fn is_held(&self) -> bool {
        self.context.leaving.holders() > 0
            || self.context.tasks.are_awaited()
            || self.context.timers.borrow().holding().next().is_some()
            || self.context.reloads.holds_until(clock::monotonic_ns()).is_some()
    }

    /// Says once what keeps a leaving process (P8).
    fn log_holders(&self) {
        if !self.is_held() {
            return;
        }
        let timers: Vec<String> =
            self.context.timers.borrow().holding().take(8).map(ToString::to_string).collect();
        tracing::info!(
            tokens_and_deferred = self.context.leaving.holders(),
            timers = timers.join(" "),
            tasks = self.context.tasks.awaited(),
            "leaving, but held"
        );
    }

    /// With which code this process ends in good order.
    pub(crate) fn exit_code(&self) -> i32 {
        if self.context.leaving.has_failed() { EXIT_FAILED } else { 0 }
    }

    /// The last words of a worker that ends with this code, which is answered.
    pub(crate) fn end(mut self, code: i32) -> i32 {
        self.context.complaints.tell_rest();
        if code == 0 {
            self.shown.begin(Callback::Stop);
            self.handlers.on_worker_stop();
            self.shown.end();
            self.context.settle_deferred();
            self.context.sender.publish();
            tracing::debug!(finished = self.context.sender.finished(), "leaves");
        }
        code
    }
}
