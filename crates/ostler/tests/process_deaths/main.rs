//! Processes that die: workers, managers, the spare and the master; what becomes of packages,
//! sessions and successors.

mod boot;
mod manager;
mod master;
#[path = "../support/mod.rs"]
mod support;
mod worker;

/// What the log may say when workers are killed. (A worker killed before its first delivery counts
/// as failing to start.)
const DIED: &str = "worker died";
const OFTEN: &str = "workers die often";
const BACK_OFF: &str = "ended before it served";
