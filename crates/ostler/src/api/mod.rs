//! What a user of the crate writes against.

pub(crate) mod address;
pub(crate) mod builder;
pub(crate) mod by_length;
pub(crate) mod command;
pub(crate) mod command_error;
pub(crate) mod deferred_packet;
pub(crate) mod exit;
pub(crate) mod file_source;
pub(crate) mod framing;
pub(crate) mod group;
pub(crate) mod handler;
pub(crate) mod message;
pub(crate) mod message_error;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
mod operator;
pub(crate) mod outcome;
pub(crate) mod own_handler;
pub(crate) mod package;
pub(crate) mod packet;
pub(crate) mod packet_peer;
pub(crate) mod port;
pub(crate) mod port_builder;
pub(crate) mod process_slot;
pub(crate) mod program_code;
pub(crate) mod reload;
pub(crate) mod remote;
pub(crate) mod reports;
mod request_time;
mod resource_setters;
pub(crate) mod send_error;
pub(crate) mod server;
pub(crate) mod server_events;
pub(crate) mod session;
pub(crate) mod session_info;
pub(crate) mod setters;
pub(crate) mod span;
pub(crate) mod statistics;
pub(crate) mod task;
pub(crate) mod task_error;
pub(crate) mod task_request;
pub(crate) mod task_result;
mod text_setters;
pub(crate) mod tls;
#[cfg(feature = "tls")]
pub(crate) mod tls_info;
mod trace;
#[cfg(feature = "serde")]
pub(crate) mod typed_state;
pub(crate) mod undelivered;
pub(crate) mod user_process;
pub(crate) mod worker;
pub(crate) mod writer;
