//! The callbacks of a server.

use ostler_core::brain::CloseReason;

use super::outcome::Outcome;
use super::package::Package;
use super::session::Session;
use super::worker::Worker;

/// A server's code. One value lives in each worker process, made there after the fork; its
/// callbacks run one at a time.
///
/// A callback that returns an error ends its session, see [`Outcome`]. A panic in a callback ends
/// the worker process, not the server: the package in hand is settled by `crash_policy`, every
/// other session is served by the successor.
///
/// The order for one session is always `on_connect`, `on_receive`…, `on_close`, each started after
/// the one before it is finished or at the same worker.
///
/// ```
/// use ostler::{CloseReason, Handler, Outcome, Package, Session, Worker};
///
/// struct Greeter {
///     greeted: u64,
/// }
///
/// impl Handler for Greeter {
///     fn on_connect(&mut self, _: &Worker, session: &Session) -> Outcome {
///         self.greeted += 1;
///         Ok(session.send(b"welcome\n")?)
///     }
///
///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
///         Ok(session.send(package)?)
///     }
///
///     fn on_close(&mut self, _: &Worker, session: &Session, reason: CloseReason) -> Outcome {
///         println!("{} has left: {}", session.id(), reason.name());
///         Ok(())
///     }
/// }
/// ```
#[allow(unused_variables)] // names are documentation for those who implement them
pub trait Handler: Sized + 'static {
    /// The process has started and takes no packages yet: open files, connect to databases, catch
    /// signals.
    ///
    /// `TERM` belongs to Ostler, which then replaces this worker. Every other signal that would end
    /// a process for nothing (`HUP`, `INT`, `QUIT`, `USR1`, `USR2`, `ALRM`, `IO`, real-time signals
    /// …) does nothing; a handler installed here takes its place. What the program caught or
    /// ignored before the server began (`ALRM` and those behind it) is left as it was.
    ///
    /// An error ends the process; the server tries again later with growing pauses, a reload is
    /// aborted and the old code serves on.
    ///
    /// # Errors
    /// Whatever keeps this worker from serving; it is logged.
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        Ok(())
    }

    /// A client has connected.
    ///
    /// # Errors
    /// See [`Outcome`].
    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        Ok(())
    }

    /// A package has come. The delivery is finished when this returns, unless [`Package::defer`]
    /// was called. What a client sent behind the package whose callback closed its session is not
    /// given any more; the books count it (`dropped_session_gone`).
    ///
    /// # Errors
    /// See [`Outcome`].
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome;

    /// A session has ended, for this reason. [`Session::info`] and [`Session::state`] still answer,
    /// sends do not.
    ///
    /// # Errors
    /// See [`Outcome`].
    fn on_close(&mut self, worker: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        Ok(())
    }

    /// The process is to leave (reload, recycling, shutdown): give back [`crate::KeepAlive`]
    /// tokens, cancel timers. It goes on until deferred packages are finished and no token or
    /// one-shot timer is left, at most `drain_timeout_ms`.
    fn on_worker_exit(&mut self, worker: &Worker) {}

    /// The process ends now, in good order.
    fn on_worker_stop(&mut self, worker: &Worker) {}
}
