//! How times are spread: fixed buckets, each an eighth of a power of two wide.
//!
//! A bucket is found by the position of the highest bit and the three bits below it, so that
//! counting is a few instructions; who reads adds histograms up and asks for quantiles, which are
//! right to an eighth of their value.

use crate::Nanos;

/// How many buckets there are.
pub const BUCKETS: usize = 256;

/// Times below are not told apart, nanoseconds: reading the clock takes half as long.
const UNIT_BITS: u32 = 6;
/// The bits below the highest one that tell buckets apart.
const PART_BITS: u32 = 3;
const PARTS: u64 = 1 << PART_BITS;

/// The bucket of a time. What took longer than the last bucket begins is in there: above 17
/// minutes.
#[must_use]
pub const fn bucket_of(time: Nanos) -> usize {
    let units = time >> UNIT_BITS;
    if units < PARTS {
        return units as usize;
    }
    let highest = units.ilog2();
    let part = (units >> (highest - PART_BITS)) & (PARTS - 1);
    let bucket = ((highest - PART_BITS + 1) as u64 * PARTS + part) as usize;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// The shortest time that is in a bucket.
#[must_use]
pub const fn shortest_of(bucket: usize) -> Nanos {
    let (power, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    if power == 0 {
        return part << UNIT_BITS;
    }
    let power = if power > 40 { 40 } else { power };
    ((PARTS + part) << (power - 1)) << UNIT_BITS
}

/// The longest time that is in a bucket.
#[must_use]
pub const fn longest_of(bucket: usize) -> Nanos {
    shortest_of(bucket.saturating_add(1)).saturating_sub(1)
}

/// How many times were in each bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS] }
    }
}

impl Histogram {
    /// One that was counted elsewhere; what is missing is 0.
    #[must_use]
    pub fn of(counts: impl IntoIterator<Item = u64>) -> Self {
        let mut histogram = Self::default();
        for (to, from) in histogram.counts.iter_mut().zip(counts) {
            *to = from;
        }
        histogram
    }

    /// One more time.
    pub fn count(&mut self, time: Nanos) {
        if let Some(count) = self.counts.get_mut(bucket_of(time)) {
            *count = count.saturating_add(1);
        }
    }

    /// Adds those of another writer.
    pub fn add(&mut self, other: &Self) {
        for (to, from) in self.counts.iter_mut().zip(other.counts) {
            *to = to.saturating_add(from);
        }
    }

    /// What has come since an earlier look at the same.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let both = self.counts.iter().zip(earlier.counts);
        Self::of(both.map(|(now, then)| now.saturating_sub(then)))
    }

    /// How many times there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time within which this part of all lies, 0 for the shortest and 1 for all: the longest
    /// of its bucket. `None`: there is none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Nanos> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        // What is no number is like 0; the rank is at least the first, and at most the last.
        let rank = ((part.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total);
        let mut seen: u64 = 0;
        let reaches = |count: &u64| {
            seen = seen.saturating_add(*count);
            seen >= rank
        };
        self.counts.iter().position(reaches).map(longest_of)
    }

    /// The mean, as if all times of a bucket were its middle. `None`: there is none.
    #[must_use]
    pub fn mean(&self) -> Option<Nanos> {
        let total = self.total();
        let sum = self.counts.iter().enumerate().fold(0, |sum: u128, (bucket, count)| {
            let middle = shortest_of(bucket).midpoint(longest_of(bucket));
            sum + u128::from(middle) * u128::from(*count)
        });
        let mean = sum.checked_div(u128::from(total))?;
        Some(Nanos::try_from(mean).unwrap_or(Nanos::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The longest time that has a bucket of its own.
    const MOST: Nanos = 1 << 40;

    #[test]
    fn the_buckets_follow_each_other_without_a_gap() {
        assert_eq!((bucket_of(0), shortest_of(0)), (0, 0));
        for bucket in 0..BUCKETS {
            let (shortest, longest) = (shortest_of(bucket), longest_of(bucket));
            assert!(shortest <= longest, "{bucket}");
            assert_eq!(shortest, if bucket == 0 { 0 } else { longest_of(bucket - 1) + 1 });
            assert_eq!((bucket_of(shortest), bucket_of(longest)), (bucket, bucket));
            let width = longest - shortest + 1;
            assert!(width <= (shortest / 8).max(1 << UNIT_BITS), "{bucket}: {width}");
        }
        assert_eq!(longest_of(BUCKETS - 1) + 1, MOST);
        assert_eq!((bucket_of(MOST), bucket_of(Nanos::MAX)), (BUCKETS - 1, BUCKETS - 1));
        assert!(shortest_of(usize::MAX) > 0, "nonsense neither fails nor loops");
    }

    #[test]
    fn an_empty_one_has_no_quantile_and_nonsense_is_like_none_or_all() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.mean(), histogram.total()), (None, None, 0));
        histogram.count(100);
        histogram.count(1_000_000);
        assert_eq!(histogram.quantile(f64::NAN), Some(longest_of(bucket_of(100))));
        assert_eq!(histogram.quantile(-3.0), histogram.quantile(0.0));
        assert_eq!(histogram.quantile(7.0), Some(longest_of(bucket_of(1_000_000))));
        let full = Histogram::of(std::iter::repeat_n(u64::MAX, 2 * BUCKETS));
        assert_eq!(full.total(), u64::MAX);
        assert!(full.quantile(1.0).is_some() && full.mean().is_some());
    }

    proptest! {
        /// As the crate that the measurements use says, to the width of a bucket.
        #[test]
        fn quantiles_are_those_of_hdrhistogram(
            times in prop::collection::vec((0_u32..40, any::<u64>()), 1..300),
            parts in prop::collection::vec(0.0_f64..=1.0, 1..8),
        ) {
            let times: Vec<Nanos> =
                times.into_iter().map(|(bits, random)| random % (1 << bits) + 1).collect();
            let mut expected = hdrhistogram::Histogram::<u64>::new_with_max(MOST, 3).unwrap();
            let mut histogram = Histogram::default();
            for time in &times {
                expected.record(*time).unwrap();
                histogram.count(*time);
            }
            prop_assert_eq!(histogram.total(), expected.len());
            for part in parts.into_iter().chain([0.0, 0.5, 0.99, 1.0]) {
                let right = expected.value_at_quantile(part);
                let own = histogram.quantile(part).unwrap();
                let off = (right / 8).max(1 << UNIT_BITS) + right / 1_000 + 1;
                prop_assert!(own.abs_diff(right) <= off, "{part}: {own}, not {right}");
            }
            let (mean, right) = (histogram.mean().unwrap() as f64, expected.mean());
            prop_assert!((mean - right).abs() <= right / 8.0 + 64.0, "{mean}, not {right}");
        }

        #[test]
        fn what_was_added_up_is_what_was_counted_together(
            one in prop::collection::vec(any::<u64>(), 0..50),
            two in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let of = |times: &[u64]| {
                let mut histogram = Histogram::default();
                times.iter().for_each(|time| histogram.count(*time));
                histogram
            };
            let (mut sum, second) = (of(&one), of(&two));
            sum.add(&second);
            prop_assert_eq!(&sum, &of(&[one.clone(), two].concat()));
            prop_assert_eq!(sum.since(&second), of(&one));
        }
    }
}
