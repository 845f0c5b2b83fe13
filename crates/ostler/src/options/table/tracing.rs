//! Traces: which are recorded.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Tracing";

pub(super) const ROWS: &[OptionInfo] = &[OptionInfo {
    name: "trace_sample_ppm",
    topic: TOPIC,
    kind: Kind::Integer { min: 0, max: 1_000_000 },
    default: "0",
    unit: "ppm",
    why: "0 = none: a span costs an allocation or two of whoever exports it, and most servers have \
          somebody in front of them who chooses. 1000 are one in a thousand.",
    effect: "How many of a million traces that begin in this server are recorded: their spans are \
             told to `Worker::on_span`, and the flag *sampled* is set in their context. The id of \
             a trace decides. A trace that a client has begun (`Package::adopt_trace`) is \
             recorded if the client says so.",
    access: field!(trace_sample_ppm),
}];
