//! A server with task workers that do what tasks say (`tests/programs/foreman.rs`).

use std::path::PathBuf;

use ostler_testkit::{ServerBuilder, TestResult, TestServer};

use crate::in_mode;
use crate::support::{check, wait_lines, wait_serving};
use crate::talk::Talk;

/// A server of this shape.
pub fn foreman(workers: u16, tasks: u16) -> ServerBuilder {
    in_mode(TestServer::example("foreman"), "idle_first")
        .set("workers", workers)
        .set("task_workers", tasks)
        .env("RUST_BACKTRACE", "0")
}

/// An echo server with task workers.
pub fn idlers(workers: u16, tasks: u16) -> ServerBuilder {
    in_mode(TestServer::echo(), "idle_first").set("workers", workers).set("task_workers", tasks)
}

/// Starts it, and waits until so many event workers serve and a task worker takes tasks.
pub fn start(builder: ServerBuilder, workers: u16) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_serving(&server, workers.into())?;
    wait_lines(&server, "takes tasks", 1)?;
    Ok(server)
}

/// Where the heir of a dead asker says that it has heard of this task.
fn heard(server: &TestServer, number: u32) -> PathBuf {
    server.directory().join(format!("heard{number}"))
}

/// Asks four tasks whose results come later, short and long ones.
pub fn ask_before_death(server: &TestServer, talk: &mut Talk) -> TestResult {
    for number in 1..=4 {
        let file = heard(server, number);
        let path = format!("{:>1$}", file.display(), [1, 5_000][number as usize % 2]);
        talk.expect_answer(&format!("report later 400 {path}"), &format!("asked {number}"))?;
    }
    Ok(())
}

/// The successor of who has asked them hears of each.
pub fn heir_hears_of_all(server: &TestServer) -> TestResult {
    for number in 1..=4 {
        let file = heard(server, number);
        server.wait_for("the heir", |_| file.exists())?;
        let heard = std::fs::read_to_string(file)?;
        check(heard == format!("w0.2 heard of {number}"), heard)?;
    }
    Ok(())
}
