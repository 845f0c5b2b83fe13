//! The master process: owns listeners and client sockets.
//!
//! Responsible for: accepting (several reactors get sockets from here, the only one accepts
//! itself), making lane memory, promoting the spare manager, ending in order. Must never: run user
//! code after the start, wait for a worker, or go on when a thread of it is broken (it aborts).

mod accept_rate;
pub(crate) mod accepting;
pub(crate) mod accepting_reactor;
pub(crate) mod acceptor;
mod base;
mod books;
mod bound_descriptors;
mod certificate_watch;
mod check;
mod companion;
mod daemon;
mod descriptors;
mod event_loop;
mod figures;
mod lag_watch;
mod lanes;
mod listening;
mod lives;
mod losses;
mod managers;
mod memory;
pub(crate) mod operator;
mod orphans;
mod pid_file;
mod poison;
pub(crate) mod ports;
mod process_main;
mod program_state;
mod quarantine;
mod reactors;
mod reload;
mod report;
mod reserve;
mod retired;
mod rights;
mod sandbox;
mod service;
mod shared_memory;
mod signals;
mod size;
mod start;
mod stop;
mod succession;
mod watched;
mod worker;

pub(crate) use check::check;
pub(crate) use start::{Bound, bind, run};
pub(crate) use worker::{Hired, hire, work};
