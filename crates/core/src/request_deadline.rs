//! When a request is late, and when the process that runs it is to be ended.
//!
//! Whoever watches may itself be kept from running: frozen, suspended, short of CPU. What it has
//! not seen was nobody's fault, so that time is given back to the requests that ran meanwhile.

use crate::Nanos;
use crate::slow_request::Running;

/// The watcher counts as absent when it looks so much later than it wanted to.
const LATE_LOOK_NS: Nanos = 100_000_000;

/// The deadlines of the requests of one port, from their beginning; zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDeadlines {
    /// From then on a request is late.
    pub soft: Nanos,
    /// Then its process is ended.
    pub hard: Nanos,
    /// The longest that a request can give itself; what is below `hard` counts as that.
    pub longest: Nanos,
}

impl RequestDeadlines {
    /// When the process is ended that runs a request, which began at `started` and has given itself
    /// `own` as its deadline.
    #[must_use]
    pub fn hard_at(&self, started: Nanos, own: Option<Nanos>) -> Option<Nanos> {
        if self.hard == 0 {
            return None;
        }
        let longest = started.saturating_add(self.longest.max(self.hard));
        Some(own.map_or(started.saturating_add(self.hard), |own| own.min(longest)))
    }

    /// When a request is late that began at `started`.
    #[must_use]
    pub const fn soft_at(&self, started: Nanos) -> Option<Nanos> {
        if self.soft == 0 { None } else { Some(started.saturating_add(self.soft)) }
    }
}

/// How long the watcher itself has not been there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Absence {
    /// All of it.
    total: Nanos,
    /// The last time, from when until when.
    last: (Nanos, Nanos),
}

impl Absence {
    /// A look at `now` that was wanted at `planned`.
    pub const fn look(&mut self, planned: Nanos, now: Nanos) {
        if now > planned.saturating_add(LATE_LOOK_NS) {
            self.total += now - planned;
            self.last = (planned, now);
        }
    }

    /// The total as it was when a request began that is seen for the first time now.
    fn total_at(&self, started: Nanos) -> Nanos {
        let (from, until) = self.last;
        self.total - until.saturating_sub(started.max(from))
    }
}

/// What a look at a process has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing runs that has a deadline, or it has time until then.
    InTime(Option<Nanos>),
    /// Its request is late; told once. It has time until then.
    Late(Option<Nanos>),
    /// Its request has passed its deadline.
    Overdue,
}

/// The watch over one process.
#[derive(Clone, Debug, Default)]
pub struct RequestWatch {
    turn: u64,
    /// What the watcher had missed when this turn began.
    missed_before: Nanos,
    is_late: bool,
}

impl RequestWatch {
    /// A look at `now` at what runs. `own` is the deadline that the request has given itself.
    pub fn look(
        &mut self,
        running: Option<Running>,
        own: Option<Nanos>,
        deadlines: &RequestDeadlines,
        absence: &Absence,
        now: Nanos,
    ) -> Look {
        let Some(running) = running else { return Look::InTime(None) };
        if running.turn != self.turn {
            let missed_before = absence.total_at(running.started);
            *self = Self { turn: running.turn, missed_before, is_late: false };
        }
        let missed = absence.total - self.missed_before;
        let later = |at: Nanos| at.saturating_add(missed);
        let hard_at = deadlines.hard_at(running.started, own).map(later);
        let soft_at = deadlines.soft_at(running.started).map(later);
        if hard_at.is_some_and(|at| at <= now) {
            return Look::Overdue;
        }
        if !self.is_late && soft_at.is_some_and(|at| at <= now) {
            self.is_late = true;
            return Look::Late(hard_at);
        }
        let soft_at = soft_at.filter(|_| !self.is_late);
        Look::InTime([soft_at, hard_at].into_iter().flatten().min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;
    const DEADLINES: RequestDeadlines = RequestDeadlines { soft: S, hard: 2 * S, longest: 0 };

    fn at(turn: u64, started: Nanos) -> Option<Running> {
        Some(Running { turn, started })
    }

    #[test]
    fn a_request_is_late_once_and_then_overdue_until_it_ends() {
        let (mut watch, absence) = (RequestWatch::default(), Absence::default());
        let mut look = |now| watch.look(at(2, S), None, &DEADLINES, &absence, now);
        assert_eq!(look(S), Look::InTime(Some(2 * S)));
        assert_eq!(look(2 * S), Look::Late(Some(3 * S)));
        assert_eq!(look(2 * S + 1), Look::InTime(Some(3 * S)));
        assert_eq!((look(3 * S), look(4 * S)), (Look::Overdue, Look::Overdue));
        // The next one has its own time, and so has none.
        let mut look = |running, now| watch.look(running, None, &DEADLINES, &absence, now);
        assert_eq!(look(at(4, 4 * S), 4 * S), Look::InTime(Some(5 * S)));
        assert_eq!(look(None, 9 * S), Look::InTime(None));
    }

    #[test]
    fn a_port_without_deadlines_has_none() {
        let (mut watch, absence) = (RequestWatch::default(), Absence::default());
        let none = RequestDeadlines::default();
        assert_eq!(watch.look(at(2, 0), Some(1), &none, &absence, 90 * S), Look::InTime(None));
    }

    #[test]
    fn a_request_shortens_its_time_and_lengthens_it_as_far_as_it_may() {
        let may = RequestDeadlines { longest: 5 * S, ..DEADLINES };
        assert_eq!(may.hard_at(S, Some(S + 1)), Some(S + 1));
        assert_eq!(may.hard_at(S, Some(4 * S)), Some(4 * S));
        assert_eq!(may.hard_at(S, Some(Nanos::MAX)), Some(6 * S));
        assert_eq!(DEADLINES.hard_at(S, Some(Nanos::MAX)), Some(3 * S));
        assert_eq!(DEADLINES.hard_at(Nanos::MAX, None), Some(Nanos::MAX));
    }

    #[test]
    fn nobody_is_blamed_for_the_time_in_which_nobody_looked() {
        let (mut watch, mut absence) = (RequestWatch::default(), Absence::default());
        let look = |watch: &mut RequestWatch, turn, started, absence: &Absence, now| {
            watch.look(at(turn, started), None, &DEADLINES, absence, now)
        };
        assert_eq!(look(&mut watch, 2, 0, &absence, 0), Look::InTime(Some(S)));
        // Everything was frozen for a minute, half a second after it had begun.
        absence.look(S / 2, 60 * S + S / 2);
        assert_eq!(look(&mut watch, 2, 0, &absence, 60 * S + S / 2), Look::InTime(Some(61 * S)));
        // One that was never seen before has begun in the middle of it, another behind it.
        let mut other = RequestWatch::default();
        let next = look(&mut other, 2, 59 * S + S / 2, &absence, 60 * S + S / 2);
        assert_eq!(next, Look::InTime(Some(61 * S + S / 2)));
        let next = look(&mut other, 4, 61 * S, &absence, 62 * S);
        assert_eq!(next, Look::Late(Some(63 * S)));
        // A little late is not absent.
        absence.look(63 * S, 63 * S + LATE_LOOK_NS);
        assert_eq!(look(&mut other, 4, 61 * S, &absence, 63 * S), Look::Overdue);
    }
}
