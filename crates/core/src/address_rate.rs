//! How many of something one address may have in a second, by one word that several processes
//! change: until when everything that it had is paid for.

use crate::Nanos;
use crate::token_bucket::TokenBucket;

const SECOND: Nanos = 1_000_000_000;

/// So many in a second, of which those of one second are saved up.
#[derive(Clone, Copy, Debug)]
pub struct AddressRate {
    /// How many; at least 1.
    pub rate: u64,
}

impl AddressRate {
    /// Whether one more may be, by what the word says.
    #[must_use]
    pub fn admits(&self, word: Nanos, now: Nanos) -> bool {
        bucket(word, now).has(now, 1, self.rate)
    }

    /// The word after one more.
    #[must_use]
    pub fn charged(&self, word: Nanos, now: Nanos) -> Nanos {
        let mut bucket = bucket(word, now);
        bucket.take(now, 1, self.rate);
        bucket.paid_until()
    }
}

/// What was written is not believed beyond the debt that a second may bring, and what is taken at
/// the same moment by others: a process that writes nonsense locks nobody out for ever.
fn bucket(word: Nanos, now: Nanos) -> TokenBucket {
    TokenBucket::paid(word.min(now.saturating_add(2 * SECOND)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_saved_up_and_what_is_used_comes_back_at_the_rate() {
        let (limit, now, mut word) = (AddressRate { rate: 4 }, 100 * SECOND, 0);
        for number in 0..4 {
            assert!(limit.admits(word, now), "{number}");
            word = limit.charged(word, now);
        }
        assert!(!limit.admits(word, now) && !limit.admits(word, now + SECOND / 4 - 1));
        assert!(limit.admits(word, now + SECOND / 4));
        assert_eq!(limit.charged(word, now + 9 * SECOND), now + 9 * SECOND + SECOND / 4);
    }

    #[test]
    fn a_word_that_cannot_be_is_forgotten_after_two_seconds() {
        let (limit, now) = (AddressRate { rate: 1 }, SECOND);
        let word = limit.charged(Nanos::MAX, now);
        assert!(word <= now + 3 * SECOND, "{word}");
        assert!(!limit.admits(word, now) && limit.admits(word, now + 4 * SECOND));
    }
}
