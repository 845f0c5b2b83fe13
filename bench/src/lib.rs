//! Load generator, baseline servers, CPU accounting and the comparison table of Ostler.
//!
//! Responsible for: numbers one can trust (every reply byte is compared, latencies are taken from the intended send
//! time, the CPU of a whole process tree is counted) and for servers that never outlive the measurement.
//! Must never: depend on a crate of Ostler. The bench sees servers as processes that say `listening on ADDRESS`.
//!
//! * [`load`]: the client. [`load::run`] on this thread, [`load::LoadThread`] beside a scenario.
//! * [`process`]: start and stop servers, CPU placement, [`process::CpuMeter`].
//! * [`baseline`]: the echo servers everything is compared with.
//! * [`table`]: interleaved rounds of several peers, one table of results.

pub mod baseline;
mod error;
pub mod load;
pub mod process;
pub mod table;

pub use error::{Error, Result};
