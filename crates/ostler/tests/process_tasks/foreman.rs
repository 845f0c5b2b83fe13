//! A server with task workers that do what tasks say (`tests/programs/foreman.rs`).

use ostler_testkit::{ServerBuilder, TestResult, TestServer};

use crate::support::{wait_lines, wait_serving};

/// A server of this shape, with one reactor.
pub fn foreman(workers: u16, tasks: u16) -> ServerBuilder {
    TestServer::example("foreman")
        .set("workers", workers)
        .set("reactors", 1)
        .set("dispatch", "idle_first")
        .set("task_workers", tasks)
        .env("RUST_BACKTRACE", "0")
}

/// The same with several reactors.
pub fn with_reactors(builder: ServerBuilder) -> ServerBuilder {
    builder.set("reactors", 2)
}

/// An echo server with task workers.
pub fn idlers(workers: u16, tasks: u16) -> ServerBuilder {
    crate::support::echo(workers, 1).set("task_workers", tasks)
}

/// Starts it, and waits until so many event workers serve and a task worker takes tasks.
pub fn start(builder: ServerBuilder, workers: u16) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_serving(&server, workers.into())?;
    wait_lines(&server, "takes tasks", 1)?;
    Ok(server)
}
