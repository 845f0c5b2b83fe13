//! When a turn of an event loop is told to take long: once, and few of many.
//!
//! Whoever looks does so a few times in that time, and may be kept from it itself: a process that
//! was stopped, or a machine that is out of CPUs, is no turn that takes long. What passed while
//! nobody looked does not count.

use crate::throttle::Throttle;
use crate::{Millis, Nanos};

/// Looks in the time after which a turn takes long: so it is told at most a quarter of that later.
pub const LOOKS: Nanos = 4;
/// The shortest time between two looks: more of them would cost more than what they find.
const PAUSE_MIN_NS: Nanos = 5_000_000;
/// The longest.
const PAUSE_MAX_NS: Nanos = 1_000_000_000;
/// Turns that are told in a period; the others are counted.
const TOLD_MAX: u32 = 5;
/// That period.
const PERIOD_MS: Millis = 10_000;

/// A turn that takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Of which loop.
    pub number: usize,
    /// For how long it has been going on.
    pub elapsed: Nanos,
    /// It is to be told, and so many others were not since the last that was.
    pub told: Option<u64>,
}

/// The watch over some loops.
#[derive(Debug)]
pub struct LoopLag {
    after: Nanos,
    /// The beginning of the turn of each loop that took long the last time.
    found: Vec<Option<Nanos>>,
    looked_at: Option<Nanos>,
    /// What was before does not count.
    since: Nanos,
    throttle: Throttle,
    untold: u64,
}

impl LoopLag {
    /// Turns of so many loops that take `after` or longer.
    #[must_use]
    pub fn new(after: Nanos, loops: usize) -> Self {
        Self {
            after: after.max(1),
            found: vec![None; loops],
            looked_at: None,
            since: 0,
            throttle: Throttle::new(TOLD_MAX, PERIOD_MS),
            untold: 0,
        }
    }

    /// The time from one look to the next.
    #[must_use]
    pub fn pause(&self) -> Nanos {
        (self.after / LOOKS).clamp(PAUSE_MIN_NS, PAUSE_MAX_NS)
    }

    /// Nobody looks until a turn begins.
    pub const fn rests(&mut self) {
        self.looked_at = None;
    }

    /// A look at `now`: when the turn of each loop has begun, `None` for one that sleeps. Answers
    /// which have become long.
    pub fn look(&mut self, began: &[Option<Nanos>], now: Nanos) -> Vec<Lag> {
        let late = self.looked_at.is_some_and(|before| {
            now.saturating_sub(before) > self.pause().saturating_mul(LOOKS / 2)
        });
        if late {
            self.since = now;
        }
        self.looked_at = Some(now);
        let now_ms = now / 1_000_000;
        self.untold += self.throttle.take_held_back(now_ms).unwrap_or(0);
        let mut lags = Vec::new();
        for (number, (began, found)) in began.iter().zip(&mut self.found).enumerate() {
            let Some(began) = *began else { continue };
            let elapsed = now.saturating_sub(began.max(self.since));
            if elapsed < self.after || *found == Some(began) {
                continue;
            }
            *found = Some(began);
            let is_told = self.throttle.admits(now_ms);
            let told = is_told.then(|| std::mem::take(&mut self.untold));
            lags.push(Lag { number, elapsed, told });
        }
        lags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    /// Looks at every pause from `from` on, until `until`.
    fn look(lag: &mut LoopLag, began: &[Option<Nanos>], from: Nanos, until: Nanos) -> Vec<Lag> {
        let (mut now, mut lags) = (from, Vec::new());
        while now <= until {
            lags.extend(lag.look(began, now));
            now += lag.pause();
        }
        lags
    }

    #[test]
    fn a_turn_is_found_once_when_it_has_taken_long() {
        let mut lag = LoopLag::new(100 * MS, 2);
        assert_eq!(lag.pause(), 25 * MS);
        let began = [Some(1_000 * MS), None];
        assert_eq!(look(&mut lag, &began, 1_000 * MS, 1_075 * MS), []);
        let found = Lag { number: 0, elapsed: 100 * MS, told: Some(0) };
        assert_eq!(look(&mut lag, &began, 1_100 * MS, 1_900 * MS), [found]);
        // The next one of it, and one of another.
        let began = [Some(2_000 * MS), Some(2_010 * MS)];
        let lags = look(&mut lag, &began, 1_925 * MS, 2_125 * MS);
        assert_eq!(lags.iter().map(|lag| lag.number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(lags[1].elapsed, 115 * MS);
    }

    #[test]
    fn what_passed_while_nobody_looked_does_not_count() {
        let mut lag = LoopLag::new(100 * MS, 1);
        let began = [Some(1_000 * MS)];
        assert_eq!(look(&mut lag, &began, 1_000 * MS, 1_050 * MS), []);
        // The process was stopped for a minute.
        assert_eq!(look(&mut lag, &began, 61_000 * MS, 61_075 * MS), []);
        let lags = look(&mut lag, &began, 61_100 * MS, 61_200 * MS);
        assert_eq!(lags, [Lag { number: 0, elapsed: 100 * MS, told: Some(0) }]);
        // Who rested has missed nothing.
        lag.rests();
        assert_eq!(lag.look(&[Some(99_000 * MS)], 99_100 * MS).len(), 1);
    }

    #[test]
    fn few_of_many_are_told_and_the_others_counted() {
        let mut lag = LoopLag::new(10 * MS, 1);
        let (mut told, mut others, mut found) = (0, 0, 0);
        for turn in 0..1_000 {
            let began = turn * 20 * MS;
            for one in look(&mut lag, &[Some(began)], began, began + 15 * MS) {
                found += 1;
                told += u64::from(one.told.is_some());
                others += one.told.unwrap_or(0);
            }
        }
        assert_eq!((found, told), (1_000, 10), "five in each ten seconds");
        assert_eq!(others, 495, "of the first ten seconds; the second are not told yet");
    }

    #[test]
    fn what_cannot_be_is_not_long() {
        let mut lag = LoopLag::new(0, 1);
        assert_eq!(lag.look(&[Some(Nanos::MAX)], 5), []);
        assert_eq!(lag.look(&[], 6), []);
        assert_eq!(LoopLag::new(Nanos::MAX, 1).pause(), 1_000 * MS);
    }
}
