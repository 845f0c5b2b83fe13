//! Tasks that outlive the server: they wait until they are kept somewhere, and come back when
//! another server begins.

use super::task::{Asked, TaskId, TaskRefusal, TaskTerms};
use super::{TaskQueue, TaskTarget};
use crate::Nanos;
use crate::ids::{LaneSlot, ProcessKey};

/// A task that an earlier server has left.
#[derive(Debug)]
pub struct Restored<B> {
    /// The number by which it is kept.
    pub kept_as: u64,
    /// How often it may have been started before.
    pub attempt: u16,
    /// How it is to be run. Nobody waits for it.
    pub terms: TaskTerms,
    /// Its body.
    pub body: B,
}

impl<B> TaskQueue<B> {
    /// A task is asked that has to be kept first: it counts as one that waits, and is given to
    /// nobody before [`TaskQueue::is_kept`].
    ///
    /// # Errors
    /// Why it is not taken in; the body is dropped.
    pub fn hold(
        &mut self,
        asked: Asked,
        terms: TaskTerms,
        body: B,
        now: Nanos,
    ) -> Result<TaskId, TaskRefusal> {
        self.admit(&terms)?;
        self.held += 1;
        Ok(self.insert(asked, terms, body, now))
    }

    /// A task that was held is kept, as this number: it is taken in, and waits for a worker.
    /// Returns who has asked, and its body.
    pub fn is_kept(&mut self, id: TaskId, number: u64, now: Nanos) -> Option<(Asked, &B)> {
        let task = self.tasks.get_mut(id).filter(|task| task.kept_as.is_none())?;
        task.kept_as = Some(number);
        self.held -= 1;
        self.counts.asked += 1;
        self.begin_to_wait(id, now);
        self.tasks.get(id).map(|task| (task.asked, &task.body))
    }

    /// A task that was held cannot be kept: it is refused. Returns who has asked, and its body.
    pub fn is_not_kept(&mut self, id: TaskId) -> Option<(Asked, B)> {
        self.tasks.get(id).filter(|task| task.kept_as.is_none())?;
        let task = self.tasks.remove(id)?;
        self.held -= 1;
        self.refuse_to_keep();
        Some((task.asked, task.body))
    }

    /// A task is not even tried to be kept.
    pub const fn refuse_to_keep(&mut self) {
        self.counts.refused += 1;
        self.counts.unkept += 1;
    }

    /// A task of an earlier server waits again. It is taken in whatever the bounds say: it was
    /// before. Whom it was for that is not there any more, anybody runs it.
    pub fn restore(&mut self, restored: Restored<B>, now: Nanos) {
        let Restored { kept_as, attempt, mut terms, body } = restored;
        terms.wants_result = false;
        if let TaskTarget::Slot(slot) = terms.target
            && slot.0 >= self.settings.slots
        {
            terms.target = TaskTarget::Any;
        }
        // No process is of the generation 0.
        let (sender, lane) = (ProcessKey::event(0, 0), LaneSlot(u32::MAX));
        let id = self.insert(Asked { sender, lane, number: kept_as }, terms, body, now);
        if let Some(task) = self.tasks.get_mut(id) {
            task.kept_as = Some(kept_as);
            task.attempt = attempt;
        }
        self.counts.asked += 1;
        self.counts.restored += 1;
        self.begin_to_wait(id, now);
    }

    /// The numbers of kept tasks that are over since this was asked last.
    pub fn take_settled(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.settled)
    }
}
