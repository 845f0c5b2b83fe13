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

use ostler_testkit::ServerBuilder;

/// What these tests ask of a server beside its shape: one reactor, with this dispatch.
fn in_mode(builder: ServerBuilder, dispatch: &str) -> ServerBuilder {
    builder.set("reactors", 1).set("dispatch", dispatch)
}
