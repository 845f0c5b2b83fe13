//! What one delivery takes a worker: a mean that forgets, and that a lost CPU cannot spoil.

use crate::Nanos;

/// Weight of a new sample: one in eight.
const WEIGHT: Nanos = 8;
/// A sample counts as at most so many times the mean: a worker that lost its CPU in the middle of a
/// delivery did not become slow, and one slow delivery among many fast ones says nothing of the
/// next. One that did become slow is known as such after a dozen deliveries.
const OUTLIER: Nanos = 4;
/// The longest sample: keeps the sums within their type.
const SAMPLE_MAX_NS: Nanos = 1 << 50;

/// The mean over the last deliveries, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkMean {
    /// [`WEIGHT`] times the mean, so that a small mean can grow in spite of whole numbers. Zero:
    /// nothing was measured.
    sum: Nanos,
}

impl WorkMean {
    /// One more delivery took so long. The first is taken as it is.
    pub fn add(&mut self, sample_ns: Nanos) {
        let sample = sample_ns.clamp(1, SAMPLE_MAX_NS);
        if self.sum == 0 {
            self.sum = WEIGHT * sample;
            return;
        }
        let mean = self.mean_ns();
        self.sum = self.sum - mean + sample.min(OUTLIER * mean);
    }

    /// The mean; zero before the first sample, and only then.
    #[must_use]
    pub const fn mean_ns(&self) -> Nanos {
        self.sum / WEIGHT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(samples: impl IntoIterator<Item = Nanos>) -> Nanos {
        let mut mean = WorkMean::default();
        samples.into_iter().for_each(|sample| mean.add(sample));
        mean.mean_ns()
    }

    #[test]
    fn nothing_measured_is_zero_and_the_first_sample_counts_whole() {
        assert_eq!(mean_of([]), 0);
        assert_eq!(mean_of([5_000_000]), 5_000_000);
        assert_eq!(mean_of([0]), 1, "measured, so not zero");
    }

    #[test]
    fn an_outlier_counts_as_four_times_the_mean() {
        let fast = std::iter::repeat_n(1_000, 100);
        assert_eq!(mean_of(fast.clone()), 1_000);
        assert_eq!(mean_of(fast.clone().chain([4_000])), 1_375);
        assert_eq!(mean_of(fast.chain([5_000_000])), 1_375);
    }

    #[test]
    fn one_slow_delivery_in_a_hundred_keeps_a_worker_fast() {
        let samples = (0..10_000).map(|n| if n % 100 == 0 { 5_000_000 } else { 1_000 });
        assert!(mean_of(samples) < 1_500);
    }

    #[test]
    fn a_worker_that_becomes_slow_or_fast_is_known_soon() {
        let became =
            |from, to, after| mean_of([from].into_iter().chain(std::iter::repeat_n(to, after)));
        assert!(became(1_000, 5_000_000, 16) > 100_000);
        assert!(became(1_000, 5_000_000, 64) > 4_000_000);
        assert!(became(5_000_000, 1_000, 64) < 5_000);
        assert!(became(1, 1_000, 64) > 900, "a small mean grows");
    }

    #[test]
    fn no_sample_overflows() {
        assert_eq!(mean_of(std::iter::repeat_n(u64::MAX, 100)), SAMPLE_MAX_NS);
    }
}
