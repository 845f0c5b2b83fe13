//! Whether all parts of a server go on (P63): each is asked, in rounds, and a round counts when
//! every one has answered from its own loop. A part that hangs ends the rounds, and so the feeding
//! of whoever watches the server from outside.

use crate::Millis;

/// Rounds in the time within which a service manager wants a sign: one that is lost or late is made
/// up for by the next two.
pub const ROUNDS: Millis = 3;

/// A part of the server with a loop of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The manager.
    Manager,
    /// The reactor of this number.
    Reactor(usize),
}

/// What a due time brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Round {
    /// A new round: ask these.
    Ask(Vec<Part>),
    /// The round before is not over: these have not answered, and are not asked again, so that
    /// nothing piles up where nobody reads.
    Unanswered(Vec<Part>),
}

/// The rounds.
#[derive(Debug)]
pub struct Watchdog {
    pause_ms: Millis,
    due: Millis,
    parts: Vec<Part>,
    waiting: Vec<Part>,
}

impl Watchdog {
    /// Who watches wants a sign within `within_ms`. The first round is due at once.
    #[must_use]
    pub fn new(within_ms: Millis, reactors: usize, now: Millis) -> Self {
        let parts = [Part::Manager].into_iter().chain((0..reactors).map(Part::Reactor)).collect();
        let pause_ms = (within_ms / ROUNDS).max(1);
        Self { pause_ms, due: now, parts, waiting: Vec::new() }
    }

    /// When [`Watchdog::round`] is to be called.
    #[must_use]
    pub const fn due(&self) -> Millis {
        self.due
    }

    /// A round, if it is time for one.
    pub fn round(&mut self, now: Millis) -> Option<Round> {
        if now < self.due {
            return None;
        }
        self.due = now.saturating_add(self.pause_ms);
        if !self.waiting.is_empty() {
            return Some(Round::Unanswered(self.waiting.clone()));
        }
        self.waiting.clone_from(&self.parts);
        Some(Round::Ask(self.parts.clone()))
    }

    /// A part has answered. True when it was the last of a round: then the server goes on.
    pub fn answered(&mut self, part: Part) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != part);
        before > 0 && self.waiting.is_empty()
    }

    /// A part was replaced. True when its predecessor owes an answer, for which the successor is to
    /// be asked.
    #[must_use]
    pub fn is_waiting_for(&self, part: Part) -> bool {
        self.waiting.contains(&part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Part; 3] = [Part::Manager, Part::Reactor(0), Part::Reactor(1)];

    #[test]
    fn a_round_counts_when_everybody_has_answered() {
        let mut watchdog = Watchdog::new(3_000, 2, 500);
        assert_eq!(watchdog.round(499), None);
        assert_eq!(watchdog.round(500), Some(Round::Ask(ALL.to_vec())));
        assert!(!watchdog.answered(Part::Reactor(1)));
        assert!(!watchdog.answered(Part::Reactor(1)), "twice is once");
        assert!(!watchdog.answered(Part::Manager));
        assert!(watchdog.answered(Part::Reactor(0)));
        assert!(!watchdog.answered(Part::Reactor(0)), "nobody asked");
        assert_eq!(watchdog.due(), 1_500);
        assert_eq!(watchdog.round(1_499), None);
        assert_eq!(watchdog.round(1_500), Some(Round::Ask(ALL.to_vec())));
    }

    #[test]
    fn a_part_that_hangs_ends_the_rounds_until_it_goes_on() {
        let mut watchdog = Watchdog::new(3_000, 2, 0);
        watchdog.round(0);
        watchdog.answered(Part::Manager);
        watchdog.answered(Part::Reactor(0));
        for now in [1_000, 2_000, 3_000] {
            let late = vec![Part::Reactor(1)];
            assert_eq!(watchdog.round(now), Some(Round::Unanswered(late)), "{now}");
        }
        assert!(watchdog.answered(Part::Reactor(1)));
        assert_eq!(watchdog.round(4_000), Some(Round::Ask(ALL.to_vec())));
    }

    #[test]
    fn the_successor_of_a_part_is_asked_for_what_that_owes() {
        let mut watchdog = Watchdog::new(3_000, 0, 0);
        assert!(!watchdog.is_waiting_for(Part::Manager));
        watchdog.round(0);
        assert!(watchdog.is_waiting_for(Part::Manager));
        assert!(watchdog.answered(Part::Manager));
        assert!(!watchdog.is_waiting_for(Part::Manager));
    }

    #[test]
    fn no_time_makes_it_spin() {
        let mut watchdog = Watchdog::new(0, 0, 10);
        assert!(watchdog.round(10).is_some());
        assert_eq!(watchdog.due(), 11);
        let mut watchdog = Watchdog::new(u64::MAX, 0, u64::MAX - 1);
        assert!(watchdog.round(u64::MAX).is_some());
        assert_eq!(watchdog.due(), u64::MAX);
    }
}
