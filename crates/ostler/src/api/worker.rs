//! The worker process, as user code sees it.

use std::any::Any;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use ostler_core::ids::ProcessKind;

use super::outcome::Outcome;
use super::packet_peer::PacketPeer;
use super::reload::{Reload, ReloadTicket};
use super::remote::Remote;
use super::send_error::SendError;
use super::session::Session;
use crate::sys::clock;
use crate::worker::context::WorkerContext;
use crate::worker::timers::Callback;
use crate::worker::{HandlerId, Holder, HolderId};

/// What is said when a callback is meant for a handler of another type than the one that runs.
pub(crate) const WRONG_HANDLER: &str = "the type parameter is not the type of the handler whose \
    callback runs: write the type that the factory of the server makes, or that of the port";

/// A handle to this worker process; cheap to clone, stays on its thread.
///
/// ```
/// # use ostler::Worker;
/// fn describe(worker: &Worker) -> String {
///     format!("w{}.{} finished {}", worker.slot(), worker.generation(), worker.finished())
/// }
/// ```
#[derive(Clone)]
pub struct Worker {
    context: Rc<WorkerContext>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("key", &self.context.key).finish_non_exhaustive()
    }
}

/// A timer, for [`Worker::cancel`].
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{Handler, TimerId, Worker};
/// fn patience<H: Handler>(worker: &Worker) -> TimerId {
///     worker.after::<H>(Duration::from_secs(5), |_, _| Err("nobody answered".into()))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId(u64);

/// Keeps a leaving worker alive until it is dropped (at most `drain_timeout_ms`).
///
/// ```
/// # use ostler::{KeepAlive, Worker};
/// /// What must not be cut off by a reload holds one of these.
/// struct Upload {
///     _held: KeepAlive,
/// }
///
/// fn begin(worker: &Worker) -> Upload {
///     Upload { _held: worker.keep_alive() }
/// }
/// ```
pub struct KeepAlive {
    context: Rc<WorkerContext>,
    hold: HolderId,
}

impl std::fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeepAlive")
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.context.leaving.release(self.hold);
    }
}

impl Worker {
    pub(crate) const fn new(context: Rc<WorkerContext>) -> Self {
        Self { context }
    }

    pub(crate) const fn context(&self) -> &Rc<WorkerContext> {
        &self.context
    }

    /// The slot: `0..workers`.
    ///
    /// ```
    /// # use ostler::Worker;
    /// /// A file of its own for each place: a successor finds what its predecessor left.
    /// fn journal(worker: &Worker) -> String {
    ///     format!("/var/lib/it/journal.{}", worker.slot())
    /// }
    /// ```
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.context.key.slot.0
    }

    /// Whether this process runs tasks (`task_workers`), and serves no client.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn cache_size(worker: &Worker) -> usize {
    ///     if worker.is_task_worker() { 0 } else { 10_000 }
    /// }
    /// ```
    #[must_use]
    pub fn is_task_worker(&self) -> bool {
        self.context.key.kind == ProcessKind::Task
    }

    /// Which process in the slot this is, from 1.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn is_a_replacement(worker: &Worker) -> bool {
    ///     worker.generation() > 1
    /// }
    /// ```
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.context.key.generation.0
    }

    /// Deliveries that this process has finished.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn report(worker: &Worker) {
    ///     println!("{} packages and other events are done", worker.finished());
    /// }
    /// ```
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.context.sender.finished()
    }

    /// Longest message of one send, in bytes: the option `max_send_bytes`. A longer one is refused
    /// ([`crate::SendError::is_too_long`]), so a protocol bounds its answers by it, or sends them
    /// with [`Session::writer`](crate::Session::writer), which has no such limit.
    ///
    /// ```
    /// # use ostler::{Outcome, Session, Worker};
    /// /// Sends in pieces what may be longer than one send takes.
    /// fn send_all(worker: &Worker, session: &Session, answer: &[u8]) -> Outcome {
    ///     for piece in answer.chunks(worker.max_send_bytes()) {
    ///         session.send(piece)?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn max_send_bytes(&self) -> usize {
        self.context.max_send_bytes()
    }

    /// A handle to any session, by its id. It need not exist.
    ///
    /// ```
    /// # use ostler::{SendError, Worker};
    /// fn tell(worker: &Worker, id: u64) -> Result<(), SendError> {
    ///     worker.session(id).send(b"news\n")
    /// }
    /// ```
    #[must_use]
    pub fn session(&self, id: u64) -> Session {
        Session::new(Rc::clone(&self.context), id)
    }

    /// Sends a datagram to a peer, from the port with this number, which is one for datagrams
    /// ([`Port::id`](crate::Port::id)); at most 65 507 bytes. Inside a callback it is an output of
    /// its delivery (see `crash_policy`), elsewhere it is sent at once.
    ///
    /// Accepted means handed to the server: whether it arrives nobody learns. One that the kernel
    /// does not take is counted by its reason (`not_sent_…` in the books) and logged, a few in a
    /// time. What one worker sends from a port goes out in the order in which it was sent.
    ///
    /// ```
    /// # use ostler::{Outcome, PacketPeer, Worker};
    /// fn announce(worker: &Worker, port: &ostler::Port, friends: &[PacketPeer]) -> Outcome {
    ///     for friend in friends {
    ///         worker.send_to(port.id(), friend, b"here I am")?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_unreachable`]: there is no such port, or it cannot send to such an address;
    /// [`SendError::is_too_long`]; [`SendError::is_full`] when the lane has no room within
    /// `send_timeout_ms`.
    pub fn send_to(&self, port: u16, peer: &PacketPeer, bytes: &[u8]) -> Result<(), SendError> {
        self.context.send_datagram(port, peer.block(), bytes)
    }

    /// All open sessions of the server, for broadcasts. Costs by the number of open sessions, not
    /// by `max_connections`.
    ///
    /// ```
    /// # use ostler::{Outcome, Worker};
    /// fn broadcast(worker: &Worker, text: &[u8]) -> Outcome {
    ///     for session in worker.sessions() {
    ///         let _ = session.send(text); // who is gone or reads too slowly misses it
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        let open = self.context.sessions.open();
        open.map(|session| Session::new(Rc::clone(&self.context), session)).collect()
    }

    /// Calls `callback` once, after `delay`, with the handler whose callback runs now: that of the
    /// server, or the port's own. An error that it returns is logged.
    ///
    /// A worker that leaves waits for the timers that were added before it began to leave, at most
    /// `drain_timeout_ms`. It does not wait for those that are added while it leaves, because a
    /// callback that adds the next timer would hold it for ever: [`Worker::is_leaving`] tells the
    /// callback that the end is near, [`Worker::keep_alive`] holds the worker in any case.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// # use std::time::Duration;
    /// struct Counter {
    ///     packages: u64,
    /// }
    ///
    /// impl Handler for Counter {
    ///     fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
    ///         worker.every::<Self>(Duration::from_secs(10), |me, worker| {
    ///             println!("worker {} had {} packages", worker.slot(), me.packages);
    ///             Ok(())
    ///         });
    ///         Ok(())
    ///     }
    ///
    ///     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
    ///         self.packages += 1;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[track_caller]
    pub fn after<H: 'static>(
        &self,
        delay: Duration,
        callback: impl FnOnce(&mut H, &Self) -> Outcome + 'static,
    ) -> TimerId {
        let handler = self.running_handler::<H>();
        let callback = move |handler: &mut dyn Any, worker: &Self| {
            handler.downcast_mut().map_or(Ok(()), |handler| callback(handler, worker))
        };
        self.add_timer(delay, Duration::ZERO, (handler, Callback::Once(Box::new(callback))))
    }

    /// Calls `callback` every `period` (at least one millisecond), as [`Worker::after`] does. A
    /// leaving worker does not wait for it; turns that were missed because a callback took long are
    /// not made up for.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Handler, Worker};
    /// fn start<H: Handler>(worker: &Worker) {
    ///     worker.every::<H>(Duration::from_secs(1), |_, worker| {
    ///         println!("{} sessions are open", worker.sessions().len());
    ///         Ok(())
    ///     });
    /// }
    /// ```
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[track_caller]
    pub fn every<H: 'static>(
        &self,
        period: Duration,
        mut callback: impl FnMut(&mut H, &Self) -> Outcome + 'static,
    ) -> TimerId {
        let handler = self.running_handler::<H>();
        let period = period.max(Duration::from_millis(1));
        let callback = move |handler: &mut dyn Any, worker: &Self| {
            handler.downcast_mut().map_or(Ok(()), |handler| callback(handler, worker))
        };
        let callback = Callback::Repeating(Rc::new(RefCell::new(callback)));
        self.add_timer(period, period, (handler, callback))
    }

    /// The handler whose callback runs: what it makes is meant for it.
    #[track_caller]
    pub(super) fn running_handler<H: 'static>(&self) -> HandlerId {
        let handler = self.context.callee.running_of::<H>();
        assert!(handler.is_some(), "{WRONG_HANDLER}");
        handler.unwrap_or_default()
    }

    #[track_caller]
    fn add_timer(
        &self,
        delay: Duration,
        every: Duration,
        callback: (HandlerId, Callback),
    ) -> TimerId {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4);
        let at = clock::monotonic_ns().saturating_add(nanos(delay));
        let made_at = Location::caller();
        TimerId(self.context.timers.borrow_mut().add(at, nanos(every), callback, made_at))
    }

    /// A way into this worker for other threads of its process, to the handler whose callback runs
    /// now.
    ///
    /// ```
    /// # use ostler::{Handler, Worker};
    /// fn start<H: Handler>(worker: &Worker) {
    ///     let remote = worker.remote::<H>();
    ///     std::thread::spawn(move || {
    ///         // Refused only when the worker ends.
    ///         let _ = remote.post(|_, worker| println!("back in worker {}", worker.slot()));
    ///     });
    /// }
    /// ```
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[must_use]
    #[track_caller]
    pub fn remote<H: 'static>(&self) -> Remote<H> {
        Remote::new(&self.context.inbox, self.running_handler::<H>())
    }

    /// Cancels a timer; false when it has been or was cancelled already.
    ///
    /// ```
    /// # use ostler::{TimerId, Worker};
    /// fn answered(worker: &Worker, patience: TimerId) {
    ///     let came_in_time = worker.cancel(patience);
    ///     println!("in time: {came_in_time}");
    /// }
    /// ```
    #[must_use]
    pub fn cancel(&self, timer: TimerId) -> bool {
        self.context.timers.borrow_mut().cancel(timer.0)
    }

    /// Keeps this process alive while it leaves, until the token is dropped, at most
    /// `drain_timeout_ms`. A worker that is ended then is told in the log with the places of its
    /// tokens and timers.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn write_back(worker: &Worker) {
    ///     let held = worker.keep_alive(); // not while this is written
    ///     std::fs::write("/var/lib/it/cache", b"...").ok();
    ///     drop(held);
    /// }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn keep_alive(&self) -> KeepAlive {
        let hold = self.context.leaving.hold(Holder::KeepAlive(Location::caller()));
        KeepAlive { context: Rc::clone(&self.context), hold }
    }

    /// Whether this process has begun to leave: it gets no more deliveries, and ends when nothing
    /// holds it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Handler, Outcome, Worker};
    /// fn tick<H: Handler>(_: &mut H, worker: &Worker) -> Outcome {
    ///     if !worker.is_leaving() {
    ///         worker.after::<H>(Duration::from_secs(1), tick);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.context.leaving.has_begun() || self.context.is_told_to_leave()
    }

    /// Sleeps for `timeout`; less, and the answer is false, when this process is to leave. For a
    /// [`ProcessBody::run`](crate::ProcessBody::run) that does not return: a callback of a worker
    /// that sleeps keeps its clients waiting.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Worker};
    /// fn run(worker: &Worker) -> Outcome {
    ///     while worker.wait(Duration::from_secs(60)) {
    ///         println!("{} sessions", worker.sessions().len());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.context.wait(timeout)
    }

    /// The name of the user process that this is; `None` in an event worker.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn who(worker: &Worker) -> String {
    ///     worker.process_name().map_or_else(|| format!("w{}", worker.slot()), str::to_owned)
    /// }
    /// ```
    #[must_use]
    pub fn process_name(&self) -> Option<&str> {
        self.context.process_name()
    }

    /// Asks for so many event workers, between `workers_min` and `workers_max`. More are started,
    /// each serves when it is ready; fewer finish what they have in hand and leave, the last slots
    /// first, this worker as well if its slot is one of them. The log tells what came of it.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn every_minute(worker: &Worker, is_night: bool) {
    ///     worker.set_workers(if is_night { 2 } else { 8 });
    /// }
    /// ```
    pub fn set_workers(&self, workers: u16) {
        self.context.wishes.set_workers(workers);
    }

    /// Asks for a reload. The answer says how it went, slot by slot: it is called with
    /// [`ReloadTicket::then`], or looked for with [`ReloadTicket::report`].
    ///
    /// A reload that is asked for while another one runs follows it; all that are asked for
    /// meanwhile are one.
    ///
    /// ```
    /// # use ostler::{Handler, Reload, Worker};
    /// fn new_rules_came<H: Handler>(worker: &Worker) {
    ///     worker.reload(Reload::Workers).then::<H>(|_, _, report| {
    ///         for (slot, is_new) in report.slots().filter(|(_, is_new)| !is_new) {
    ///             println!("w{slot} is new: {is_new}, because {}", report.reason());
    ///         }
    ///         Ok(())
    ///     });
    /// }
    /// ```
    #[track_caller]
    pub fn reload(&self, what: Reload<'_>) -> ReloadTicket {
        let number = self.context.want_reload(what.to_wanted(), Location::caller());
        ReloadTicket::new(Rc::clone(&self.context), number)
    }

    /// Asks to be replaced by a fresh process; this one goes on until its successor serves.
    ///
    /// ```
    /// # use ostler::Worker;
    /// /// A library leaks: a fresh process after each hundred thousand deliveries.
    /// fn now_and_then(worker: &Worker) {
    ///     if worker.finished() > 100_000 && !worker.is_leaving() {
    ///         worker.leave();
    ///     }
    /// }
    /// ```
    pub fn leave(&self) {
        self.context.leaving.want();
    }
}
