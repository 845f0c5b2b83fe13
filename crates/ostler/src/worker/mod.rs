//! The worker process: runs user code, one delivery at a time.
//!
//! Responsible for: taking deliveries, calling the handler, publishing what it sends, leaving when
//! told. Must never: touch a client socket, hold a lock another process needs, or let a delivery
//! end without a `FIN`.
//!
//! * [`port`]: the lanes as one pollable object that knows no runtime;
//! * [`event_loop`]: the built-in loop (callbacks, timers), [`ending`]: how it ends;
//! * [`context`]: what all handles share; each part of it has an owner: [`running`], [`send`],
//!   [`sessions`], [`deferred`], [`token`], [`timers`], [`inbox`], [`leaving`],
//!   [`streams`], [`tasks`], [`messages`], [`commands`], [`traces`]; [`wishes`], [`reloads`] and
//!   [`manager_link`]; [`idleness`] is the loop's own;
//! * [`shown`]: what it shows of itself to its manager.

mod arriving;
mod at_once;
mod closed;
mod commands;
mod complaints;
pub(crate) mod context;
mod datagrams;
pub(crate) mod deferred;
pub(crate) mod elsewhere;
mod ending;
pub(crate) mod event_loop;
mod files;
mod groups;
pub(crate) mod handlers;
mod held_back;
mod idleness;
pub(crate) mod inbox;
mod lateness;
mod leaving;
mod manager_link;
mod messages;
pub(crate) mod output;
mod owned_output;
mod parts;
pub(crate) mod port;
mod reference;
pub(crate) mod reloads;
mod running;
pub(crate) mod send;
mod sessions;
mod shown;
pub(crate) mod start;
pub(crate) mod state;
mod streams;
mod tasks;
pub(crate) mod timers;
pub(crate) mod token;
mod traces;
mod waiting;
mod wishes;

pub(crate) use commands::{CommandFn, OnReply};
pub(crate) use context::WorkerContext;
pub(crate) use datagrams::SendingPort;
pub(crate) use files::FileToSend;
pub(crate) use groups::GroupMessage;
pub(crate) use handlers::HandlerId;
pub(crate) use leaving::{Holder, HolderId};
pub(crate) use output::{Marks, Output};
pub(crate) use port::{AnswerBytes, AnswerInArea, Payload};
pub(crate) use streams::Stream;
pub(crate) use tasks::Asker;
pub(crate) use token::DeferredToken;
pub(crate) use traces::{TARGET as CALLBACK_TARGET, Times};
