//! Load generator, baseline servers, CPU accounting, comparison table, soak and demo of Ostler.
//!
//! Responsible for: numbers one can trust (every reply byte is compared, latencies are taken from
//! the intended send time, the CPU of a whole process tree is counted) and for servers that never
//! outlive the measurement. Must never: link the engine (only the instrument does, a package of its
//! own). The bench sees servers as processes that say `listening on ADDRESS`; the scenarios start
//! them with the test kit, which knows them only from outside too.
//!
//! * [`load`]: the client. [`load::run`] on this thread, [`load::LoadThread`] beside a scenario.
//! * [`process`]: start and stop servers, CPU placement, [`process::CpuMeter`].
//! * [`baseline`]: the echo servers everything is compared with.
//! * [`identity`]: certificates for those that speak TLS.
//! * [`table`]: interleaved rounds of several peers, one table of results.
//! * [`broadcast`]: one message to many listeners.
//! * [`soak`]: the long proofs, under load and faults.
//! * [`demo`]: the same in half a minute, for newcomers.

pub mod baseline;
pub mod broadcast;
pub mod demo;
mod error;
pub mod identity;
pub mod load;
pub mod process;
pub mod soak;
pub mod table;

pub use error::{Error, Result};
