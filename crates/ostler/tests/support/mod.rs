//! Words that the process tests share.
#![allow(dead_code, reason = "each test binary uses some of them")]

use std::path::PathBuf;

use ostler_testkit::{Client, Process, ServerBuilder, Signal, TestError, TestResult, TestServer};

/// An echo server of this shape, whose packages go to whoever idles: a worker that is held holds
/// nobody else.
pub fn echo(workers: u16, reactors: u16) -> ServerBuilder {
    TestServer::echo()
        .set("workers", workers)
        .set("reactors", reactors)
        .set("dispatch", "idle_first")
}

/// What starts a server with descriptors of these names, as a socket unit does.
pub fn activate(names: &str, descriptors: &str) -> TestResult<Vec<String>> {
    let program = TestServer::example_path("activate")?;
    Ok(vec![program.display().to_string(), names.to_owned(), descriptors.to_owned()])
}

/// A server that does what packages say (`bench/instrument/src/orders.rs`).
pub fn orders(workers: u16) -> ServerBuilder {
    // One line about a panic, whatever the environment says.
    echo(workers, 1).handler("orders").env("RUST_BACKTRACE", "0")
}

/// Starts a server and waits until so many workers serve: until then the server has no more to lose
/// than one package.
pub fn start(builder: ServerBuilder, workers: u16) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_serving(&server, workers.into())?;
    Ok(server)
}

/// Waits until the master has said so many times that a worker serves.
pub fn wait_serving(server: &TestServer, times: usize) -> TestResult {
    wait_lines(server, "serves worker=", times)
}

/// Waits until so many lines of the log have this text.
pub fn wait_lines(server: &TestServer, text: &str, times: usize) -> TestResult {
    server.wait_for(&format!("{times} log lines with {text:?}"), |server| {
        server.log_lines_with(text).len() >= times
    })
}

/// Sends an order and answers with the reply, which fits into one read.
pub fn ask(client: &mut Client, order: &str) -> TestResult<String> {
    client.send(order.as_bytes())?;
    Ok(String::from_utf8_lossy(&client.read_some()?).into_owned())
}

/// Sends something and expects it back.
pub fn round_trip(client: &mut Client, text: &str) -> TestResult {
    client.send(text.as_bytes())?;
    client.expect(text.as_bytes())
}

/// The worker process of this number.
pub fn worker_of(server: &TestServer, pid: u32) -> TestResult<Process> {
    server
        .workers()
        .into_iter()
        .find(|worker| worker.pid() == pid)
        .ok_or_else(|| TestError::new(format!("no worker has the number {pid}")))
}

/// Sends a signal to the master and waits until it has taken it: a second one of the same kind
/// would merge with it.
pub fn signal_taken(server: &TestServer, signal: Signal) -> TestResult {
    server.signal(signal);
    let status = format!("/proc/{}/status", server.master().pid());
    server.wait_for("the master to take the signal", |_| {
        std::fs::read_to_string(&status).is_ok_and(|text| {
            text.lines().any(|line| {
                line.strip_prefix("ShdPnd:")
                    .is_some_and(|set| set.trim().chars().all(|digit| digit == '0'))
            })
        })
    })
}

/// Fails with this text unless it holds.
pub fn check(holds: bool, otherwise: impl Into<String>) -> TestResult {
    if holds { Ok(()) } else { Err(TestError::new(otherwise)) }
}

/// A package that is surely in hand: its handler waits until it is released.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    pid: u32,
}

impl Held {
    /// Lets `client` order a worker to wait, and waits until it does.
    pub fn by(server: &TestServer, client: &mut Client, name: &str) -> TestResult<Self> {
        let path = server.directory().join(name);
        client.send(format!("hold {}", path.display()).as_bytes())?;
        let mut pid = None;
        server.wait_for("a package to be in hand", |_| {
            pid = std::fs::read_to_string(&path).ok().and_then(|text| text.parse().ok());
            pid.is_some()
        })?;
        let pid = pid.ok_or_else(|| TestError::new("the number of the holding worker"))?;
        Ok(Self { path, pid })
    }

    /// The number of the worker that has it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The worker that has it.
    pub fn worker(&self, server: &TestServer) -> TestResult<Process> {
        worker_of(server, self.pid)
    }

    /// Lets the handler go on; its reply is `released`.
    pub fn release(self) -> TestResult {
        Ok(std::fs::remove_file(&self.path)?)
    }
}
