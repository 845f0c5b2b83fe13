//! What the queue of tasks takes from the options.

use ostler_core::task_queue::{TaskCrashPolicy, TaskQueueSettings};

use super::{Options, TaskCrash};

impl Options {
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
}
