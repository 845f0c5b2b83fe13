//! What all workers of a server have in common besides descriptors.

use ostler_core::ids::{ProcessKey, ProcessKind};

use super::{EndsKind, Privileges};
use crate::options::Harden;
use crate::sys::process::{self, Dumping};
use crate::sys::process_name::Instance;

/// The attributes of worker processes.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    /// What a worker has at its other ends.
    pub(crate) ends: EndsKind,
    /// Which processes are not dumpable.
    pub(crate) harden: Harden,
    /// Whether the program was dumpable before it became a server; workers are again unless
    /// `harden` forbids it.
    pub(crate) dumping: Dumping,
    /// Whether event workers run `SCHED_BATCH`.
    pub(crate) sched_batch: bool,
    /// What rights workers give away.
    pub(crate) privileges: Privileges,
    /// What the processes are called.
    pub(crate) names: Instance,
    /// The names of user processes, by their slots.
    pub(crate) process_names: Vec<String>,
}

impl Attributes {
    /// A worker that is as dumpable as the program was can be debugged and profiled; its manager is
    /// not (`harden`). One that has become another user's stays closed, as the kernel leaves it: it
    /// may have in memory what that user should not read.
    pub(super) fn set_dumping(&self) {
        if !self.privileges.changes_user()
            && self.harden != Harden::All
            && let Err(error) = self.dumping.restore()
        {
            tracing::debug!(%error, "the worker stays closed to debuggers");
        }
    }

    /// The name of a process that is not one of many alike.
    pub(crate) fn process_name(&self, key: ProcessKey) -> Option<&str> {
        match key.kind {
            ProcessKind::Event | ProcessKind::Task => None,
            ProcessKind::Companion => Some("companion"),
            ProcessKind::User => {
                self.process_names.get(usize::from(key.slot.0)).map(String::as_str)
            }
        }
    }

    /// What `ps` shows of a process.
    pub(super) fn role(&self, key: ProcessKey) -> String {
        match (key.kind, self.process_name(key)) {
            (ProcessKind::User, Some(name)) => format!("user {name}"),
            (_, Some(name)) => name.to_owned(),
            (_, None) => key.slot_name(),
        }
    }

    /// Sets what only processes of this kind have. Tuning is never fatal: whoever forbids it gets a
    /// slower server, not none.
    pub(super) fn tune(&self, key: ProcessKey) {
        match key.kind {
            ProcessKind::Event | ProcessKind::Task => self.tune_worker(key),
            ProcessKind::User | ProcessKind::Companion => {}
        }
    }

    /// A scheduling policy that suits work in batches; not for a process that waits for clients.
    fn tune_worker(&self, key: ProcessKey) {
        if self.sched_batch
            && matches!(self.ends, EndsKind::Lanes(_))
            && let Err(error) = process::schedule_as_batch()
            && key == ProcessKey::event(0, 1)
        {
            tracing::warn!(
                %error,
                "workers keep the ordinary scheduling policy (set sched_batch=off)"
            );
        }
    }
}
