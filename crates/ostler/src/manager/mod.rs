//! The manager: the single-threaded process that forks and supervises the workers.
//!
//! **Responsible for:** carrying out what the pure supervisor of `ostler-core` decides (fork, kill,
//! tell the master), telling it what happened (exits through pidfds, words from workers, memory and
//! requests from the master), reaping every child and every orphan among their descendants, and
//! keeping one spare manager that can take its place.
//!
//! **Must never:** start a thread, map lane memory, touch client data, run user code in its own
//! process, send a signal to a bare pid, wait for the master or a worker, react to a signal in
//! signal context, or outlive the master.
//!
//! One file per idea: `setup` (what it is made with), `handle` (the master's view of it),
//! `spawn/spare` (a manager before its promotion), `event_loop`, `action` (what supervisor and
//! master ask for), `children` (the table), `spawn` (how a process is made), `programs`
//! (which one it runs), `guard` (workers that must not outlive all), `memory` (how much workers
//! have), `worker_message`, `reaping` (children that have ended), `token` (whose event it is),
//! `generations` (a later manager's keys), `sweep` (the end of all children),
//! `report` (log lines), `reloads` (who is answered by which), `diagnosis` (slow requests, deaths).

mod action;
mod children;
mod diagnosis;
mod event_loop;
mod generations;
mod guard;
mod handle;
mod memory;
mod programs;
mod reaping;
mod reloads;
mod report;
mod setup;
mod spawn;
mod sweep;
#[cfg(test)]
mod tests;
mod token;
mod worker_message;

pub(crate) use diagnosis::DiagnosisSettings;
pub(crate) use handle::{Forked, ManagerHandle, fork_managers};
pub(crate) use memory::MemoryLimits;
pub(crate) use programs::{ExecSetup, check_program, locate};
pub(crate) use setup::ManagerSetup;
pub(crate) use sweep::end_all;

/// Exit code of a manager whose loop failed, as of every broken assumption inside Ostler.
pub(crate) const EXIT_BROKEN: i32 = 70;
