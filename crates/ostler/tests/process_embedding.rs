//! A server is a part of a program: what the program had stays the program's, in the master and in its workers.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::TestResult;
use talk::{Talk, small_probe};

/// The process title was written over the arguments, so that no worker could read them.
#[test]
fn a_worker_can_read_the_arguments_of_its_program() -> TestResult {
    let server = small_probe().start()?;
    let arguments = Talk::new(&server)?.ask("arguments")?;
    assert!(
        arguments.contains("probe --set") && arguments.contains("lane_size=65536"),
        "{arguments}"
    );
    server.stop()
}
