//! The worker process, as user code sees it.

use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::session::Session;
use crate::sys::clock;
use crate::worker::context::WorkerContext;

/// A handle to this worker process; cheap to clone, stays on its thread.
#[derive(Clone)]
pub struct Worker {
    inner: Rc<WorkerContext>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("key", &self.inner.key).finish_non_exhaustive()
    }
}

/// A timer, for [`Worker::cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId(u64);

/// Keeps a leaving worker alive until it is dropped (at most `drain_timeout_ms`).
pub struct KeepAlive {
    inner: Rc<WorkerContext>,
}

impl std::fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeepAlive")
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.inner.keep_alive.set(self.inner.keep_alive.get().saturating_sub(1));
    }
}

impl Worker {
    pub(crate) const fn new(inner: Rc<WorkerContext>) -> Self {
        Self { inner }
    }

    /// The slot: `0..workers`.
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.inner.key.slot.0
    }

    /// Which process in the slot this is, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.inner.key.generation.0
    }

    /// Deliveries that this process has finished.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.inner.finished.get()
    }

    /// A handle to any session, by its id. It need not exist.
    #[must_use]
    pub fn session(&self, id: u64) -> Session {
        Session::new(Rc::clone(&self.inner), id)
    }

    /// All open sessions of the server with their states. Looks at the whole session table: meant for broadcasts.
    #[must_use]
    pub fn sessions(&self) -> Vec<Session> {
        let port = self.inner.port.borrow();
        let closing = ostler_shm::sessions::CLOSING;
        port.board()
            .sessions()
            .filter(|record| record.flags & closing == 0)
            .map(|record| Session::new(Rc::clone(&self.inner), record.session))
            .collect()
    }

    /// Calls `callback` once, after `delay`. A leaving worker waits for it.
    #[track_caller]
    pub fn after(&self, delay: Duration, callback: impl Fn(&Self) + 'static) -> TimerId {
        self.add_timer(delay, None, Rc::new(callback), Location::caller())
    }

    /// Calls `callback` every `period` (at least one millisecond). A leaving worker does not wait for it; turns that were
    /// missed because a callback took long are not made up for.
    #[track_caller]
    pub fn every(&self, period: Duration, callback: impl Fn(&Self) + 'static) -> TimerId {
        let period = period.max(Duration::from_millis(1));
        self.add_timer(period, Some(period), Rc::new(callback), Location::caller())
    }

    fn add_timer(
        &self,
        delay: Duration,
        every: Option<Duration>,
        callback: crate::worker::timers::Callback,
        made_at: &'static Location<'static>,
    ) -> TimerId {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4);
        let at = clock::monotonic_ns().saturating_add(nanos(delay));
        TimerId(self.inner.timers.borrow_mut().add(at, every.map(nanos), callback, made_at))
    }

    /// Cancels a timer; false when it has been or was cancelled already.
    #[must_use]
    pub fn cancel(&self, timer: TimerId) -> bool {
        self.inner.timers.borrow_mut().cancel(timer.0)
    }

    /// Keeps this process alive while it leaves, until the token is dropped.
    #[must_use]
    pub fn keep_alive(&self) -> KeepAlive {
        self.inner.keep_alive.set(self.inner.keep_alive.get() + 1);
        KeepAlive { inner: Rc::clone(&self.inner) }
    }

    /// Asks to be replaced by a fresh process; this one goes on until its successor serves.
    pub fn leave(&self) {
        self.inner.wants_to_leave.set(true);
    }
}
