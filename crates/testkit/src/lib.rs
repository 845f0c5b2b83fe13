//! Real-process tests for Ostler: servers, clients, faults, leak checks.
//!
//! The kit is the language in which such tests are written:
//!
//! ```no_run
//! use ostler_testkit::{Signal, TestResult, TestServer};
//!
//! # fn main() -> TestResult {
//! let server = TestServer::echo().set("workers", 2).handler("sleep_ms:2").start()?;
//! let mut client = server.connect()?;
//! client.send(b"hello")?;
//! client.expect(b"hello")?;
//! let old = server.worker(0).pid();
//! server.worker(0).kill();
//! server.wait_for("worker replaced", |s| s.worker(0).pid() != old)?;
//! server.signal(Signal::USR1);
//! server.stop()
//! # }
//! ```
//!
//! Three rules keep such tests honest. Nothing is awaited by sleeping: every wait is for an event,
//! with a deadline that only a defect reaches. Every server is ended by a call that checks exit
//! code, log, books, processes, port and files; forgetting it fails the test. And whatever happens,
//! no process outlives the test.
//!
//! The kit knows the server only from outside: its arguments, its two output streams, its sockets,
//! and `/proc`.

mod books;
mod builder;
mod capture;
mod client;
mod connection;
mod datagram_books;
mod ended;
mod engine;
mod error;
mod facts;
mod faults;
mod frame;
mod group_books;
mod judge;
mod leaks;
mod line_books;
mod load;
mod log;
mod log_line;
mod message_books;
mod process;
mod procfs;
mod redis;
mod rest;
mod server;
mod task_books;
mod tree;
mod turn;
mod wait;

pub use books::Books;
pub use builder::ServerBuilder;
pub use client::Client;
pub use datagram_books::DatagramBooks;
pub use ended::Ended;
pub use error::{TestError, TestResult};
pub use faults::{KillEvery, Random};
pub use group_books::GroupBooks;
pub use load::{EchoLoad, LoadReport, RunningLoad};
pub use log::Log;
pub use log_line::{Level, LogLine};
pub use process::Process;
pub use redis::RedisServer;
pub use rest::Stirring;
pub use rustix::process::Signal;
pub use server::TestServer;
pub use task_books::TaskBooks;
pub use tree::{MARKER, Tree};
pub use wait::{DEADLINE, wait_until};
