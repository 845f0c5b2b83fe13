//! What a user process does that is not served by the loop: it sleeps, and looks whether it has to
//! leave.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use super::context::WorkerContext;
use crate::api::message::Message;
use crate::sys::{poll, signal};

/// Answers that nobody waits for, taken between two looks at the time and at the manager.
const ANSWERS_PER_LOOK_MAX: usize = 64;

impl WorkerContext {
    /// Whether a process that serves nobody was told to leave. Workers are told by their loop,
    /// between two deliveries.
    pub(crate) fn is_told_to_leave(&self) -> bool {
        !self.key.kind.serves_sessions()
            && (signal::termination_requested()
                || self.sender.port().is_told_to_leave()
                || self.sessions.is_told_to_leave())
    }

    /// Sleeps for so long; false: the process has to leave.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        self.wait_unless(timeout, || false)
    }

    /// Waits for a message of another process, at most so long.
    pub(crate) fn wait_for_message(&self, timeout: Duration) -> Option<Message> {
        let mut message = None;
        self.wait_unless(timeout, || {
            message = self.take_message();
            message.is_some()
        });
        message
    }

    /// Sleeps for so long, or until `is_over` after something has come; false: the process has to
    /// leave.
    fn wait_unless(&self, timeout: Duration, mut is_over: impl FnMut() -> bool) -> bool {
        let until = Instant::now().checked_add(timeout);
        loop {
            self.say_wishes();
            self.hear_manager();
            let has_more = self.let_answers_go();
            if is_over() {
                return true;
            }
            if self.leaving.has_begun() || self.is_told_to_leave() {
                return false;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return true;
            }
            if has_more {
                continue;
            }
            if let Err(error) = self.sleep(left) {
                tracing::error!(%error, "cannot wait");
                return false;
            }
        }
    }

    /// Takes results of tasks for which nobody waits any more; whether there may be more. A task
    /// that tells one after the other keeps nobody from its time or its end.
    fn let_answers_go(&self) -> bool {
        for _ in 0..ANSWERS_PER_LOOK_MAX {
            let Ok(Some(result)) = self.next_answer() else { return false };
            let _ = self.tasks.is_over(&result);
        }
        true
    }

    /// Sleeps until something happens.
    fn sleep(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        let Some(elsewhere) = self.sessions.others() else {
            return self.sender.port().idle(timeout, false, signal::termination_requested);
        };
        let again = elsewhere.flush();
        let timeout = [timeout, again].into_iter().flatten().min();
        let mut port = self.sender.port();
        let sleeps = port.fall_asleep(false) && !signal::termination_requested();
        let slept = match sleeps {
            true => {
                let watched = [elsewhere.master(), elsewhere.ways(), port.as_fd()];
                poll::wait_readable(watched, timeout).map(|_| ())
            }
            false => Ok(()),
        };
        port.wake();
        slept.and_then(|()| port.hush())
    }

    /// Sleeps until an answer comes, at most so long. Whatever else happens may end it, too. What
    /// user code has sent to sessions of other processes goes on meanwhile.
    pub(super) fn sleep_for_answer(&self, timeout: Duration) -> std::io::Result<()> {
        let Some(elsewhere) = self.sessions.others() else {
            return self.sender.port().wait_for_answer(timeout, None);
        };
        let timeout = elsewhere.flush().map_or(timeout, |again| again.min(timeout));
        self.sender.port().wait_for_answer(timeout, Some(elsewhere.ways()))
    }

    /// The name of the user process that this is.
    pub(crate) fn process_name(&self) -> Option<&str> {
        self.callee.process_name()
    }
}
