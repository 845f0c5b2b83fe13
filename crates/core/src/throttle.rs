//! How often a line is written that could come in thousands: a few at once, then a count.

use crate::Millis;

/// Admits some events of a kind in each period and counts the others.
#[derive(Clone, Debug)]
pub struct Throttle {
    burst: u32,
    period: Millis,
    /// When the period began; `None` before the first event.
    since: Option<Millis>,
    admitted: u32,
    held_back: u64,
}

impl Throttle {
    /// Admits `burst` events in each period of `period` milliseconds.
    #[must_use]
    pub const fn new(burst: u32, period: Millis) -> Self {
        Self { burst, period, since: None, admitted: 0, held_back: 0 }
    }

    /// An event at `now`: whether it is to be told by itself. Others are counted for
    /// [`Throttle::take_held_back`].
    pub fn admits(&mut self, now: Millis) -> bool {
        let is_over = self.since.is_none_or(|since| now.saturating_sub(since) >= self.period);
        // What was held back is told first: events that never pause would put it off for ever.
        if is_over && self.held_back == 0 {
            self.since = Some(now);
            self.admitted = 0;
        }
        let admits = self.admitted < self.burst;
        if admits {
            self.admitted += 1;
        } else {
            self.held_back += 1;
        }
        admits
    }

    /// When the count of what was held back is due; `None` when nothing was.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        let since = self.since.filter(|_| self.held_back > 0)?;
        Some(since.saturating_add(self.period))
    }

    /// How many events were held back, if it is time to tell.
    pub fn take_held_back(&mut self, now: Millis) -> Option<u64> {
        self.due().filter(|due| *due <= now)?;
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::Throttle;

    #[test]
    fn a_few_are_told_and_the_rest_is_counted_once_per_period() {
        let mut throttle = Throttle::new(2, 100);
        assert_eq!(
            [throttle.admits(5), throttle.admits(6), throttle.admits(7)],
            [true, true, false]
        );
        assert!(!throttle.admits(50));
        assert_eq!((throttle.due(), throttle.take_held_back(104)), (Some(105), None));
        assert_eq!(throttle.take_held_back(105), Some(2));
        assert_eq!((throttle.due(), throttle.take_held_back(300)), (None, None));
        assert!(throttle.admits(300), "a new period");
    }

    #[test]
    fn events_that_never_pause_do_not_put_off_the_count() {
        let mut throttle = Throttle::new(1, 100);
        let mut told = Vec::new();
        for now in 0..=250 {
            // An event comes before the look at the clock, as in a loop that is never idle.
            throttle.admits(now);
            told.extend(throttle.take_held_back(now));
        }
        assert_eq!(told, [100, 100], "once per period, and nothing is lost");
    }

    #[test]
    fn rare_events_are_all_told() {
        let mut throttle = Throttle::new(1, 100);
        assert!((0..10).all(|step| throttle.admits(step * 100)));
        assert_eq!(throttle.due(), None);
    }
}
