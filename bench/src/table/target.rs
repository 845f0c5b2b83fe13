//! What Ostler shall reach in a row, and whether it did.

use super::case::{Case, Placement};
use super::summary::Row;

/// The peer that has targets; the others are there to be compared with.
const PEER: &str = "ostler";

/// Bounds for the medians of a row, all of them ratios to the reference of the same round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The most CPU per request.
    pub cpu: Option<f64>,
    /// The least throughput.
    pub throughput: Option<f64>,
    /// The most at the 99th percentile of the latency.
    pub p99: Option<f64>,
}

impl Target {
    /// The target of a case for a peer, if there is one.
    pub(super) fn of(case: &Case, peer: &str) -> Option<Self> {
        let is_free = case.placement == Placement::Free;
        let cpu = |cpu| Self { cpu: Some(cpu), throughput: None, p99: None };
        match (case.load, case.size_bytes) {
            // These are compared with the same in Rust.
            ("php", _) if peer == "php" => Some(cpu(1.35)),
            ("php-64K", _) if peer == "php" => Some(cpu(1.1)),
            ("php-task", _) if peer == "php-task" => Some(cpu(1.3)),
            _ if peer != PEER => None,
            ("", 64) if is_free => {
                Some(Self { throughput: Some(0.95), p99: Some(1.2), ..cpu(1.1) })
            }
            ("", 64) => Some(cpu(1.15)),
            ("", 4096) => Some(cpu(1.15)),
            ("", 65_536) => Some(cpu(1.3)),
            ("churn" | "depth-16", _) => Some(cpu(1.4)),
            // These are compared with Ostler without framing, the last with a raw echo.
            ("length" | "length-4K", _) => Some(cpu(1.1)),
            ("eof", _) => Some(cpu(1.15)),
            ("length-1M", _) => Some(cpu(1.3)),
            // These with the same without Ostler.
            ("tls" | "tls-64K", _) => Some(cpu(1.2)),
            ("udp", _) => Some(cpu(1.25)),
            ("base" | "base-4K" | "base-64K", _) => Some(cpu(1.08)),
            ("stream", _) => Some(Self { cpu: None, throughput: Some(0.8), p99: None }),
            ("sendfile", _) => Some(Self { cpu: None, throughput: Some(0.9), p99: None }),
            // And this with another dispatch.
            ("idle-first", _) => Some(Self { cpu: None, throughput: None, p99: Some(0.2) }),
            ("2+2", _) => Some(Self { p99: Some(2.0), ..cpu(1.5) }),
            _ => None,
        }
    }

    /// Each bound in words, and whether the row keeps it.
    pub(super) fn verdicts(&self, row: &Row) -> Vec<(String, bool)> {
        let at_most = |name: &str, is: f64, most: f64| (format!("{name} <= {most}"), is <= most);
        let cpu = self.cpu.map(|most| at_most("CPU", row.cpu_ratio.median, most));
        let mut verdicts: Vec<_> = cpu.into_iter().collect();
        if let Some(least) = self.throughput {
            verdicts.push((format!("rate >= {least}"), row.throughput_ratio.median >= least));
        }
        verdicts.extend(self.p99.map(|most| at_most("p99", row.p99_ratio.median, most)));
        verdicts
    }
}

impl Row {
    /// How many of its bounds the row has missed.
    pub fn missed(&self) -> usize {
        let verdicts = self.target.map(|target| target.verdicts(self)).unwrap_or_default();
        verdicts.iter().filter(|(_, is_met)| !is_met).count()
    }

    /// Target and outcome, for the table. What was measured is rounded there to two places, so that
    /// the sentence and not the figure tells of a narrow miss.
    pub(super) fn outcome(&self) -> String {
        let Some(target) = &self.target else { return String::new() };
        let told = target
            .verdicts(self)
            .into_iter()
            .map(|(bound, is_met)| format!("{bound} {}", if is_met { "met" } else { "MISSED" }));
        told.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::tests::case;
    use super::super::summary::tests::row;
    use super::*;

    #[test]
    fn only_ostler_has_targets_and_only_where_there_is_a_promise() {
        assert!(Target::of(&case("", 64), "ostler").is_some());
        assert!(Target::of(&case("2+2", 64), "ostler").is_some());
        assert_eq!(Target::of(&case("", 64), "raw"), None);
        assert_eq!(Target::of(&case("2+2", 64), "raw-2"), None);
        assert_eq!(Target::of(&case("1000-connections", 64), "ostler"), None);
        let placement = Placement::Pinned { server_cpu: 1, client_cpu: 0 };
        let pinned = Target::of(&Case { placement, ..case("", 64) }, "ostler").unwrap();
        assert_eq!((pinned.cpu, pinned.throughput, pinned.p99), (Some(1.15), None, None));
    }

    #[test]
    fn each_bound_is_judged_by_its_median() {
        let target = Target::of(&case("", 64), "ostler");
        let all_met = super::super::summary::Row { target, ..row(1.1, 0.95, 1.2) };
        assert_eq!(all_met.outcome(), "CPU <= 1.1 met, rate >= 0.95 met, p99 <= 1.2 met");
        let none_met = super::super::summary::Row { target, ..row(1.101, 0.949, 1.201) };
        assert_eq!(none_met.missed(), 3);
        assert_eq!(none_met.outcome().matches("MISSED").count(), 3);
        assert_eq!(row(9.0, 0.1, 9.0).missed(), 0, "without a target");
    }
}
