//! A new master takes the place of this one: who is in charge, and when the old one may go.
//!
//! The new master is started beside the old one and gets its listeners. Until one of its workers
//! serves, nothing has changed for anybody: if it fails, or takes too long, the old one goes on as
//! if nothing had been asked. Once it serves, the old one accepts nobody any more, serves the
//! sessions that it has, and ends with the last of them, or when its time is over.

pub mod hand_over;

use crate::Millis;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants this master to be replaced.
    Asked,
    /// The new master could not be started, has ended, or does not understand this one.
    Lost,
    /// A worker of the new master serves.
    Serves,
    /// The new master was told to end meanwhile, and answers whom it has: nothing can be handed
    /// over to it.
    Declined,
    /// Nobody is accepted here any more, and no session is left.
    Deserted,
    /// The end of this server begins for another reason.
    ShutdownBegan,
    /// The time that [`Succession::deadline`] named has come.
    Tick,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuccessionAction {
    /// Start a new master; answered by [`Event::Lost`] when that is not possible.
    Start,
    /// Say that one is being started already, or has taken over.
    Refuse,
    /// The new master did not come up: end what is left of it, and go on.
    GoOn {
        /// It took too long; else it has failed by itself, or is not wanted any more.
        too_late: Option<TooLate>,
    },
    /// Accept nobody any more: the new master does.
    HandOver,
    /// End in order.
    End {
        /// Sessions are left, and have to go now.
        timed_out: bool,
    },
}

/// What a new master was to do in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLate {
    /// To serve.
    ToServe,
    /// To end, as it was told.
    ToEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InCharge,
    Starting { until: Millis },
    Declined { until: Millis },
    Leaving { until: Option<Millis> },
    Over,
}

/// The state machine.
#[derive(Debug)]
pub struct Succession {
    stage: Stage,
    /// A new master has taken over.
    has_left: bool,
    start_timeout_ms: Millis,
    leave_timeout_ms: Millis,
    end_timeout_ms: Millis,
}

impl Succession {
    /// A master in charge. A new one has to serve within `start_timeout_ms`; then this one may
    /// serve its sessions for `leave_timeout_ms`, 0: until the last one ends. One that is told to
    /// end before it is in charge has to end within `end_timeout_ms`.
    #[must_use]
    pub const fn new(
        start_timeout_ms: Millis,
        leave_timeout_ms: Millis,
        end_timeout_ms: Millis,
    ) -> Self {
        let stage = Stage::InCharge;
        Self { stage, has_left: false, start_timeout_ms, leave_timeout_ms, end_timeout_ms }
    }

    /// When to send [`Event::Tick`].
    #[must_use]
    pub const fn deadline(&self) -> Option<Millis> {
        match self.stage {
            Stage::InCharge | Stage::Over => None,
            Stage::Starting { until } | Stage::Declined { until } => Some(until),
            Stage::Leaving { until } => until,
        }
    }

    /// Whether a new master was started that has not taken over yet.
    #[must_use]
    pub const fn is_starting(&self) -> bool {
        matches!(self.stage, Stage::Starting { .. })
    }

    /// Whether there is a new master that was told to end before it has taken over.
    #[must_use]
    pub const fn is_declined(&self) -> bool {
        matches!(self.stage, Stage::Declined { .. })
    }

    /// Whether a new master has taken over. The end of a server alone is nobody's beginning.
    #[must_use]
    pub const fn has_left(&self) -> bool {
        self.has_left
    }

    /// One step.
    pub fn on(&mut self, event: Event, now: Millis) -> Option<SuccessionAction> {
        match (self.stage, event) {
            (Stage::InCharge, Event::Asked) => {
                self.stage = Stage::Starting { until: now.saturating_add(self.start_timeout_ms) };
                Some(SuccessionAction::Start)
            }
            (_, Event::Asked) => Some(SuccessionAction::Refuse),
            (Stage::Starting { .. }, Event::Serves) => {
                self.has_left = true;
                let limit = (self.leave_timeout_ms > 0).then_some(self.leave_timeout_ms);
                self.stage = Stage::Leaving { until: limit.map(|limit| now.saturating_add(limit)) };
                Some(SuccessionAction::HandOver)
            }
            (Stage::Starting { .. }, Event::Declined) => {
                self.stage = Stage::Declined { until: now.saturating_add(self.end_timeout_ms) };
                None
            }
            (Stage::Starting { .. } | Stage::Declined { .. }, Event::Lost) => self.go_on(None),
            (Stage::Starting { until }, Event::Tick) if now >= until => {
                self.go_on(Some(TooLate::ToServe))
            }
            (Stage::Declined { until }, Event::Tick) if now >= until => {
                self.go_on(Some(TooLate::ToEnd))
            }
            (Stage::Starting { .. } | Stage::Declined { .. }, Event::ShutdownBegan) => {
                let action = self.go_on(None);
                self.stage = Stage::Over;
                action
            }
            (_, Event::ShutdownBegan) => {
                self.stage = Stage::Over;
                None
            }
            (Stage::Leaving { .. }, Event::Deserted) => self.end(false),
            (Stage::Leaving { until: Some(until) }, Event::Tick) if now >= until => self.end(true),
            _ => None,
        }
    }

    fn go_on(&mut self, too_late: Option<TooLate>) -> Option<SuccessionAction> {
        self.stage = Stage::InCharge;
        Some(SuccessionAction::GoOn { too_late })
    }

    fn end(&mut self, timed_out: bool) -> Option<SuccessionAction> {
        self.stage = Stage::Over;
        Some(SuccessionAction::End { timed_out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_old_one_leaves_when_the_new_one_serves_and_ends_with_its_last_session() {
        let mut succession = Succession::new(30, 100, 50);
        assert!(!succession.is_starting());
        assert_eq!(succession.on(Event::Asked, 5), Some(SuccessionAction::Start));
        assert!(succession.is_starting());
        assert_eq!(succession.on(Event::Asked, 6), Some(SuccessionAction::Refuse));
        assert!(!succession.has_left());
        assert_eq!(succession.on(Event::Serves, 20), Some(SuccessionAction::HandOver));
        assert!(succession.has_left() && !succession.is_starting());
        assert_eq!(succession.on(Event::Serves, 20), None, "it was said already");
        assert_eq!(succession.deadline(), Some(120));
        assert_eq!(succession.on(Event::Asked, 21), Some(SuccessionAction::Refuse));
        assert_eq!(succession.on(Event::Lost, 22), None, "it is in charge, and has died since");
        let end = SuccessionAction::End { timed_out: false };
        assert_eq!(succession.on(Event::Deserted, 30), Some(end));
        assert_eq!(succession.deadline(), None);
    }

    #[test]
    fn who_does_not_come_up_changes_nothing() {
        let mut succession = Succession::new(30, 100, 50);
        let gone_on = |too_late| Some(SuccessionAction::GoOn { too_late });
        succession.on(Event::Asked, 0);
        assert_eq!(succession.on(Event::Lost, 1), gone_on(None));
        assert_eq!(succession.on(Event::Asked, 2), Some(SuccessionAction::Start));
        assert_eq!(succession.on(Event::Tick, 31), None);
        assert_eq!(succession.on(Event::Tick, 32), gone_on(Some(TooLate::ToServe)));
        assert_eq!(succession.on(Event::Serves, 33), None, "it was told to end");
        assert_eq!(succession.on(Event::Deserted, 34), None);
        assert_eq!(succession.deadline(), None);
    }

    #[test]
    fn sessions_that_stay_too_long_are_ended_unless_they_may_stay() {
        let mut bounded = Succession::new(30, 100, 50);
        let mut unbounded = Succession::new(30, 0, 50);
        for succession in [&mut bounded, &mut unbounded] {
            succession.on(Event::Asked, 0);
            succession.on(Event::Serves, 10);
            assert_eq!(succession.on(Event::Tick, 109), None);
        }
        let end = SuccessionAction::End { timed_out: true };
        assert_eq!(bounded.on(Event::Tick, 110), Some(end));
        assert_eq!(unbounded.deadline(), None);
        assert_eq!(unbounded.on(Event::Tick, Millis::MAX), None);
    }

    #[test]
    fn a_server_that_ends_takes_the_new_master_with_it_or_lets_it_alone() {
        let mut succession = Succession::new(30, 100, 50);
        succession.on(Event::Asked, 0);
        let gone_on = Some(SuccessionAction::GoOn { too_late: None });
        assert_eq!(succession.on(Event::ShutdownBegan, 1), gone_on);
        assert_eq!(succession.on(Event::Asked, 2), Some(SuccessionAction::Refuse));
        assert!(!succession.has_left(), "nobody has what it had");
        let mut succession = Succession::new(30, 100, 50);
        succession.on(Event::Asked, 0);
        succession.on(Event::Serves, 1);
        assert_eq!(succession.on(Event::ShutdownBegan, 2), None, "it is a server of its own");
        assert_eq!(succession.on(Event::Deserted, 3), None, "it ends already");
        assert!(succession.has_left());
    }

    #[test]
    fn one_that_was_told_to_end_has_its_time_for_that_and_is_followed_by_nobody_meanwhile() {
        let gone_on = |too_late| Some(SuccessionAction::GoOn { too_late });
        let mut succession = Succession::new(30, 100, 50);
        succession.on(Event::Asked, 0);
        assert_eq!(succession.on(Event::Declined, 20), None);
        assert!(succession.is_declined() && !succession.is_starting());
        assert_eq!(succession.deadline(), Some(70));
        assert_eq!(succession.on(Event::Tick, 30), None, "it serves whom it has");
        assert_eq!(succession.on(Event::Serves, 31), None);
        assert_eq!(succession.on(Event::Asked, 32), Some(SuccessionAction::Refuse));
        let mut late = Succession { ..succession };
        assert_eq!(late.on(Event::Tick, 70), gone_on(Some(TooLate::ToEnd)));
        assert_eq!(succession.on(Event::Lost, 69), gone_on(None));
        assert_eq!(succession.on(Event::Asked, 70), Some(SuccessionAction::Start));
        succession.on(Event::Declined, 71);
        assert_eq!(succession.on(Event::ShutdownBegan, 72), gone_on(None));
        assert!(!succession.has_left() && succession.deadline().is_none());
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Asked),
            Just(Event::Lost),
            Just(Event::Serves),
            Just(Event::Declined),
            Just(Event::Deserted),
            Just(Event::ShutdownBegan),
            Just(Event::Tick),
        ]
    }

    proptest! {
        /// Whatever happens, listeners are handed over at most once, and only to one who was
        /// started and is not lost; it ends at most once, and only after that.
        #[test]
        fn somebody_is_always_in_charge(
            events in prop::collection::vec((any_event(), 0u64..50), 0..60),
        ) {
            let mut succession = Succession::new(30, 100, 50);
            let (mut now, mut running, mut handed, mut ended) = (0, false, 0, 0);
            for (event, after) in events {
                now += after;
                match succession.on(event, now) {
                    Some(SuccessionAction::Start) => {
                        prop_assert!(!running && handed == 0);
                        running = true;
                    }
                    Some(SuccessionAction::GoOn { .. }) => {
                        prop_assert!(running && handed == 0);
                        running = false;
                    }
                    Some(SuccessionAction::HandOver) => {
                        prop_assert!(running && handed == 0);
                        handed = 1;
                    }
                    Some(SuccessionAction::End { timed_out }) => {
                        prop_assert!(handed == 1 && ended == 0);
                        prop_assert!(!timed_out || event == Event::Tick);
                        ended = 1;
                    }
                    Some(SuccessionAction::Refuse) => prop_assert_eq!(event, Event::Asked),
                    None => {}
                }
                prop_assert!(succession.deadline().is_none_or(|_| ended == 0));
            }
        }
    }
}
