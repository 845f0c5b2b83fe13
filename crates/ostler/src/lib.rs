//! A server engine whose connections outlive the code that serves them.
//!
//! A small *master* process owns every client socket. Your code runs in supervised *worker*
//! processes that may crash, block, be recycled or reloaded; no connection closes because of it, no
//! accepted message vanishes in silence, no buffer grows without bound.
//!
//! Implement [`Handler`] and give it to [`run_main`]:
//!
//! ```no_run
//! use ostler::{CrashPolicy, Framing, Handler, Outcome, Package, Server, Session, Worker};
//!
//! /// Counts the lines of each client. The count is kept by the master: it survives this process.
//! struct Count;
//!
//! impl Handler for Count {
//!     fn on_receive(&mut self, _: &Worker, session: &Session, line: &Package) -> Outcome {
//!         let before = session.state();
//!         let count = std::str::from_utf8(&before)?.parse().unwrap_or(0_u64) + 1;
//!         session.set_state(count.to_string().as_bytes())?;
//!         session.send(format!("line {count} has {} bytes\n", line.len()).as_bytes())?;
//!         Ok(()) // an error is logged, and closes the session
//!     }
//! }
//!
//! fn main() -> ostler::Exit {
//!     let server = Server::builder()
//!         .listen("127.0.0.1:9501")
//!         .framing(Framing::lines())
//!         // What a dead worker had in hand is served again.
//!         .crash_policy(CrashPolicy::Redeliver(3))
//!         .args(std::env::args_os().skip(1)); // --set workers=8, --help, --check ...
//!     ostler::run_main(server, |_| Count)
//! }
//! ```
//!
//! | To … | look at |
//! |---|---|
//! | parse a protocol that has no end marks | [`Package::consume`], with [`Framing::stream`] |
//! | tell the server with a function where a package ends | [`ByLength`] |
//! | answer later, or from another thread | [`Package::defer`], [`Packet::defer`], [`Remote`] |
//! | send more than memory should hold | [`Session::writer`], [`Writer`] |
//! | keep something for a session | [`Session::set_state`] (or a value: feature `serde`) |
//! | share numbers and counters between processes | [`shared`] |
//! | send to others | [`Worker::session`], [`Worker::sessions`] |
//! | send to many at once | [`Session::join`], [`Worker::group`], [`Group`] |
//! | do something now and then | [`Worker::every`], [`Worker::after`] |
//! | run something beside the workers | [`UserProcess`] |
//! | know what happens to the server | [`ServerEvents`] |
//! | open what workers need | the factory of [`Server::run`], [`Handler::on_worker_start`] |
//! | add frames of another language to captured stacks | [`stack`] |
//! | set options | [`ServerBuilder`]: methods, a TOML file, the environment, the command line |
//! | test a handler without a server | [`test::TestServer`] |
//!
//! `docs/OPTIONS.md` lists every option with its default, limits and reason; `ARCHITECTURE.md`
//! tells how the engine works.

mod api;
mod base;
mod claim;
mod control;
mod encryption;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(doctest)]
mod guide;
mod inheritance;
mod journal;
mod log;
mod manager;
mod master;
mod options;
mod reactor;
pub mod shared;
pub mod stack {
    //! Frames of other languages in the stacks that Ostler captures.
    //!
    //! When a callback is slow (`request_slowlog_timeout_ms`) or a worker crashes, a signal handler
    //! captures the stack of its native code. A language that has a stack of its own registers a
    //! function that adds its frames, once in each worker, for example in `on_worker_start`.
    //!
    //! ```
    //! use ostler::stack::Frames;
    //!
    //! unsafe extern "C" fn source(frames: &mut Frames<'_>) {
    //!     // In signal context: walk the interpreter's frames, without allocating or locking.
    //!     frames.add(b"pay", b"shop.php", 17);
    //!     frames.add(b"main", b"index.php", 3);
    //! }
    //!
    //! // SAFETY: `source` is async-signal-safe.
    //! unsafe { ostler::stack::set_frame_source(Some(source)) };
    //! ```
    //!
    //! An interpreter is also told here when its request is late: [`set_late_hook`].
    pub use crate::sys::capture::{FrameSource, Frames, set_frame_source};
    pub use crate::sys::late_hook::{LateHook, set_late_hook};
}
mod stacks;
mod statistics;
mod sys;
pub mod test;
#[cfg(feature = "tls")]
mod tls;
mod worker;

pub use api::address::Address;
pub use api::builder::ServerBuilder;
pub use api::by_length::{ByLength, PackageLength};
pub use api::command::CommandCall;
pub use api::command_error::CommandError;
pub use api::deferred_packet::DeferredPacket;
pub use api::exit::{Exit, run_main};
pub use api::file_source::FileSource;
pub use api::framing::Framing;
pub use api::group::Group;
pub use api::handler::Handler;
pub use api::message::Message;
pub use api::message_error::MessageError;
pub use api::outcome::{Failure, IntoHandler, IntoOutcome, Outcome};
pub use api::package::{Deferred, Package};
pub use api::packet::Packet;
pub use api::packet_peer::PacketPeer;
pub use api::port::{Port, Ports};
pub use api::port_builder::PortBuilder;
pub use api::process_slot::ProcessSlot;
pub use api::reload::{Reload, ReloadTicket};
pub use api::remote::{PostError, Remote};
pub use api::reports::{ReloadReport, WorkerDeath};
pub use api::send_error::SendError;
pub use api::server::Server;
pub use api::server_events::ServerEvents;
pub use api::session::Session;
pub use api::session_info::SessionInfo;
pub use api::span::{DeliveryTimes, FinishedSpan};
pub use api::statistics::{
    ConnectionStatistics, DatagramStatistics, MessageStatistics, PackageStatistics,
    ProcessStatistics, RunningStatistics, ServerStatistics, Statistics, TaskStatistics, TimeSpread,
    TimeStatistics, TrafficStatistics,
};
pub use api::task::Task;
pub use api::task_error::TaskError;
pub use api::task_request::TaskRequest;
pub use api::task_result::TaskResult;
pub use api::tls::Tls;
#[cfg(feature = "tls")]
pub use api::tls_info::{ClientCertificate, TlsInfo};
#[cfg(feature = "serde")]
pub use api::typed_state::StateError;
pub use api::undelivered::Undelivered;
pub use api::user_process::{ProcessBody, UserProcess};
pub use api::worker::{KeepAlive, TimerId, Worker};
pub use api::writer::Writer;
pub use error::{
    EXIT_INTERNAL, EXIT_LISTEN, EXIT_MANAGERS_LOST, EXIT_OPTION, EXIT_START, Error, Result,
};
pub use options::KillOrphans;
pub use options::Sandbox;
pub use options::SuccessionSessions;
pub use options::{
    AnswerOrder, Change, ClientAuth, CrashPolicy, Dispatch, FramingKind, GroupOverflow, Harden,
    JournalDamage, JournalSync, LogFormat, LogLevel, Mode, OptionInfo, OptionKind, Options,
    ProxyProtocol, Refusal, SessionIds, Start, TaskCrash, TaskResultTo, TlsVersion, UnknownName,
};
pub use ostler_core::brain::CloseReason;
pub use ostler_core::framing::LengthType;
pub use ostler_core::supervisor::Restart;
pub use ostler_core::task_queue::Priority as TaskPriority;
pub use ostler_core::trace::{SpanId, TraceContext, TraceId, TraceparentError};
pub use ostler_shm::sessions::{Peer, UnixPeer};
