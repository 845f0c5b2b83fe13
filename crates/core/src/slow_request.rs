//! When a callback that runs is told to be slow: after a time, and again each time that this has
//! doubled, so that one can see whether it moves.

use crate::Nanos;

/// What runs: which of many, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Another number is another callback.
    pub turn: u64,
    /// When it began.
    pub started: Nanos,
}

/// The watch over one process.
#[derive(Clone, Debug, Default)]
pub struct SlowRequest {
    turn: u64,
    /// After how long it is told next.
    next: Nanos,
}

impl SlowRequest {
    /// A look at `now` at what runs; answers how long it has been running, if that is to be told.
    /// Whoever is looked at rarely is told once for all the times that have passed.
    pub fn look(&mut self, running: Option<Running>, after: Nanos, now: Nanos) -> Option<Nanos> {
        let running = running?;
        if running.turn != self.turn || self.next == 0 {
            *self = Self { turn: running.turn, next: after.max(1) };
        }
        // One that began later than now is nonsense, and not slow.
        let elapsed = now.saturating_sub(running.started);
        if elapsed < self.next {
            return None;
        }
        while self.next <= elapsed {
            self.next = self.next.saturating_mul(2);
            if self.next == Nanos::MAX {
                break;
            }
        }
        Some(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(turn: u64, started: Nanos) -> Option<Running> {
        Some(Running { turn, started })
    }

    #[test]
    fn it_is_told_at_its_time_and_whenever_that_has_doubled() {
        let mut slow = SlowRequest::default();
        let told = (1_000..=9_000).filter_map(|now| slow.look(at(4, 1_000), 1_000, now));
        assert_eq!(told.collect::<Vec<_>>(), [1_000, 2_000, 4_000, 8_000]);
    }

    #[test]
    fn another_one_has_its_own_time_and_none_is_not_told() {
        let mut slow = SlowRequest::default();
        assert_eq!(slow.look(at(2, 0), 10, 35), Some(35));
        assert_eq!((slow.look(at(2, 0), 10, 39), slow.look(at(2, 0), 10, 40)), (None, Some(40)));
        assert_eq!((slow.look(None, 10, 90), slow.look(at(4, 85), 10, 90)), (None, None));
        assert_eq!(slow.look(at(4, 85), 10, 95), Some(10));
    }

    #[test]
    fn what_cannot_be_neither_loops_nor_overflows() {
        let mut slow = SlowRequest::default();
        assert_eq!(slow.look(at(2, Nanos::MAX), 10, 5), None);
        assert_eq!(slow.look(at(3, 0), 0, Nanos::MAX), Some(Nanos::MAX));
        assert_eq!(slow.look(at(0, 0), Nanos::MAX, 7), None);
    }

    proptest::proptest! {
        /// However often and whenever the manager looks: nothing that took less than the time is
        /// told, what is told is what runs, and the next telling comes when its time has doubled.
        #[test]
        fn s20_what_is_slow_is_told_and_told_again_when_its_time_has_doubled(
            after in 1_u64..50,
            turns in proptest::collection::vec((0_u64..500, 0_u64..20), 1..10),
            looks in proptest::collection::vec(1_u64..40, 1..200),
        ) {
            // When each turn begins and ends; between them nothing runs.
            let mut begun = 0;
            let turns: Vec<_> = (1_u64..).zip(turns).map(|(turn, (takes, pause))| {
                let started = begun + pause;
                begun = started + takes;
                (turn, started, begun)
            }).collect();
            let (mut slow, mut now, mut told) = (SlowRequest::default(), 0, (0, 0));
            for pause in looks {
                let before = now;
                now += pause;
                let runs = |&&(_, started, ended): &&(u64, Nanos, Nanos)| {
                    (started..ended).contains(&now)
                };
                let Some(&(turn, started, _)) = turns.iter().find(runs) else {
                    proptest::prop_assert_eq!(slow.look(None, after, now), None);
                    continue;
                };
                let last = if told.0 == turn { told.1 } else { 0 };
                // The first of its times that it has not been told for.
                let mut due = after;
                while due <= last {
                    due *= 2;
                }
                let elapsed = now - started;
                let expected = (elapsed >= due).then_some(elapsed);
                proptest::prop_assert_eq!(slow.look(at(turn, started), after, now), expected);
                if expected.is_some() {
                    told = (turn, elapsed);
                }
                proptest::prop_assert!(now > before);
            }
        }
    }
}
