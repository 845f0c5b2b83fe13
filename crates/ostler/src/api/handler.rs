//! The callbacks of a server.

use ostler_core::brain::CloseReason;

use super::message::Message;
use super::outcome::Outcome;
use super::package::Package;
use super::packet::Packet;
use super::session::Session;
use super::task::Task;
use super::task_result::TaskResult;
use super::undelivered::Undelivered;
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

    /// The session's unsent output is above `send_queue_high`: from now on [`Session::send`]
    /// answers *full*. Who produces for it should stop until [`Handler::on_buffer_empty`].
    ///
    /// It comes once for each time that the mark is passed, to the worker that serves the session,
    /// in the order of its packages. So it comes behind packages that were given before, and when
    /// it comes the client may have read on already: then the other event follows at once. Of
    /// sessions that end nobody is told. When a callback is late, pairs in between are left out:
    /// the events alternate, and the last tells how it stands.
    ///
    /// # Errors
    /// See [`Outcome`].
    fn on_buffer_full(&mut self, worker: &Worker, session: &Session) -> Outcome {
        Ok(())
    }

    /// The session's unsent output is at `send_queue_low` or below, after it was full: it takes
    /// output again.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// # use std::collections::HashMap;
    /// /// Sends each session its numbers, as fast as it reads them.
    /// struct Numbers {
    ///     next: HashMap<u64, u64>,
    /// }
    ///
    /// impl Handler for Numbers {
    ///     fn on_receive(&mut self, worker: &Worker, session: &Session, _: &Package) -> Outcome {
    ///         self.next.insert(session.id(), 0);
    ///         self.on_buffer_empty(worker, session)
    ///     }
    ///
    ///     fn on_buffer_empty(&mut self, _: &Worker, session: &Session) -> Outcome {
    ///         let Some(next) = self.next.get_mut(&session.id()) else { return Ok(()) };
    ///         while *next < 1_000_000 {
    ///             match session.send(format!("{next}\n").as_bytes()) {
    ///                 Err(error) if error.is_full() => break, // this is called again
    ///                 sent => sent?,
    ///             }
    ///             *next += 1;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`Outcome`].
    fn on_buffer_empty(&mut self, worker: &Worker, session: &Session) -> Outcome {
        Ok(())
    }

    /// A datagram has come, on a port that has some (`udp://`, `unixgram://`). The datagrams of one
    /// peer are handled one after another in the order in which they came; there is no session, no
    /// connect and no close. A server without such ports needs no `on_packet`.
    ///
    /// # Errors
    /// An error is logged (a few in a time, the others are counted), and nothing else: there is
    /// nothing that could end.
    fn on_packet(&mut self, worker: &Worker, packet: &Packet) -> Outcome {
        Err("a datagram came and the handler has no on_packet".into())
    }

    /// A task is to be run, in a task worker (`task_workers`): one after another, as they were
    /// asked ([`Worker::task`](crate::Worker::task)). It is over when this returns.
    ///
    /// # Errors
    /// An error is logged (a few in a time, the others are counted), and the task is over: what its
    /// asker is to know is sent with [`Task::finish`](crate::Task::finish).
    fn on_task(&mut self, worker: &Worker, task: &Task) -> Outcome {
        Err("a task came and the handler has no on_task".into())
    }

    /// A task that was asked with [`TaskRequest::report`](crate::TaskRequest::report) has a result,
    /// or failed: [`TaskResult::bytes`] tells. It is called once for each result.
    ///
    /// # Errors
    /// An error is logged, and nothing else: so `?` on a failed task is enough for most.
    fn on_finish(&mut self, worker: &Worker, result: &TaskResult) -> Outcome {
        result.bytes()?;
        Ok(())
    }

    /// Another process of the server has sent a message ([`Worker::send_message`]).
    ///
    /// # Errors
    /// An error is logged (a few in a time, the others are counted), and nothing else.
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        Err("a message came and the handler has no on_message".into())
    }

    /// A message of this process did not reach its receiver: [`Undelivered::error`] tells why.
    ///
    /// # Errors
    /// An error is logged, and nothing else: so it is unless this says otherwise.
    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        Err(undelivered.error().into())
    }

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
