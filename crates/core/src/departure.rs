//! How a process that serves its clients itself (BASE mode) comes and goes: it accepts when it is
//! told, and leaves its clients time before it ends with them.
//!
//! A process that is replaced accepts no more at once, serves the clients that it has for half of
//! the time that leaving may take, then drains: reads nothing more, finishes what it has, ends
//! their sessions. Who is still there when nine tenths have passed is closed. So it is gone before
//! the manager would kill it.

use crate::Millis;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The master: accept from now on.
    Serve,
    /// The master: a successor serves, or none is wanted any more.
    Leave,
    /// The master: the server ends.
    Drain,
    /// The master: end every session now.
    CloseAll {
        /// Because a drain took too long.
        timed_out: bool,
    },
    /// No connection is open, and nobody is accepted.
    Empty,
    /// No session is left after a drain.
    Drained,
    /// The time that [`Departure::deadline`] named has come.
    Tick,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepartureAction {
    /// Accept connections.
    Accept,
    /// Accept no more, for ever.
    StopAccepting,
    /// Read nothing more; end sessions as they become idle.
    Drain,
    /// End every session now.
    CloseAll {
        /// Because a drain took too long: say what held it.
        timed_out: bool,
    },
    /// Tell the master that no session is left.
    SayDrained,
    /// Let the worker go: nothing is given to it any more.
    LetGo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Booting,
    Serving,
    /// Serves those who are there.
    Staying {
        drain_at: Millis,
        close_at: Millis,
    },
    /// Ends their sessions. Without a time the master says when it is too late.
    Draining {
        close_at: Option<Millis>,
    },
    Gone,
}

/// The state machine.
#[derive(Debug)]
pub struct Departure {
    stage: Stage,
    drain_timeout_ms: Millis,
    /// The worker is let go as soon as no session is left.
    leaves: bool,
    /// The master wants to know when no session is left.
    tells: bool,
    is_drained: bool,
}

impl Departure {
    /// A process that has begun. `drain_timeout_ms` is what leaving may take.
    #[must_use]
    pub const fn new(drain_timeout_ms: Millis) -> Self {
        let stage = Stage::Booting;
        Self { stage, drain_timeout_ms, leaves: false, tells: false, is_drained: false }
    }

    /// Whether [`Event::Empty`] is of interest.
    #[must_use]
    pub const fn awaits_empty(&self) -> bool {
        matches!(self.stage, Stage::Staying { .. })
    }

    /// When to send [`Event::Tick`].
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        match self.stage {
            Stage::Staying { drain_at, .. } => Some(drain_at),
            Stage::Draining { close_at } => close_at,
            Stage::Booting | Stage::Serving | Stage::Gone => None,
        }
    }

    /// One step.
    pub fn on(&mut self, event: Event, now: Millis) -> Vec<DepartureAction> {
        match (self.stage, event) {
            // What holds it is no session, and somebody waits to hear that none is left.
            (Stage::Gone, Event::Drain) => vec![DepartureAction::SayDrained],
            (Stage::Gone, _) => Vec::new(),
            (Stage::Booting, Event::Serve) => {
                self.stage = Stage::Serving;
                vec![DepartureAction::Accept]
            }
            (_, Event::Leave) => self.leave(now),
            (_, Event::Drain) => {
                self.tells = true;
                self.drain(None)
            }
            (_, Event::CloseAll { timed_out }) => {
                let mut actions = self.drain(None);
                actions.push(DepartureAction::CloseAll { timed_out });
                actions
            }
            (Stage::Staying { close_at, .. }, Event::Empty) => self.drain(Some(close_at)),
            (Stage::Staying { drain_at, close_at }, Event::Tick) if now >= drain_at => {
                self.drain(Some(close_at))
            }
            (Stage::Draining { close_at: Some(at) }, Event::Tick) if now >= at => {
                self.stage = Stage::Draining { close_at: None };
                vec![DepartureAction::CloseAll { timed_out: true }]
            }
            (Stage::Draining { .. }, Event::Drained) => {
                self.is_drained = true;
                self.drained()
            }
            _ => Vec::new(),
        }
    }

    fn leave(&mut self, now: Millis) -> Vec<DepartureAction> {
        if std::mem::replace(&mut self.leaves, true) {
            return Vec::new();
        }
        if let Stage::Draining { .. } = self.stage {
            return self.drained();
        }
        let drain_at = now.saturating_add(self.drain_timeout_ms / 2);
        let close_at = now.saturating_add(self.drain_timeout_ms / 10 * 9);
        self.stage = Stage::Staying { drain_at, close_at };
        vec![DepartureAction::StopAccepting]
    }

    fn drain(&mut self, close_at: Option<Millis>) -> Vec<DepartureAction> {
        match self.stage {
            Stage::Draining { .. } => return self.drained(),
            Stage::Staying { .. } => {
                self.stage = Stage::Draining { close_at };
                return vec![DepartureAction::Drain];
            }
            Stage::Booting | Stage::Serving | Stage::Gone => {}
        }
        self.stage = Stage::Draining { close_at };
        vec![DepartureAction::StopAccepting, DepartureAction::Drain]
    }

    /// What follows when no session is left, if that is so.
    fn drained(&mut self) -> Vec<DepartureAction> {
        let mut actions = Vec::new();
        if !self.is_drained {
            return actions;
        }
        if std::mem::take(&mut self.tells) {
            actions.push(DepartureAction::SayDrained);
        }
        if self.leaves {
            self.stage = Stage::Gone;
            actions.push(DepartureAction::LetGo);
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::DepartureAction as Action;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_is_replaced_serves_on_for_half_of_the_time_and_is_gone_before_all_of_it() {
        let mut departure = Departure::new(1_000);
        assert_eq!(departure.on(Event::Serve, 0), [Action::Accept]);
        assert_eq!(departure.on(Event::Leave, 10), [Action::StopAccepting]);
        assert_eq!(departure.deadline(), Some(510));
        assert_eq!(departure.on(Event::Tick, 509), []);
        assert_eq!(departure.on(Event::Tick, 510), [Action::Drain]);
        assert_eq!(departure.deadline(), Some(910));
        assert_eq!(departure.on(Event::Tick, 910), [Action::CloseAll { timed_out: true }]);
        assert_eq!(departure.deadline(), None);
        assert_eq!(departure.on(Event::Drained, 911), [Action::LetGo]);
    }

    #[test]
    fn who_has_no_clients_leaves_at_once() {
        let mut departure = Departure::new(1_000);
        departure.on(Event::Serve, 0);
        departure.on(Event::Leave, 0);
        assert!(departure.awaits_empty());
        assert_eq!(departure.on(Event::Empty, 1), [Action::Drain]);
        assert_eq!(departure.on(Event::Drained, 1), [Action::LetGo]);
    }

    #[test]
    fn a_server_that_ends_drains_first_and_lets_its_workers_go_then() {
        let mut departure = Departure::new(1_000);
        departure.on(Event::Serve, 0);
        assert_eq!(departure.on(Event::Drain, 0), [Action::StopAccepting, Action::Drain]);
        assert_eq!(departure.on(Event::Drained, 1), [Action::SayDrained]);
        assert_eq!(departure.on(Event::Leave, 2), [Action::LetGo]);
    }

    #[test]
    fn a_server_may_end_while_a_process_leaves() {
        let mut departure = Departure::new(1_000);
        departure.on(Event::Serve, 0);
        departure.on(Event::Leave, 0);
        assert_eq!(departure.on(Event::Drain, 1), [Action::Drain]);
        assert_eq!(departure.on(Event::Drained, 2), [Action::SayDrained, Action::LetGo]);
    }

    /// It may be held by something else, and would be waited for.
    #[test]
    fn who_is_gone_says_that_no_session_is_left_as_often_as_it_is_asked() {
        let mut departure = Departure::new(1_000);
        departure.on(Event::Serve, 0);
        departure.on(Event::Leave, 0);
        departure.on(Event::Empty, 1);
        assert_eq!(departure.on(Event::Drained, 1), [Action::LetGo]);
        assert_eq!(departure.on(Event::Drain, 2), [Action::SayDrained]);
        assert_eq!(departure.on(Event::CloseAll { timed_out: true }, 3), []);
        assert_eq!(departure.on(Event::Drain, 4), [Action::SayDrained]);
    }

    #[test]
    fn a_drain_that_takes_too_long_is_cut_by_the_master() {
        let mut departure = Departure::new(1_000);
        departure.on(Event::Serve, 0);
        departure.on(Event::Drain, 0);
        let close = Event::CloseAll { timed_out: true };
        assert_eq!(departure.on(close, 9), [Action::CloseAll { timed_out: true }]);
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Serve),
            Just(Event::Leave),
            Just(Event::Drain),
            Just(Event::CloseAll { timed_out: false }),
            Just(Event::Empty),
            Just(Event::Tick),
        ]
    }

    proptest! {
        /// Whatever comes, and in whatever order: nobody is accepted after the end of accepting;
        /// the worker is let go once, when it was told to leave and no session is left; and who was
        /// told to leave has a deadline until its sessions are closed; whoever asks whether a
        /// session is left hears when none is, also of one that is gone.
        #[test]
        fn it_ends_once_and_in_order(
            steps in proptest::collection::vec((events(), 0u64..400), 0..40),
        ) {
            let mut departure = Departure::new(1_000);
            let (mut now, mut done, mut told) = (0, Vec::new(), false);
            let (mut drains, mut asked) = (false, false);
            for (event, later) in steps.into_iter().chain([(Event::Leave, 0)]) {
                now += later;
                told |= event == Event::Leave;
                asked |= event == Event::Drain;
                done.extend(departure.on(event, now));
            }
            for _ in 0..4 {
                drains |= done.contains(&Action::Drain);
                if drains {
                    done.extend(departure.on(Event::Drained, now));
                }
                now = departure.deadline().unwrap_or(now);
                done.extend(departure.on(Event::Tick, now));
            }
            let count = |action: Action| done.iter().filter(|other| **other == action).count();
            prop_assert!(told && count(Action::LetGo) == 1, "{done:?}");
            prop_assert_eq!((count(Action::StopAccepting), count(Action::Drain)), (1, 1));
            prop_assert_eq!(done.last(), Some(&Action::LetGo));
            prop_assert_eq!(asked, done.contains(&Action::SayDrained), "{:?}", done);
            prop_assert_eq!(departure.on(Event::Drain, now), [Action::SayDrained]);
            let stop = done.iter().position(|action| *action == Action::StopAccepting);
            let accept = done.iter().rposition(|action| *action == Action::Accept);
            prop_assert!(accept.is_none_or(|accept| Some(accept) < stop), "{done:?}");
        }
    }
}
