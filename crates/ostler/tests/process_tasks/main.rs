//! Task workers: how they live, what becomes of tasks, and that clients do not notice.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod askers;
mod deaths;
mod foreman;
mod lateness;
mod lives;
mod promise;
mod queue;
mod results;
mod steps;
#[path = "../support/mod.rs"]
mod support;
#[path = "../talk/mod.rs"]
mod talk;

use ostler_testkit::ServerBuilder;

/// What these tests ask of a server beside its shape: one reactor, with this dispatch.
fn in_mode(builder: ServerBuilder, dispatch: &str) -> ServerBuilder {
    builder.set("reactors", 1).set("dispatch", dispatch)
}

/// `memory_budget`, in MiB, with which what goes between processes has so many.
const fn budget_mib(between_processes: u32) -> u32 {
    between_processes
}

/// The same with several reactors.
fn with_reactors(builder: ServerBuilder) -> ServerBuilder {
    builder.set("reactors", 2)
}
