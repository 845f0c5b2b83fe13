//! How long the callback that runs may still take, as its process sees it.

use std::time::Duration;

use ostler_core::Nanos;
use ostler_core::ids::PortId;
use ostler_core::request_deadline::RequestDeadlines;
use ostler_shm::black_box::phase::Seen;

use super::context::WorkerContext;
use crate::sys::{black_box, clock};

impl WorkerContext {
    /// Whether the callback that runs is about this session and has passed its soft deadline.
    pub(crate) fn is_late(&self, session: u64) -> bool {
        let soft_at =
            |(seen, deadlines): (Seen, RequestDeadlines)| deadlines.soft_at(seen.phase.started_ns);
        self.request_of(session).and_then(soft_at).is_some_and(|at| at <= clock::monotonic_ns())
    }

    /// How long it has until its process is killed.
    pub(crate) fn time_left(&self, session: u64) -> Option<Duration> {
        let (seen, deadlines) = self.request_of(session)?;
        let at = deadlines.hard_at(seen.phase.started_ns, seen.until_ns)?;
        Some(until(at, clock::monotonic_ns()))
    }

    /// Gives it so much time from now on, as far as its port allows.
    pub(crate) fn set_time_left(&self, session: u64, time: Duration) -> Option<Duration> {
        let (seen, deadlines) = self.request_of(session)?;
        let now = clock::monotonic_ns();
        let wanted = now.saturating_add(Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX));
        let at = deadlines.hard_at(seen.phase.started_ns, Some(wanted))?;
        black_box::own()?.phase()?.set_until(at);
        Some(until(at, now))
    }

    /// What runs, if it is about this session, and the deadlines of its port.
    fn request_of(&self, session: u64) -> Option<(Seen, RequestDeadlines)> {
        let seen = black_box::own()?.phase()?.read()?;
        let is_about_it = seen.phase.session == session;
        let port = self.settings.port(PortId(seen.phase.port));
        is_about_it.then_some((seen, port.request_deadlines))
    }
}

const fn until(at: Nanos, now: Nanos) -> Duration {
    Duration::from_nanos(at.saturating_sub(now))
}
