//! How much one session may send in a second: packages, and bytes. Who sends more is not read for a
//! while, so that the rate holds and nothing is lost.

use crate::Nanos;
use crate::token_bucket::TokenBucket;

/// A session rests until it may send what comes in so many parts of a second: a wake-up for each
/// package would cost more than it is worth.
const RESTS_PER_SECOND: u64 = 10;

/// The limits of the sessions of one port; 0 switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionRates {
    /// Packages a second.
    pub packages: u64,
    /// Bytes a second.
    pub bytes: u64,
}

impl SessionRates {
    /// Whether there are none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.packages == 0 && self.bytes == 0
    }
}

/// What one session has sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionMeter {
    packages: TokenBucket,
    bytes: TokenBucket,
}

impl SessionMeter {
    /// Bytes were received of it, and so many packages of it were given to workers.
    pub fn count(&mut self, now: Nanos, packages: u64, bytes: u64, rates: &SessionRates) {
        if rates.packages > 0 && packages > 0 {
            self.packages.take(now, packages, rates.packages);
        }
        if rates.bytes > 0 && bytes > 0 {
            self.bytes.take(now, bytes, rates.bytes);
        }
    }

    /// Until when it is not to be read; `None`: it may be read now.
    #[must_use]
    pub fn rests_until(&self, now: Nanos, rates: &SessionRates) -> Option<Nanos> {
        let ends = [(&self.packages, rates.packages), (&self.bytes, rates.bytes)];
        let ends =
            ends.into_iter().filter(|(bucket, rate)| *rate > 0 && !bucket.has(now, 1, *rate));
        ends.map(|(bucket, rate)| bucket.has_at((rate / RESTS_PER_SECOND).max(1), rate)).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn the_limit_that_is_reached_is_the_one_that_counts() {
        let rates = SessionRates { packages: 100, bytes: 1_000 };
        let (mut meter, now) = (SessionMeter::default(), 50 * SECOND);
        meter.count(now, 99, 10, &rates);
        assert_eq!(meter.rests_until(now, &rates), None);
        meter.count(now, 1, 0, &rates);
        assert_eq!(meter.rests_until(now, &rates), Some(now + SECOND / 10));
        meter.count(now, 0, 4_990, &rates);
        assert_eq!(meter.rests_until(now, &rates), Some(now + 4 * SECOND + SECOND / 10));
        let only_packages = SessionRates { bytes: 0, ..rates };
        assert_eq!(meter.rests_until(now, &only_packages), Some(now + SECOND / 10));
        assert_eq!(meter.rests_until(now, &SessionRates::default()), None);
    }
}
