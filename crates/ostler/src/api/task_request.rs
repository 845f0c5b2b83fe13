//! Asking for tasks.

use std::any::Any;
use std::time::Duration;

use ostler_core::task_queue::Priority;
use ostler_shm::task_terms::TermsBlock;

use super::outcome::Outcome;
use super::task_error::TaskError;
use super::task_result::TaskResult;
use super::worker::Worker;
use crate::worker::Asker;

/// A task that is to be asked: say how, and then one of [`TaskRequest::send`],
/// [`TaskRequest::report`], [`TaskRequest::then`], [`TaskRequest::wait`] and
/// [`TaskRequest::keep`]. Until then nothing happens.
///
/// Inside a callback the task is one of its outputs: with `crash_policy = redeliver` it is asked
/// when the package is finished, together with what was sent, or not at all.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{Outcome, TaskPriority, Worker};
/// fn clean_up(worker: &Worker, path: &str) -> Outcome {
///     worker
///         .task(path.as_bytes())
///         .priority(TaskPriority::Low)
///         .after(Duration::from_secs(60))
///         .send()?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked before `send`, `report`, `then` or `wait`"]
pub struct TaskRequest<'a> {
    worker: &'a Worker,
    payload: &'a [u8],
    terms: TermsBlock,
}

impl<'a> TaskRequest<'a> {
    /// Only the task worker of this slot runs it, `0..task_workers`. One that is about to begin is
    /// waited for.
    ///
    /// ```
    /// # use ostler::{Outcome, Worker};
    /// /// What belongs together is done by one worker, one after another.
    /// fn append(worker: &Worker, file: u16, line: &[u8]) -> Outcome {
    ///     worker.task(line).to(file % 4).send()?;
    ///     Ok(())
    /// }
    /// ```
    pub const fn to(mut self, slot: u16) -> Self {
        self.terms.slot = Some(slot);
        self
    }

    /// Which tasks come before it: [`TaskPriority::Normal`](Priority::Normal) unless said.
    ///
    /// ```
    /// # use ostler::{Outcome, TaskPriority, Worker};
    /// fn alarm(worker: &Worker) -> Outcome {
    ///     worker.task(b"alarm").priority(TaskPriority::High).send()?;
    ///     Ok(())
    /// }
    /// ```
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.terms.priority = priority.code();
        self
    }

    /// It waits so long before it is run, in whole milliseconds, at most 49 days.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Worker};
    /// fn remind(worker: &Worker) -> Outcome {
    ///     worker.task(b"remind").after(Duration::from_secs(3_600)).send()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn after(mut self, delay: Duration) -> Self {
        self.terms.delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        self
    }

    /// Asks it, and wants to know nothing: results are thrown away, failures are only counted.
    /// Returns its number.
    ///
    /// ```
    /// # use ostler::{Outcome, Worker};
    /// fn log(worker: &Worker, line: &str) -> Outcome {
    ///     worker.task(line.as_bytes()).send()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`TaskError::is_no_such_worker`], [`TaskError::is_too_long`], or [`TaskError::is_full`] when
    /// the lane has no room within `send_timeout_ms`.
    pub fn send(self) -> Result<u64, TaskError> {
        self.worker.context().ask_task(self.terms, self.payload, None)
    }

    /// Asks it; each result goes to [`Handler::on_finish`](crate::Handler::on_finish) of the
    /// handler whose callback runs, and so does its failure. Returns its number, by which results
    /// are known.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use ostler::{Handler, Outcome, Package, Session, TaskResult, Worker};
    /// struct Shop {
    ///     clients: HashMap<u64, u64>,
    /// }
    ///
    /// impl Handler for Shop {
    ///     fn on_receive(&mut self, worker: &Worker, client: &Session, it: &Package) -> Outcome {
    ///         let task = worker.task(it).report()?;
    ///         self.clients.insert(task, client.id());
    ///         Ok(())
    ///     }
    ///
    ///     fn on_finish(&mut self, worker: &Worker, result: &TaskResult) -> Outcome {
    ///         if let Some(client) = self.clients.remove(&result.task()) {
    ///             worker.session(client).send(result.bytes()?)?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`TaskRequest::send`].
    pub fn report(self) -> Result<u64, TaskError> {
        let context = self.worker.context();
        let asker = Asker::Handler(context.callee.running());
        context.ask_task(self.terms, self.payload, Some(asker))
    }

    /// Asks it; `callback` is called with each result, and with its failure. It is dropped when
    /// the task is over: what it holds ([`Deferred`](crate::Deferred)) is finished then. Returns
    /// its number.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Task, Worker};
    /// struct Shop;
    ///
    /// impl Handler for Shop {
    ///     /// The client is answered when the task is done.
    ///     fn on_receive(&mut self, worker: &Worker, _: &Session, order: &Package) -> Outcome {
    ///         let Some(mut deferred) = order.defer() else { return Ok(()) };
    ///         worker.task(order).then::<Self>(move |_, _, result| {
    ///             Ok(deferred.send(result.bytes()?)?)
    ///         })?;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`TaskRequest::send`].
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[track_caller]
    pub fn then<H: 'static>(
        self,
        mut callback: impl FnMut(&mut H, &Worker, &TaskResult) -> Outcome + 'static,
    ) -> Result<u64, TaskError> {
        let handler = self.worker.running_handler::<H>();
        let callback = move |handler: &mut dyn Any, worker: &Worker, result: &TaskResult| {
            handler.downcast_mut().map_or(Ok(()), |handler| callback(handler, worker, result))
        };
        let asker = Asker::Callback(handler, Some(Box::new(callback)));
        self.worker.context().ask_task(self.terms, self.payload, Some(asker))
    }

    /// Asks it and waits for its first result. The worker does nothing else meanwhile: this is for
    /// what the client waits for anyway.
    ///
    /// What was sent before is published, so that a package is not delivered again
    /// (`crash_policy = redeliver`) once something waits for its task.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Session, TaskPriority, Worker};
    /// fn price(worker: &Worker, session: &Session, item: &[u8]) -> Outcome {
    ///     let urgent = worker.task(item).priority(TaskPriority::High);
    ///     session.send(&urgent.wait(Duration::from_millis(500))?)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`TaskRequest::send`]; [`TaskError::is_timed_out`], [`TaskError::is_worker_died`],
    /// [`TaskError::is_unanswered`].
    pub fn wait(self, timeout: Duration) -> Result<Vec<u8>, TaskError> {
        let context = self.worker.context();
        let mut results = context.wait_for_tasks(self.terms, &[self.payload], timeout);
        let result = results.pop();
        result.unwrap_or(Err(super::task_error::TaskErrorKind::TimedOut.into()))
    }

    /// Asks it, and waits until the server has taken it in; the task itself is not waited for, and
    /// its results are thrown away. With `task_journal` it is written down then, and is run even if
    /// the server is killed at this moment: whoever is told now can rely on it.
    ///
    /// As with [`TaskRequest::wait`] what was sent before is published.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Session, Worker};
    /// fn order(worker: &Worker, session: &Session, order: &[u8]) -> Outcome {
    ///     worker.task(order).keep(Duration::from_secs(2))?;
    ///     session.send(b"we have your order\n")?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`TaskRequest::send`]; [`TaskError::is_not_kept`]; [`TaskError::is_timed_out`]: it
    /// may be taken in later.
    pub fn keep(self, timeout: Duration) -> Result<(), TaskError> {
        let terms = TermsBlock { wants_acceptance: true, ..self.terms };
        let mut ends = self.worker.context().wait_for_tasks(terms, &[self.payload], timeout);
        match ends.pop() {
            Some(Err(error)) if !error.is_taken_in() => Err(error),
            _ => Ok(()),
        }
    }
}

impl Worker {
    /// A task for one of the task workers (`task_workers`), with this payload: see [`TaskRequest`].
    /// [`Handler::on_task`](crate::Handler::on_task) runs it there.
    ///
    /// ```
    /// # use ostler::{Outcome, Worker};
    /// fn note(worker: &Worker, line: &str) -> Outcome {
    ///     worker.task(line.as_bytes()).send()?;
    ///     Ok(())
    /// }
    /// ```
    pub fn task<'a>(&'a self, payload: &'a [u8]) -> TaskRequest<'a> {
        TaskRequest { worker: self, payload, terms: TermsBlock::default() }
    }

    /// Asks a task and waits for its first result: [`TaskRequest::wait`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{TaskError, Worker};
    /// fn price(worker: &Worker, item: &[u8]) -> Result<Vec<u8>, TaskError> {
    ///     worker.task_wait(item, Duration::from_millis(500))
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`TaskRequest::wait`].
    pub fn task_wait(&self, payload: &[u8], timeout: Duration) -> Result<Vec<u8>, TaskError> {
        self.task(payload).wait(timeout)
    }

    /// Asks several tasks and waits for the first result of each, all in all at most so long. The
    /// results are in the order of the tasks.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn shrink_all(worker: &Worker, pictures: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    ///     let results = worker.task_wait_multi(pictures, Duration::from_secs(5));
    ///     results.into_iter().map(Result::ok).collect()
    /// }
    /// ```
    #[must_use]
    pub fn task_wait_multi(
        &self,
        payloads: &[&[u8]],
        timeout: Duration,
    ) -> Vec<Result<Vec<u8>, TaskError>> {
        self.context().wait_for_tasks(TermsBlock::default(), payloads, timeout)
    }
}
