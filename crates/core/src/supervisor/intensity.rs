//! Restart intensity: too many deaths over all slots are reported, nothing is stopped (decision 9).

use std::collections::VecDeque;

use crate::Millis;

/// How many times of death are kept at least; with more in one period the number reported is that
/// of the latest ones.
const KEPT_MIN: usize = 1024;

/// The unexpected deaths of the last period.
#[derive(Debug)]
pub(super) struct Intensity {
    limit: usize,
    period: Millis,
    deaths: VecDeque<Millis>,
    reported: Option<Millis>,
}

impl Intensity {
    pub(super) fn new(limit: u32, period: Millis) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { limit, period, deaths: VecDeque::new(), reported: None }
    }

    /// Counts a death at `now` (which never decreases); returns the deaths within the period if
    /// that is more than the limit and was not reported within the period.
    pub(super) fn record(&mut self, now: Millis) -> Option<u32> {
        let period = self.period;
        let is_recent = |at: Millis| now.saturating_sub(at) < period;
        while self.deaths.front().is_some_and(|at| !is_recent(*at)) {
            self.deaths.pop_front();
        }
        if self.deaths.len() > self.limit.max(KEPT_MIN) {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        if self.deaths.len() <= self.limit || self.reported.is_some_and(is_recent) {
            return None;
        }
        self.reported = Some(now);
        Some(u32::try_from(self.deaths.len()).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::{Intensity, KEPT_MIN};

    #[test]
    fn reports_once_per_period() {
        let mut intensity = Intensity::new(2, 100);
        assert_eq!(intensity.record(0), None);
        assert_eq!(intensity.record(10), None);
        assert_eq!(intensity.record(20), Some(3));
        assert_eq!(intensity.record(30), None);
        assert_eq!(intensity.record(119), None);
        // A full period after the report: 30, 119, 125 are within the last 100.
        assert_eq!(intensity.record(125), Some(3));
    }

    #[test]
    fn deaths_far_apart_are_never_too_many() {
        let mut intensity = Intensity::new(1, 100);
        assert!((0..50).all(|step| intensity.record(step * 100).is_none()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut intensity = Intensity::new(1, 1_000_000);
        for now in 0..5_000 {
            intensity.record(now);
        }
        assert!(intensity.deaths.len() <= KEPT_MIN + 2);
    }
}
