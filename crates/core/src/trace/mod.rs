//! Which trace something belongs to: the context of the recommendation *W3C Trace Context*, its
//! header `traceparent`, and ids for what nobody has traced before.
//!
//! **Responsible for:** reading and writing `traceparent`; making ids of a server's key and the
//! number of what is traced; which traces are sampled.
//!
//! **Must never:** take ids for valid that the recommendation calls invalid.
//!
//! One file per idea: `context` (what a context is), `traceparent` (its text), `ids` (where ids
//! come from), `sampling`. Decision 59.

mod context;
mod ids;
mod sampling;
#[cfg(test)]
mod tests;
mod traceparent;

pub use context::{SpanId, TraceContext, TraceId};
pub use ids::{SpanIds, Traced, trace_of};
pub use sampling::{SAMPLE_ALL_PPM, SampleRatio};
pub use traceparent::{TRACEPARENT_BYTES, TraceparentError};
