//! The pure logic of Ostler: no I/O, no clock, no randomness, no unsafe code.
//!
//! Every state machine here takes time as an argument ([`Millis`] or [`Nanos`]) and answers with
//! actions, so that the drivers in the `ostler` crate stay thin and a simulator can replay any run.
#![forbid(unsafe_code)]

pub mod accepting;
pub mod address_deaths;
pub mod address_rate;
pub mod addresses;
pub mod answer_turns;
pub mod body;
pub mod brain;
pub mod budget;
pub mod bursts;
pub mod deadlines;
pub mod departure;
pub mod event_queue;
pub mod file_counts;
pub mod fnv;
pub mod framing;
pub mod groups;
pub mod handed_out;
pub mod handshakes;
pub mod ids;
pub mod inquest;
pub mod invariant;
pub mod loop_lag;
pub mod messages;
pub mod networks;
pub mod on_the_way;
pub mod per_port;
pub mod placement;
pub mod policy;
pub mod program_file;
pub mod proxy_protocol;
pub mod readiness;
pub mod reload_requests;
pub mod request_deadline;
pub mod send_queue;
pub mod session_rate;
pub mod settling;
pub mod shutdown;
pub mod slow_request;
pub mod statistics;
pub mod succession;
pub mod supervisor;
pub mod task_journal;
pub mod task_queue;
pub mod throttle;
pub mod timer_wheel;
pub mod token_bucket;
pub mod trace;
pub mod traffic;
pub mod unread;
pub mod watchdog;
pub mod work_mean;
pub mod worker_count;

/// Milliseconds on a monotonic clock of the caller's choice.
pub type Millis = u64;
/// Nanoseconds on a monotonic clock of the caller's choice.
pub type Nanos = u64;
