//! Which traces that begin here are recorded.

use super::context::TraceId;

/// All of them, in parts per million.
pub const SAMPLE_ALL_PPM: u32 = 1_000_000;

/// So many of all traces. The id of a trace decides, so that all processes agree about each; in the
/// way of OpenTelemetry's *consistent probability sampling*, so that programs that sample so do,
/// too. Samplers of an older kind (`TraceIdRatioBased` of most SDKs today) choose other traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleRatio {
    /// Traces are recorded whose number is not below this, the threshold of rejection.
    from: u64,
}

/// So many bits of an id are random by the recommendation, its last ones.
const RANDOM_BITS: u32 = 56;

impl SampleRatio {
    /// So many in a million; above [`SAMPLE_ALL_PPM`] is all.
    #[must_use]
    pub fn of_ppm(ppm: u32) -> Self {
        let all = 1_u128 << RANDOM_BITS;
        let recorded = all * u128::from(ppm.min(SAMPLE_ALL_PPM)) / u128::from(SAMPLE_ALL_PPM);
        Self { from: u64::try_from(all - recorded).unwrap_or(u64::MAX) }
    }

    /// Whether this trace is recorded.
    #[must_use]
    pub const fn samples(self, trace: TraceId) -> bool {
        let number = trace.bits() as u64 & ((1 << RANDOM_BITS) - 1);
        number >= self.from
    }
}
