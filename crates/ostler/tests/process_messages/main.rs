//! Messages between processes: to whom they go, in which order, and what becomes of them.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod commands;
mod deaths;
mod mesh;
mod pairs;
mod refused;
mod senders;
#[path = "../support/mod.rs"]
mod support;
#[path = "../talk/mod.rs"]
mod talk;
