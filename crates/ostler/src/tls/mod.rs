//! TLS: certificates and keys as they are loaded and served, and the state of a connection.
//!
//! Responsible for: what is to be known of rustls. Must never: be used in a process in which user
//! code runs, except in BASE mode, in which there is no other, and for reading what clients have
//! shown (`subject`). The master reads private keys after
//! manager and spare were forked ([`crate::manager::Forked`]), so that no process that descends
//! from these has ever had them, unless it serves its clients itself and is handed them.

mod client_chain;
pub(crate) mod contents;
pub(crate) mod der;
pub(crate) mod directory;
pub(crate) mod engine;
pub(crate) mod files;
#[cfg(test)]
mod files_tests;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod names;
pub(crate) mod outgoing;
pub(crate) mod served;
pub(crate) mod subject;
#[cfg(test)]
pub(crate) mod testing;
