//! BASE mode: each worker is a process that accepts and serves its clients itself, with the reactor
//! of PROCESS mode in its own thread.

pub(crate) mod commons;
mod link;
pub(crate) mod local;
mod opening;
pub(crate) mod process;
mod relays;
