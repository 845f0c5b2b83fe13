//! What the queue of tasks takes from the options.

use ostler_core::request_deadline::RequestDeadlines;
use ostler_core::task_journal::SyncMode;
use ostler_core::task_queue::{TaskCrashPolicy, TaskQueueSettings};

use super::validate::Contradiction;
use super::{JournalSync, Options, Sandbox, TaskCrash};

impl Options {
    /// How long a task may run.
    pub(crate) const fn task_deadlines(&self) -> RequestDeadlines {
        RequestDeadlines { soft: 0, hard: self.task_deadline_ms * 1_000_000, longest: 0 }
    }

    /// What the queue of tasks has to know.
    pub(crate) fn task_queue_settings(&self) -> TaskQueueSettings {
        TaskQueueSettings {
            tasks_max: self.task_queue_max,
            slots: self.task_workers,
            crash_policy: match self.task_crash_policy {
                TaskCrash::Fail => TaskCrashPolicy::Fail,
                TaskCrash::Drop => TaskCrashPolicy::Drop,
                TaskCrash::Redeliver => TaskCrashPolicy::Redeliver(self.task_attempts_max),
            },
            prefetch_ns: u64::from(self.prefetch_us) * 1_000,
            prefetch_tasks: self.prefetch_packages,
        }
    }

    /// Whether tasks are kept where other servers take what this one leaves.
    pub(crate) fn tasks_are_shared(&self) -> bool {
        self.task_journal.starts_with("redis://")
    }

    /// Another place than a file that this program does not know.
    pub(super) fn unknown_journal(&self) -> Option<Contradiction> {
        let text = match (self.tasks_are_shared(), self.task_journal.contains("://")) {
            (true, _) if cfg!(feature = "redis") => return None,
            (true, _) => {
                "`task_journal` is a Redis, which needs a program that was built with the feature \
                 `redis` of ostler, and this one was not"
            }
            (false, true) => {
                "`task_journal` is the path of a file, or a Redis, \
                 `redis://[[user]:password@]host[:port][/database]`"
            }
            (false, false) => return None,
        };
        Some(Contradiction { names: &["task_journal"], text: text.to_owned() })
    }

    /// It could not be found again once it was away.
    pub(super) fn shared_journal_in_a_sandbox(&self) -> Option<Contradiction> {
        (self.sandbox == Sandbox::Master && self.tasks_are_shared()).then(|| Contradiction {
            names: &["sandbox", "task_journal"],
            text: "`task_journal` is the path of a file with `sandbox = master`: a master in a \
                   sandbox connects to nobody, also not to a Redis that was away for a moment; \
                   or use `sandbox = off`"
                .to_owned(),
        })
    }

    /// When the disk is asked to have what is kept.
    pub(crate) const fn journal_sync_mode(&self) -> SyncMode {
        match self.task_journal_sync {
            JournalSync::Always => SyncMode::Always,
            JournalSync::Timed => SyncMode::Every(self.task_journal_sync_ms),
            JournalSync::Never => SyncMode::Never,
        }
    }
}
