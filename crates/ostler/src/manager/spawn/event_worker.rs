//! Event workers: they handle the events of sessions.

use ostler_core::ids::ProcessKey;

use super::ProcessBoot;
use crate::manager::setup::{EndsKind, ManagerSetup};
use crate::sys::process;

/// A scheduling policy that suits work in batches; not for a process that waits for clients.
pub(super) fn tune(setup: &ManagerSetup, key: ProcessKey) {
    if setup.sched_batch
        && matches!(setup.ends, EndsKind::Lanes(_))
        && let Err(error) = process::schedule_as_batch()
        && key == ProcessKey::event(0, 1)
    {
        tracing::warn!(%error, "workers keep the ordinary scheduling policy (set sched_batch=off)");
    }
}

/// The handler that the program registered.
pub(super) fn run(setup: &ManagerSetup, boot: ProcessBoot) -> i32 {
    (setup.worker_main)(boot)
}
