//! A server engine whose connections outlive the code that serves them.
//!
//! A small *master* process owns every client socket. Your code runs in supervised *worker*
//! processes that may crash, block, be recycled or reloaded; no connection closes, no accepted
//! message vanishes in silence, no buffer grows without bound.
//!
//! Implement [`Handler`], give it to [`run_main`] or [`Server::run`]. See `ARCHITECTURE.md` for how
//! it works, `docs/OPTIONS.md` for what can be set.

mod api;
mod control;
mod error;
mod log;
mod manager;
mod master;
mod options;
mod reactor;
mod sys;
pub mod test;
mod worker;

pub use api::builder::ServerBuilder;
pub use api::exit::{Exit, run_main};
pub use api::framing::Framing;
pub use api::handler::Handler;
pub use api::outcome::{Failure, IntoHandler, IntoOutcome, Outcome};
pub use api::package::{Deferred, Package};
pub use api::remote::{PostError, Remote};
pub use api::send_error::SendError;
pub use api::server::Server;
pub use api::session::{Session, SessionInfo};
pub use api::worker::{KeepAlive, TimerId, Worker};
pub use error::{
    EXIT_INTERNAL, EXIT_LISTEN, EXIT_MANAGERS_LOST, EXIT_OPTION, EXIT_START, Error, Result,
};
pub use options::{
    AnswerOrder, CrashPolicy, Dispatch, FramingKind, Harden, LogFormat, LogLevel, OptionInfo,
    OptionKind, Options,
};
pub use ostler_shm::sessions::STATE_MAX_BYTES;
