//! Tasks, messages and commands in BASE mode, where they go through the switch in the master: what
//! is so in PROCESS mode is so here, by the same tests, and what BASE mode has of its own.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod ends;
mod second_lane;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
#[path = "../talk/mod.rs"]
mod talk;

#[path = "../process_messages/commands.rs"]
mod commands;
#[path = "../process_tasks/deaths.rs"]
mod deaths;
#[path = "../process_tasks/foreman.rs"]
mod foreman;
#[path = "../process_tasks/lateness.rs"]
mod lateness;
#[path = "../process_tasks/lives.rs"]
mod lives;
#[path = "../process_messages/mesh.rs"]
mod mesh;
#[path = "../process_messages/deaths.rs"]
mod message_deaths;
#[path = "../process_messages/pairs.rs"]
mod pairs;
#[path = "../process_tasks/queue.rs"]
mod queue;
#[path = "../process_messages/refused.rs"]
mod refused;
#[path = "../process_tasks/results.rs"]
mod results;
#[path = "../process_tasks/steps.rs"]
mod steps;

use ostler_testkit::ServerBuilder;

/// What these tests ask of a server beside its shape: each worker handles what it has accepted, so
/// that nothing is dispatched.
fn in_mode(builder: ServerBuilder, _dispatch: &str) -> ServerBuilder {
    builder.set("mode", "base")
}

/// `memory_budget`, in MiB, with which what goes between processes has so many: the only worker has
/// as much.
const fn budget_mib(between_processes: u32) -> u32 {
    2 * between_processes
}

/// Each worker is its own reactor.
fn with_reactors(builder: ServerBuilder) -> ServerBuilder {
    builder
}
