//! Asking for a reload, and its answer.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use super::outcome::Outcome;
use super::reports::ReloadReport;
use super::worker::{WRONG_HANDLER, Worker};
use crate::control::{ShortText, WantedReload};
use crate::worker::WorkerContext;

/// What is to be reloaded, for [`Worker::reload`].
///
/// ```
/// # use ostler::{Reload, Worker};
/// fn restart_the_importer(worker: &Worker) {
///     // Asked for, whatever becomes of it; the log tells that.
///     drop(worker.reload(Reload::Process("importer")));
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reload<'name> {
    /// All event workers, successor first, as `SIGUSR1` does; then the task workers, the companion
    /// and the user processes that follow reloads. The answer comes when the event workers are new.
    Workers,
    /// The task workers alone, successor first.
    TaskWorkers,
    /// All user processes: each is asked to leave, and begins anew when it has ended.
    Processes,
    /// The user process of this name alone.
    Process(&'name str),
}

impl Reload<'_> {
    pub(super) fn to_wanted(self) -> WantedReload {
        match self {
            Self::Workers => WantedReload::Workers,
            Self::TaskWorkers => WantedReload::TaskWorkers,
            Self::Processes => WantedReload::Processes,
            Self::Process(name) => WantedReload::Process(ShortText::new(name)),
        }
    }
}

/// A reload that was asked for with [`Worker::reload`]. Dropping it changes nothing about the
/// reload.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{Outcome, Reload, Worker};
/// /// A user process that deploys what somebody else has put in place.
/// fn deploy(worker: &Worker) -> Outcome {
///     let ticket = worker.reload(Reload::Workers);
///     while worker.wait(Duration::from_millis(100)) {
///         if let Some(report) = ticket.report() {
///             println!("deployed: {}", report.is_done());
///             break;
///         }
///     }
///     Ok(())
/// }
/// ```
pub struct ReloadTicket {
    context: Rc<WorkerContext>,
    number: u32,
}

impl fmt::Debug for ReloadTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadTicket").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for ReloadTicket {
    fn drop(&mut self) {
        self.context.reloads.forget_ticket(self.number);
    }
}

impl ReloadTicket {
    pub(super) const fn new(context: Rc<WorkerContext>, number: u32) -> Self {
        Self { context, number }
    }

    /// How it ended; `None` as long as that is not known. It becomes known between two callbacks,
    /// or in [`Worker::wait`].
    ///
    /// ```
    /// # use ostler::ReloadTicket;
    /// fn is_deployed(ticket: &ReloadTicket) -> bool {
    ///     ticket.report().is_some_and(|report| report.is_done())
    /// }
    /// ```
    #[must_use]
    pub fn report(&self) -> Option<ReloadReport> {
        self.context.reloads.report(self.number)
    }

    /// Calls `callback` when it has ended, with the handler whose callback runs now. An error that
    /// it returns is logged.
    ///
    /// A worker that is replaced by the reload it has asked for stays until it was called, but at
    /// most half of `drain_timeout_ms`.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Reload, Session, Worker};
    /// struct Admin;
    ///
    /// impl Handler for Admin {
    ///     fn on_receive(&mut self, worker: &Worker, session: &Session, _: &Package) -> Outcome {
    ///         let session = session.clone();
    ///         worker.reload(Reload::Workers).then::<Self>(move |_, _, report| {
    ///             let text = if report.is_done() { "done\n" } else { "failed\n" };
    ///             Ok(session.send(text.as_bytes())?)
    ///         });
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[track_caller]
    pub fn then<H: 'static>(
        self,
        callback: impl FnOnce(&mut H, &Worker, &ReloadReport) -> Outcome + 'static,
    ) {
        let handler = self.context.callee.running_of::<H>();
        assert!(handler.is_some(), "{WRONG_HANDLER}");
        let callback = move |handler: &mut dyn Any, worker: &Worker, report: &ReloadReport| {
            handler.downcast_mut().map_or(Ok(()), |handler| callback(handler, worker, report))
        };
        let handler = handler.unwrap_or_default();
        self.context.reloads.call(self.number, handler, Box::new(callback));
    }
}
