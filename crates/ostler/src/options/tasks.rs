//! What the queue of tasks takes from the options.

use ostler_core::request_deadline::RequestDeadlines;
use ostler_core::task_journal::SyncMode;
use ostler_core::task_queue::{TaskCrashPolicy, TaskQueueSettings};

use super::{JournalSync, Options, TaskCrash};

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

    /// When the disk is asked to have what is kept.
    pub(crate) const fn journal_sync_mode(&self) -> SyncMode {
        match self.task_journal_sync {
            JournalSync::Always => SyncMode::Always,
            JournalSync::Timed => SyncMode::Every(self.task_journal_sync_ms),
            JournalSync::Never => SyncMode::Never,
        }
    }
}
