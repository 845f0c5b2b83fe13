//! Real processes over a real lane set: a worker that forks and lives on, and a worker that is
//! killed at every numbered step of the protocol (§10, §12). Without the test harness, because the
//! process that forks must have one thread.
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)] // test code
#![allow(unsafe_code)] // fork

#[cfg(loom)]
fn main() {}

#[cfg(not(loom))]
fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    // For a while, and in a release build, which has no faults to be armed.
    if std::env::var_os("OSTLER_TABLE_SECONDS").is_some() {
        return table_kills::no_row_is_torn_or_stuck_whoever_is_killed();
    }
    board_keys::boards_of_siblings_have_keys_of_their_own();
    println!("test boards_of_siblings_have_keys_of_their_own ... ok");
    lone_grandchild::a_child_of_the_worker_cannot_go_on_writing();
    println!("test a_child_of_the_worker_cannot_go_on_writing ... ok");
    kill_steps::every_output_comes_once_whatever_step_the_worker_dies_at();
    println!("test every_output_comes_once_whatever_step_the_worker_dies_at ... ok");
    table_kills::a_stopped_writer_is_not_waited_for_without_end();
    println!("test a_stopped_writer_is_not_waited_for_without_end ... ok");
    table_kills::no_row_is_torn_or_stuck_whoever_is_killed();
    println!("test no_row_is_torn_or_stuck_whoever_is_killed ... ok");
}

#[cfg(not(loom))]
mod board_keys;
#[cfg(not(loom))]
mod kill_steps;
#[cfg(not(loom))]
mod lone_grandchild;
#[cfg(not(loom))]
mod process;
#[cfg(not(loom))]
mod table_kills;
