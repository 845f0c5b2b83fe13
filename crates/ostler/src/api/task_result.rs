//! What became of a task, as its asker is told.

use ostler_core::task_queue::TaskEnd;

use super::task_error::{TaskError, TaskErrorKind};
use crate::worker::{AnswerBytes, AnswerInArea};

/// A result of a task, or why it has none; for [`Handler::on_finish`](crate::Handler::on_finish)
/// and the callback of [`TaskRequest::then`](crate::TaskRequest::then).
///
/// ```
/// # use ostler::{Handler, Outcome, Package, Session, TaskResult, Worker};
/// struct Shop;
///
/// impl Handler for Shop {
///     fn on_receive(&mut self, worker: &Worker, _: &Session, order: &Package) -> Outcome {
///         worker.task(order).report()?;
///         Ok(())
///     }
///
///     fn on_finish(&mut self, _: &Worker, result: &TaskResult) -> Outcome {
///         println!("task {}: {} bytes", result.task(), result.bytes()?.len());
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct TaskResult {
    task: u64,
    worker: u16,
    is_inherited: bool,
    outcome: Result<AnswerBytes, TaskErrorKind>,
}

impl TaskResult {
    pub(crate) const fn result(task: u64, worker: u16, bytes: AnswerBytes) -> Self {
        Self { task, worker, is_inherited: false, outcome: Ok(bytes) }
    }

    pub(crate) const fn end(task: u64, end: TaskEnd) -> Self {
        Self::failed(task, TaskErrorKind::of_end(end))
    }

    pub(crate) const fn failed(task: u64, kind: TaskErrorKind) -> Self {
        Self { task, worker: 0, is_inherited: false, outcome: Err(kind) }
    }

    /// Whether another process has asked the task.
    pub(crate) fn inherited(self, is_inherited: bool) -> Self {
        Self { is_inherited, ..self }
    }

    /// Whether nothing of the task comes behind this.
    pub(crate) const fn is_last(&self) -> bool {
        self.outcome.is_err()
    }

    /// The task was acknowledged, or taken in for a process that is gone: nobody need be told.
    pub(crate) const fn is_good_end(&self) -> bool {
        matches!(self.outcome, Err(TaskErrorKind::NoResult | TaskErrorKind::TakenIn))
    }

    /// The task ended with its worker.
    pub(crate) const fn is_loss(&self) -> bool {
        matches!(self.outcome, Err(TaskErrorKind::WorkerDied | TaskErrorKind::PastDeadline))
    }

    /// The number of the task, as it was returned where it was asked.
    ///
    /// ```
    /// # use ostler::{Outcome, TaskResult};
    /// fn on_finish(result: &TaskResult) -> Outcome {
    ///     println!("task {} is done", result.task());
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn task(&self) -> u64 {
        self.task
    }

    /// Whether the task was asked by the predecessor of this process in its slot, which is dead:
    /// with `task_result_to = successor` its results come here, to `on_finish` of the server's
    /// handler. [`TaskResult::task`] is the predecessor's number then, which this process may have
    /// given to a task of its own.
    ///
    /// ```
    /// # use ostler::{Outcome, TaskResult};
    /// fn on_finish(result: &TaskResult) -> Outcome {
    ///     if result.is_inherited() {
    ///         println!("somebody has to hear of {:?}", result.bytes()?);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// The slot of the task worker whose result it is.
    ///
    /// ```
    /// # use ostler::TaskResult;
    /// fn whose(result: &TaskResult) -> String {
    ///     format!("task worker {}", result.worker_slot())
    /// }
    /// ```
    #[must_use]
    pub const fn worker_slot(&self) -> u16 {
        self.worker
    }

    /// The result.
    ///
    /// ```
    /// # use ostler::{Outcome, TaskResult};
    /// fn on_finish(result: &TaskResult) -> Outcome {
    ///     match result.bytes() {
    ///         Ok(bytes) => println!("{} bytes", bytes.len()),
    ///         Err(error) => println!("no result: {error}"),
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Why there is none: the task was not taken in, or its worker died.
    pub fn bytes(&self) -> Result<&[u8], TaskError> {
        self.outcome.as_deref().map_err(|kind| TaskError::from(*kind))
    }

    /// Where they lie, if that is not memory of this process.
    pub(crate) fn area(&self) -> Option<AnswerInArea> {
        self.outcome.as_ref().ok()?.area()
    }

    /// The same as its own, without a copy if they are.
    ///
    /// # Errors
    /// Those of [`TaskResult::bytes`].
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, TaskError> {
        self.outcome.map(AnswerBytes::into_vec).map_err(TaskError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_heir_need_not_be_told_that_a_task_was_taken_in() {
        assert!(TaskResult::end(1, TaskEnd::TakenIn).is_good_end());
        assert!(TaskResult::end(1, TaskEnd::Finished).is_good_end());
        assert!(!TaskResult::end(1, TaskEnd::WorkerDied).is_good_end());
    }
}
