//! The load generator: one thread, one epoll, any number of connections, every byte of every reply
//! compared.

mod checker;
mod client;
mod engine;
mod link;
mod options;
mod pattern;
mod progress;
mod report;
mod schedule;
mod stream;
mod target;
mod thread;
mod tls;
mod wire;

pub use checker::{Checker, Fault, FaultKind};
pub use client::run;
pub use options::{LoadOptions, Mode};
pub use pattern::{HEADER_BYTES, Message, Origin, Pattern};
pub use progress::{Observer, Progress};
pub use report::{Interruption, InterruptionKind, LoadReport, Troubles};
pub use stream::read_long_replies;
pub(crate) use stream::{PERIOD, StreamClient, periodic};
pub use target::Target;
pub use thread::LoadThread;
