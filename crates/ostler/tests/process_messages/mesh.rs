//! A server whose processes send each other messages (`tests/programs/mesh.rs`).

use ostler_testkit::{ServerBuilder, TestResult, TestServer};

use crate::in_mode;
use crate::support::{check, wait_lines, wait_serving};
use crate::talk::Talk;

/// A server of this shape. Each session stays with one worker.
pub fn mesh(workers: u16, tasks: u16) -> ServerBuilder {
    in_mode(TestServer::example("mesh"), "session_hash")
        .set("workers", workers)
        .set("lane_size", 65_536)
        .set("task_workers", tasks)
        .env("RUST_BACKTRACE", "0")
}

/// The same, in which processes may die.
pub fn deadly(workers: u16, tasks: u16) -> ServerBuilder {
    let texts = ["died", "die often", "could not start", "not taken in", "callback failed"];
    let texts = texts.into_iter().chain(["callbacks failed", "closed", "did not arrive"]);
    texts.fold(mesh(workers, tasks), |builder, text| builder.expect_log(text))
}

/// Starts it, and waits until everybody is there.
pub fn start(builder: ServerBuilder, workers: u16, tasks: u16) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_serving(&server, workers.into())?;
    wait_lines(&server, "takes tasks", tasks.into())?;
    Ok(server)
}

/// A client of the worker in this slot.
pub fn client_of(server: &TestServer, name: &str) -> TestResult<Talk> {
    loop {
        let mut talk = Talk::new(server)?;
        if talk.ask("whoami")? == name {
            return Ok(talk);
        }
    }
}

/// A text of so many bytes that shows when one is lost or doubled.
pub fn pattern(len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + (at % 23) as u8)).collect()
}

/// Orders a message and expects what it lets its receiver say. The answer to the order may come
/// behind that, which is another process's.
pub fn tell(talk: &mut Talk, order: &str, heard: &str) -> TestResult {
    talk.say(&format!("tell {order}"))?;
    let lines = [talk.line()?, talk.line()?];
    let is_right = lines.iter().any(|line| line.starts_with("sent "))
        && lines.iter().any(|line| line == heard);
    let order = order.get(..80).unwrap_or(order);
    check(is_right, format!("{order}: {lines:?}, not {heard:?}"))
}
