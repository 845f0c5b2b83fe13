//! A rate that is not exceeded for long: so many tokens a second, and as many as one second brings
//! are saved up.
//!
//! There is no counter that somebody would have to fill. What was taken is paid with time: the
//! bucket knows until when, and whether that is too far ahead.

use crate::Nanos;

const SECOND: Nanos = 1_000_000_000;

/// The tokens. The rate is the caller's, so that a thousand sessions of one port need one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// Up to here everything that was taken is paid for.
    paid_until: Nanos,
}

impl TokenBucket {
    /// One of which everything that was taken is paid for at this time.
    #[must_use]
    pub const fn paid(until: Nanos) -> Self {
        Self { paid_until: until }
    }

    /// When everything that was taken is paid for.
    #[must_use]
    pub const fn paid_until(&self) -> Nanos {
        self.paid_until
    }

    /// Takes tokens, also more than there are: then nothing is there until they are paid for.
    pub fn take(&mut self, now: Nanos, tokens: u64, rate: u64) {
        self.paid_until = self.paid_until.max(now).saturating_add(price(tokens, rate));
    }

    /// When there are so many tokens again, at most those of a second; now or earlier if there are.
    #[must_use]
    pub fn has_at(&self, tokens: u64, rate: u64) -> Nanos {
        let ahead = SECOND.saturating_sub(price(tokens, rate));
        self.paid_until.saturating_sub(ahead)
    }

    /// Whether there are so many tokens, at most those of a second.
    #[must_use]
    pub fn has(&self, now: Nanos, tokens: u64, rate: u64) -> bool {
        self.has_at(tokens, rate) <= now
    }
}

/// The time in which so many tokens come.
fn price(tokens: u64, rate: u64) -> Nanos {
    let price = u128::from(tokens) * u128::from(SECOND) / u128::from(rate.max(1));
    Nanos::try_from(price).unwrap_or(Nanos::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_is_saved_up_and_then_tokens_come_at_their_rate() {
        let mut bucket = TokenBucket::default();
        let now = 100 * SECOND;
        for taken in 0..10 {
            assert!(bucket.has(now, 1, 10), "{taken}");
            bucket.take(now, 1, 10);
        }
        assert!(!bucket.has(now, 1, 10));
        assert_eq!(bucket.has_at(1, 10), now + SECOND / 10);
        assert!(bucket.has(now + SECOND / 10, 1, 10));
        assert_eq!(bucket.has_at(5, 10), now + SECOND / 2);
        assert!(!bucket.has(now + SECOND / 10, 2, 10));
    }

    #[test]
    fn who_takes_more_than_there_is_waits_until_it_is_paid_for() {
        let mut bucket = TokenBucket::default();
        bucket.take(SECOND, 1_000, 10);
        assert_eq!(bucket.has_at(1, 10), SECOND + 99 * SECOND + SECOND / 10);
        // No more than a second's tokens are ever asked for.
        assert_eq!(bucket.has_at(1_000, 10), SECOND + 100 * SECOND);
    }

    proptest! {
        /// Whatever is asked when: in no span of time more is taken than its rate and one second
        /// bring, and who waits until there is a token gets one.
        #[test]
        fn the_rate_holds(
            rate in 1u64..10_000,
            pauses in proptest::collection::vec(0u64..SECOND, 1..100),
        ) {
            let (mut bucket, mut now, mut taken) = (TokenBucket::default(), SECOND, Vec::new());
            for pause in pauses {
                now += pause;
                if !bucket.has(now, 1, rate) {
                    now = bucket.has_at(1, rate).max(now);
                }
                prop_assert!(bucket.has(now, 1, rate));
                bucket.take(now, 1, rate);
                taken.push(now);
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let came = u128::from(to - from) * u128::from(rate);
                    let most = came.div_ceil(u128::from(SECOND)) + u128::from(rate) + 1;
                    prop_assert!((last - first + 1) as u128 <= most);
                }
            }
        }
    }
}
