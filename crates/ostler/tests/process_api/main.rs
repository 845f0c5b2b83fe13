//! What user code can do: every call of the interface, on a real server.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod callbacks;
mod deferred;
mod messages;
mod sessions;
#[path = "../talk/mod.rs"]
mod talk;
