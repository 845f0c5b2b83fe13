//! Why a task was not asked, or has no result.

use std::fmt;
use std::io::ErrorKind;

use ostler_core::task_queue::{TaskEnd, TaskRefusal};

use super::send_error::SendError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskErrorKind {
    NoWorkers,
    NoSuchWorker {
        slot: u16,
        workers: u16,
    },
    TooLong {
        len: usize,
        most: usize,
    },
    LaneFull,
    QueueFull,
    NoMemory,
    WorkerDied,
    PastDeadline,
    NoResult,
    ResultLost,
    TimedOut,
    ServerEnds,
    NotKept,
    KeptTooSlowly,
    /// No error: what an asker waits for that wants to know nothing else.
    TakenIn,
    /// The process runs no loop that takes results.
    NoLoop,
    InTaskWorker,
    /// The callback of the task has returned.
    Over,
    CannotWait(ErrorKind),
}

/// Why a task was not asked, or has no result. `Debug` reads like `Display`.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{Outcome, Session, Worker};
/// fn shrink(worker: &Worker, session: &Session, picture: &[u8]) -> Outcome {
///     match worker.task_wait(picture, Duration::from_secs(2)) {
///         Ok(small) => session.send(&small)?,
///         Err(error) if error.is_full() => session.send(b"busy\n")?,
///         Err(error) => return Err(error.into()),
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TaskError {
    kind: TaskErrorKind,
}

impl From<TaskErrorKind> for TaskError {
    fn from(kind: TaskErrorKind) -> Self {
        Self { kind }
    }
}

impl From<SendError> for TaskError {
    /// Nothing else can go wrong with a record for the master.
    fn from(_: SendError) -> Self {
        TaskErrorKind::LaneFull.into()
    }
}

impl TaskErrorKind {
    /// What an asker is told of an end without a result.
    pub(crate) const fn of_end(end: TaskEnd) -> Self {
        match end {
            TaskEnd::Finished => Self::NoResult,
            TaskEnd::Refused(TaskRefusal::QueueFull) => Self::QueueFull,
            TaskEnd::Refused(TaskRefusal::NoMemory) => Self::NoMemory,
            TaskEnd::Refused(TaskRefusal::NoSuchWorker) => {
                Self::NoSuchWorker { slot: u16::MAX, workers: 0 }
            }
            TaskEnd::Refused(TaskRefusal::NotKept) => Self::NotKept,
            TaskEnd::Refused(TaskRefusal::KeptTooSlowly) => Self::KeptTooSlowly,
            TaskEnd::TakenIn => Self::TakenIn,
            TaskEnd::WorkerDied => Self::WorkerDied,
            TaskEnd::PastDeadline => Self::PastDeadline,
            TaskEnd::ResultLost => Self::ResultLost,
            TaskEnd::ServerEnds => Self::ServerEnds,
        }
    }
}

impl TaskError {
    /// It is none.
    pub(crate) const fn is_taken_in(&self) -> bool {
        matches!(self.kind, TaskErrorKind::TakenIn)
    }

    /// Too many tasks wait (`task_queue_max`), or this process has not heard of the end of 1 024
    /// more than that, or the memory for their payloads is used up (`memory_budget`), or more is to
    /// be written to `task_journal` than may wait for that
    /// (`task_journal_backlog_max`), or the lane had no room within `send_timeout_ms`. Try again
    /// later.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(1));
    ///     if let Err(error) = &result
    ///         && error.is_full()
    ///     {
    ///         println!("too much to do, try again");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_full(&self) -> bool {
        use TaskErrorKind as Kind;
        matches!(self.kind, Kind::QueueFull | Kind::NoMemory | Kind::LaneFull | Kind::KeptTooSlowly)
    }

    /// It cannot be written to `task_journal`: the disk is full, or fails. It is not run. The log
    /// of the server says why.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Session, Worker};
    /// fn order(worker: &Worker, session: &Session, order: &[u8]) -> Outcome {
    ///     match worker.task(order).keep(Duration::from_secs(2)) {
    ///         Ok(()) => session.send(b"we have your order\n")?,
    ///         Err(error) if error.is_not_kept() => session.send(b"come again tomorrow\n")?,
    ///         Err(error) => return Err(error.into()),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn is_not_kept(&self) -> bool {
        matches!(self.kind, TaskErrorKind::NotKept)
    }

    /// There is no task worker in that slot, or none at all.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(1));
    ///     if let Err(error) = &result
    ///         && error.is_no_such_worker()
    ///     {
    ///         println!("task_workers is too small");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_no_such_worker(&self) -> bool {
        matches!(self.kind, TaskErrorKind::NoWorkers | TaskErrorKind::NoSuchWorker { .. })
    }

    /// The payload, or the result, is longer than `task_max_length`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(1));
    ///     if let Err(error) = &result
    ///         && error.is_too_long()
    ///     {
    ///         println!("task_max_length is too small");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(self.kind, TaskErrorKind::TooLong { .. })
    }

    /// Its worker died, and by `task_crash_policy` it is not run again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(1));
    ///     if let Err(error) = &result
    ///         && error.is_worker_died()
    ///     {
    ///         println!("it did not survive that");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_worker_died(&self) -> bool {
        matches!(self.kind, TaskErrorKind::WorkerDied)
    }

    /// It ran for longer than `task_deadline_ms`, and its worker was ended for that. (With
    /// `task_crash_policy = redeliver`: as often as it may be started.)
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(60));
    ///     if let Err(error) = &result
    ///         && error.is_past_deadline()
    ///     {
    ///         println!("asking it again would take as long");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_past_deadline(&self) -> bool {
        matches!(self.kind, TaskErrorKind::PastDeadline)
    }

    /// No result came in time. The task goes on; what comes later is nobody's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(1));
    ///     if let Err(error) = &result
    ///         && error.is_timed_out()
    ///     {
    ///         println!("it takes too long");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        matches!(self.kind, TaskErrorKind::TimedOut)
    }

    /// It was run to its end, and had no result.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn ask(worker: &Worker) -> Result<Vec<u8>, TaskError> {
    ///     let result = worker.task_wait(b"sum", Duration::from_secs(1));
    ///     if let Err(error) = &result
    ///         && error.is_unanswered()
    ///     {
    ///         println!("it said nothing");
    ///     }
    ///     result
    /// }
    /// ```
    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        matches!(self.kind, TaskErrorKind::NoResult)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TaskErrorKind::NoWorkers => {
                f.write_str("there are no task workers: set `task_workers` to 1 or more")
            }
            TaskErrorKind::NoSuchWorker { workers: 0, .. } => {
                f.write_str("there is no task worker in that slot")
            }
            TaskErrorKind::NoSuchWorker { slot, workers } => {
                let last = workers - 1;
                write!(f, "there is no task worker in slot {slot}: the slots are 0 to {last}")
            }
            TaskErrorKind::TooLong { len, most } => {
                write!(f, "{len} bytes are more than `task_max_length` allows ({most})")
            }
            TaskErrorKind::LaneFull => {
                f.write_str("the lane had no room within `send_timeout_ms`: try again later")
            }
            TaskErrorKind::QueueFull => {
                f.write_str("`task_queue_max` tasks wait already: try again later")
            }
            TaskErrorKind::NoMemory => f.write_str(
                "`memory_budget` has no room for its payload: try again later, or raise it",
            ),
            TaskErrorKind::WorkerDied => f.write_str("the worker that ran the task died"),
            TaskErrorKind::PastDeadline => {
                f.write_str("the task ran for longer than `task_deadline_ms` allows")
            }
            TaskErrorKind::NoResult => f.write_str("the task was finished without a result"),
            TaskErrorKind::ResultLost => f.write_str("`memory_budget` had no room for its result"),
            TaskErrorKind::TimedOut => f.write_str("no result came in time"),
            TaskErrorKind::ServerEnds => f.write_str("the server ends"),
            TaskErrorKind::NotKept => f.write_str(
                "the task cannot be written to `task_journal`: the log of the server says why",
            ),
            TaskErrorKind::KeptTooSlowly => f.write_str(
                "`task_journal_backlog_max` bytes wait to be written to `task_journal` already: \
                 try again later",
            ),
            TaskErrorKind::TakenIn => f.write_str("the task was taken in"),
            TaskErrorKind::NoLoop => f.write_str(
                "results are called back in workers only: wait for the result (`wait`), or ask \
                 without one (`send`)",
            ),
            TaskErrorKind::InTaskWorker => f.write_str(
                "a task worker waits for no task, which might need itself: call back (`then`)",
            ),
            TaskErrorKind::Over => {
                f.write_str("the callback of the task has returned: it takes no result any more")
            }
            TaskErrorKind::CannotWait(kind) => write!(f, "cannot wait: {kind}"),
        }
    }
}

impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TaskError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_answered_and_the_text_says_what_to_do() {
        let error = |kind| TaskError { kind };
        let full = [TaskErrorKind::QueueFull, TaskErrorKind::NoMemory, TaskErrorKind::LaneFull];
        assert!(full.into_iter().all(|kind| error(kind).is_full()));
        assert!(error(TaskErrorKind::NoWorkers).to_string().contains("set `task_workers`"));
        let unknown = error(TaskErrorKind::NoSuchWorker { slot: 4, workers: 4 });
        assert!(unknown.is_no_such_worker() && unknown.to_string().contains("0 to 3"));
        assert!(error(TaskErrorKind::of_end(TaskEnd::WorkerDied)).is_worker_died());
        assert!(error(TaskErrorKind::of_end(TaskEnd::PastDeadline)).is_past_deadline());
        assert!(error(TaskErrorKind::of_end(TaskEnd::Finished)).is_unanswered());
        assert!(!error(TaskErrorKind::TimedOut).is_full());
        assert!(error(TaskErrorKind::NotKept).is_not_kept());
        assert!(error(TaskErrorKind::KeptTooSlowly).is_full());
    }
}
