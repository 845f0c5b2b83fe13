//! Sessions that this worker has closed and the session table does not show as closing yet: nothing
//! may follow a close.

use std::collections::HashMap;

use ostler_core::brain::CloseReason;

/// How many sessions are kept before those that the table shows as closing are forgotten.
const PRUNE_AT: usize = 1_024;

/// A delivery as the cause of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) session: u64,
    pub(crate) seq: u64,
}

impl Cause {
    /// Whether what it causes comes behind what `other` causes, or belongs to it.
    const fn follows(self, other: Self, in_order: bool) -> bool {
        let is_behind = if in_order { self.seq >= other.seq } else { self.seq == other.seq };
        self.session == other.session && is_behind
    }
}

/// How far the closes of one session are.
#[derive(Debug, Default)]
struct Closed {
    /// One is in the lane, and everything that comes now is behind it.
    appended: Option<CloseReason>,
    /// Closes that wait until their deliveries are finished.
    held: Vec<(Cause, CloseReason)>,
}

/// The sessions that this worker has closed.
#[derive(Debug)]
pub(crate) struct ClosedSessions {
    sessions: HashMap<u64, Closed>,
    /// Deliveries of a session are finished in their order.
    in_order: bool,
}

impl ClosedSessions {
    pub(crate) fn new(in_order: bool) -> Self {
        Self { sessions: HashMap::new(), in_order }
    }

    /// A close is in the lane. `is_shown` answers whether the table shows a session as closing, or
    /// as gone.
    pub(crate) fn append(
        &mut self,
        session: u64,
        reason: CloseReason,
        is_shown: impl Fn(u64) -> bool,
    ) {
        let closed = self.entry(session, is_shown);
        closed.appended.get_or_insert(reason);
        closed.held = Vec::new();
    }

    /// A close is held back until the delivery that causes it is finished.
    pub(crate) fn hold(
        &mut self,
        session: u64,
        reason: CloseReason,
        cause: Cause,
        is_shown: impl Fn(u64) -> bool,
    ) {
        let closed = self.entry(session, is_shown);
        if closed.appended.is_none() {
            closed.held.push((cause, reason));
        }
    }

    fn entry(&mut self, session: u64, is_shown: impl Fn(u64) -> bool) -> &mut Closed {
        if self.sessions.len() >= PRUNE_AT {
            self.sessions.retain(|session, _| !is_shown(*session));
        }
        self.sessions.entry(session).or_default()
    }

    /// Why a session takes no more output of this cause: a close is before it. Of other causes it
    /// does while a close is held back.
    pub(crate) fn reason(&self, session: u64, cause: Option<Cause>) -> Option<CloseReason> {
        let closed = self.sessions.get(&session)?;
        let is_before = |held: &Cause| cause.is_some_and(|c| c.follows(*held, self.in_order));
        let held = || closed.held.iter().find(|(held, _)| is_before(held)).map(|(_, why)| *why);
        closed.appended.or_else(held)
    }

    /// Whether a package need not be handled because of a close before it. Its end is published
    /// behind the close or together with it, so that a death in between does not lose it.
    pub(crate) fn skips(&self, package: Cause) -> bool {
        self.reason(package.session, Some(package)).is_some()
    }

    /// The session is gone.
    pub(crate) fn forget(&mut self, session: u64) {
        self.sessions.remove(&session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: Option<CloseReason> = Some(CloseReason::Worker);
    const RESET: Option<CloseReason> = Some(CloseReason::WorkerReset);

    fn cause(session: u64, seq: u64) -> Cause {
        Cause { session, seq }
    }

    #[test]
    fn nothing_follows_a_close_in_the_lane_and_the_first_gives_the_reason() {
        let mut closed = ClosedSessions::new(true);
        closed.append(7, CloseReason::WorkerReset, |_| false);
        closed.append(7, CloseReason::Worker, |_| false);
        assert_eq!(closed.reason(7, None), RESET);
        assert_eq!(closed.reason(7, Some(cause(9, 1))), RESET);
        assert!(closed.skips(cause(7, 1)));
        assert_eq!(closed.reason(8, None), None);
        closed.forget(7);
        assert_eq!(closed.reason(7, None), None);
    }

    #[test]
    fn a_held_close_is_before_what_its_own_delivery_causes_and_those_that_wait_for_it() {
        for in_order in [true, false] {
            let mut closed = ClosedSessions::new(in_order);
            closed.hold(7, CloseReason::Worker, cause(7, 5), |_| false);
            assert_eq!(closed.reason(7, Some(cause(7, 4))), None, "an answer before the close");
            assert_eq!(closed.reason(7, Some(cause(7, 5))), WORKER);
            assert_eq!(closed.reason(7, Some(cause(7, 6))), WORKER.filter(|_| in_order));
            assert_eq!(closed.skips(cause(7, 6)), in_order, "it would be lost with the close");
            assert_eq!(closed.reason(7, Some(cause(8, 6))), None, "another session's");
            assert_eq!(closed.reason(7, None), None, "a timer's");
            // An earlier answer closes too, and is in the lane first.
            closed.append(7, CloseReason::WorkerReset, |_| false);
            closed.hold(7, CloseReason::Worker, cause(7, 6), |_| false);
            assert_eq!(closed.reason(7, Some(cause(7, 6))), RESET);
        }
    }

    #[test]
    fn it_does_not_grow_without_bound_and_forgets_nothing_that_the_table_does_not_show() {
        let mut closed = ClosedSessions::new(true);
        for session in 0..10_000_u64 {
            closed.append(session, CloseReason::Worker, |other| session - other > 100);
            assert!((session.saturating_sub(100)..=session).all(|s| closed.skips(cause(s, 1))));
        }
        assert!(closed.sessions.len() <= PRUNE_AT + 1);
    }
}
