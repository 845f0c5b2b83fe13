//! A task, as the worker sees it that runs it.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use ostler_core::ids::ProcessKey;
use ostler_shm::record::Header;
use ostler_shm::task_terms::TermsBlock;

use super::package::debug_bytes;
use super::task_error::TaskError;
use crate::worker::{Payload, WorkerContext};

/// A task that this worker runs; its bytes are those that were asked. It is acknowledged when the
/// callback returns, whatever it returns.
///
/// ```
/// # use ostler::{Handler, Outcome, Package, Session, Task, Worker};
/// struct Thumbnails;
///
/// impl Handler for Thumbnails {
///     fn on_receive(&mut self, worker: &Worker, _: &Session, picture: &Package) -> Outcome {
///         worker.task(picture).report()?;
///         Ok(())
///     }
///
///     /// Runs in a task worker.
///     fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
///         let small = &task[..task.len().min(100)];
///         Ok(task.finish(small)?)
///     }
/// }
/// ```
pub struct Task {
    context: Rc<WorkerContext>,
    payload: Payload,
    /// Bytes in front of the task's own.
    in_front: usize,
    sender: ProcessKey,
    number: u64,
    seq: u64,
    attempt: u16,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Task", format_args!("{} of {}", self.number, self.sender), self)
    }
}

impl Task {
    /// `None`: nobody has asked it.
    pub(crate) fn new(
        context: Rc<WorkerContext>,
        header: &Header,
        payload: Payload,
    ) -> Option<Self> {
        let sender = ProcessKey::unpack(header.cause)?;
        let (number, seq, attempt) = (header.subject, header.seq, header.port);
        // What is read where it lies has no terms in front.
        let is_apart = payload.area().is_some();
        let in_front = if is_apart { 0 } else { TermsBlock::len_of(payload.bytes()) };
        (payload.bytes().len() >= in_front).then_some(Self {
            context,
            payload,
            in_front,
            sender,
            number,
            seq,
            attempt,
        })
    }

    /// What the handles of its worker share.
    pub(super) const fn context(&self) -> &Rc<WorkerContext> {
        &self.context
    }

    /// The number by which its asker knows it.
    ///
    /// ```
    /// # use ostler::Task;
    /// fn name(task: &Task) -> String {
    ///     format!("task {} of {}", task.number(), task.asker())
    /// }
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Who has asked, as logs name it: `w3.1` is the first process of the event worker's slot 3.
    ///
    /// ```
    /// # use ostler::Task;
    /// fn note(task: &Task) {
    ///     println!("asked by {}", task.asker());
    /// }
    /// ```
    #[must_use]
    pub fn asker(&self) -> String {
        self.sender.to_string()
    }

    /// The slot of the process that has asked.
    ///
    /// ```
    /// # use ostler::Task;
    /// fn is_of_the_first(task: &Task) -> bool {
    ///     task.asker_slot() == 0
    /// }
    /// ```
    #[must_use]
    pub const fn asker_slot(&self) -> u16 {
        self.sender.slot.0
    }

    /// Which start of it this is, from 1: more when workers died that had started it
    /// (`task_crash_policy = redeliver`).
    ///
    /// ```
    /// # use ostler::{Outcome, Task};
    /// fn charge(task: &Task) -> Outcome {
    ///     if task.attempt() > 1 {
    ///         println!("task {}: look first whether it was charged", task.number());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn attempt(&self) -> u16 {
        self.attempt.saturating_add(1)
    }

    /// Its bytes.
    ///
    /// ```
    /// # use ostler::Task;
    /// fn text(task: &Task) -> String {
    ///     String::from_utf8_lossy(task.as_bytes()).into_owned()
    /// }
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.payload.bytes().get(self.in_front..).unwrap_or_default()
    }

    /// Sends a result to the asker. A task may have several, and none; an asker that does not want
    /// to know gets none. Under `task_crash_policy = redeliver` they are sent when the callback
    /// returns.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Task, Worker};
    /// # struct Counter;
    /// # impl Handler for Counter {
    /// #     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
    /// #         Ok(())
    /// #     }
    /// fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
    ///     for part in task.chunks(1_000) {
    ///         task.finish(&part.len().to_le_bytes())?; // a result for each part
    ///     }
    ///     Ok(())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TaskError::is_too_long`]; [`TaskError::is_full`] when the lane has no room within
    /// `send_timeout_ms`.
    pub fn finish(&self, result: &[u8]) -> Result<(), TaskError> {
        self.context.finish_task(self.seq, result)
    }
}

impl Deref for Task {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}
