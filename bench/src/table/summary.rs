//! From the samples of all rounds to one row: medians, and ratios taken within each round.

use super::case::{Case, Placement, Sample};
use super::target::Target;

/// Median, least and greatest of a number over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle value, or the mean of the two middle ones.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// `None` without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = *values.get(values.len() / 2)?;
        let lower = *values.get((values.len() - 1) / 2)?;
        Some(Self { median: (lower + upper) / 2.0, min, max })
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// What makes it another row than those with the same payload and placement.
    pub load: &'static str,
    /// Request and reply length.
    pub size_bytes: usize,
    /// Where server and client ran.
    pub placement: Placement,
    /// Name of the peer.
    pub peer: String,
    /// Replies in one round: what its percentiles are taken over.
    pub requests: Spread,
    /// Replies per second.
    pub requests_per_s: Spread,
    /// CPU time of the server per reply.
    pub cpu_us: Spread,
    /// CPU per reply over that of the reference in the same round.
    pub cpu_ratio: Spread,
    /// Replies per second over those of the reference in the same round.
    pub throughput_ratio: Spread,
    /// Median latency.
    pub p50_us: Spread,
    /// 99th percentile of the latency.
    pub p99_us: Spread,
    /// 99th percentile over that of the reference in the same round.
    pub p99_ratio: Spread,
    /// Share of the machine's CPU time used by neither server nor client.
    pub others: Spread,
    /// What is to be reached.
    pub target: Option<Target>,
}

impl Row {
    /// Joins the rounds of one peer with those of the reference; both in the order of the rounds.
    /// `None` without rounds.
    pub fn join(case: &Case, peer: &str, samples: &[Sample], reference: &[Sample]) -> Option<Self> {
        let over = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value));
        let ratio = |value: fn(&Sample) -> f64| {
            let pairs = samples.iter().zip(reference);
            Spread::of(pairs.map(|(sample, reference)| value(sample) / value(reference)))
        };
        Some(Self {
            load: case.load,
            size_bytes: case.size_bytes,
            placement: case.placement,
            peer: peer.to_owned(),
            requests: over(|sample| sample.requests as f64)?,
            requests_per_s: over(|sample| sample.requests_per_s)?,
            cpu_us: over(|sample| sample.cpu_us)?,
            cpu_ratio: ratio(|sample| sample.cpu_us)?,
            throughput_ratio: ratio(|sample| sample.requests_per_s)?,
            p50_us: over(|sample| sample.p50_us)?,
            p99_us: over(|sample| sample.p99_us)?,
            p99_ratio: ratio(|sample| sample.p99_us)?,
            others: over(|sample| sample.others)?,
            target: Target::of(case, peer),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::case::tests::case;
    use super::*;
    use crate::load::Troubles;

    /// A row of the raw echo's with these ratios.
    pub(in crate::table) fn row(cpu: f64, throughput: f64, p99: f64) -> Row {
        let spread = |median| Spread { median, min: median, max: median };
        let row = Row::join(&case("", 64), "raw", &[sample(1.0, 1.0)], &[sample(1.0, 1.0)]);
        Row {
            cpu_ratio: spread(cpu),
            throughput_ratio: spread(throughput),
            p99_ratio: spread(p99),
            ..row.unwrap()
        }
    }

    fn sample(requests_per_s: f64, cpu_us: f64) -> Sample {
        let (p50_us, p99_us) = (1.0, 2.0);
        let troubles = Troubles::default();
        Sample {
            requests: 1,
            requests_per_s,
            cpu_us,
            p50_us,
            p99_us,
            others: 0.0,
            troubles,
            bad_end: None,
        }
    }

    #[test]
    fn spread_of_odd_and_even_counts() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied()).unwrap();
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(spread(&[4.0, 1.0]), Spread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine is twice as slow in the second round: the ratio does not show it, the medians
        // do.
        let reference = [sample(100.0, 1.0), sample(50.0, 2.0)];
        let peer = [sample(80.0, 1.5), sample(40.0, 3.0)];
        let row = Row::join(&case("", 64), "x", &peer, &reference).unwrap();
        assert_eq!(row.cpu_ratio, Spread { median: 1.5, min: 1.5, max: 1.5 });
        assert_eq!(row.throughput_ratio, Spread { median: 0.8, min: 0.8, max: 0.8 });
        assert_eq!(row.cpu_us, Spread { median: 2.25, min: 1.5, max: 3.0 });
    }
}
