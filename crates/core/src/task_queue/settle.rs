//! What becomes of what a worker has: it leaves, idles behind others, or is dead.

use super::TaskQueue;
use super::task::{Asked, TaskCrashPolicy, TaskEnd, TaskId};
use crate::ids::LaneSlot;

/// A task that is over in this server because of the end of its worker.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled<B> {
    /// Who has asked, and what the asker calls it.
    pub asked: Asked,
    /// What the asker is told, if it wants to know the end. With [`TaskCrashPolicy::Drop`] it waits
    /// no longer, and tells nobody.
    pub told: Option<TaskEnd>,
    /// Its body.
    pub body: B,
}

impl<B> TaskQueue<B> {
    /// A worker gives back what it has not started: everything from this position on. It is the
    /// next again, in its order.
    pub fn recalled(&mut self, lane: LaneSlot, first: u64) {
        let Some(worker) = self.workers.get_mut(lane) else { return };
        worker.set_full(false);
        while let Some(task) = worker.take_unstarted(first) {
            self.waiting.push_front(&mut self.tasks, task);
        }
    }

    /// A worker leaves: it gives back what it has not started, and is given nothing more.
    pub fn leave(&mut self, lane: LaneSlot, first: u64) {
        self.recalled(lane, first);
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.leave();
        }
    }

    /// The worker of a lane is about to be ended because the task that it runs has passed its
    /// deadline; or it is not, because that has ended meanwhile.
    pub fn set_late(&mut self, lane: LaneSlot, is_late: bool) {
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.set_late(is_late);
        }
    }

    /// The server ends: a kept task whose worker ends from now on is left to the next server.
    pub const fn server_ends(&mut self) {
        self.is_ending = true;
    }

    /// A worker is dead. What it had not started is the next again, untouched; what it had started
    /// is settled by the crash policy, or left to the next server. `is_condemned`: it wrote
    /// nonsense, and nothing of what it had in hand is run again.
    pub fn worker_died(
        &mut self,
        lane: LaneSlot,
        first: u64,
        is_condemned: bool,
        over: &mut Vec<Settled<B>>,
    ) {
        if !is_condemned {
            self.recalled(lane, first);
        }
        let Some(mut worker) = self.workers.remove(lane) else { return };
        while let Some((task, is_deferred)) = worker.take_any() {
            // What is late is a callback that runs.
            let is_late = worker.is_late() && !is_deferred;
            let end = if is_late { TaskEnd::PastDeadline } else { TaskEnd::WorkerDied };
            if !is_condemned && self.run_again(task) {
                continue;
            }
            if !is_condemned && !is_late && self.is_for_next_server(task) {
                self.leave_to_next(task, over);
            } else {
                self.give_up(task, end, over);
            }
        }
    }

    /// A started task lost its worker: whether it is run again.
    fn run_again(&mut self, id: TaskId) -> bool {
        let TaskCrashPolicy::Redeliver(most) = self.settings.crash_policy else { return false };
        let Some(task) = self.tasks.get_mut(id) else { return false };
        task.attempt = task.attempt.saturating_add(1);
        if task.is_exposed || task.attempt >= most {
            return false;
        }
        self.counts.redelivered += 1;
        self.waiting.push_front(&mut self.tasks, id);
        true
    }

    /// Whether the next server has this task, and runs it.
    fn is_for_next_server(&self, id: TaskId) -> bool {
        self.is_ending && self.tasks.get(id).is_some_and(|task| task.kept_as.is_some())
    }

    /// It is not over, and stays where it is kept. Its asker ends with the server.
    fn leave_to_next(&mut self, id: TaskId, over: &mut Vec<Settled<B>>) {
        let Some(task) = self.tasks.remove(id) else { return };
        self.counts.left += 1;
        let told = Some(TaskEnd::ServerEnds).filter(|_| task.terms.wants_result);
        over.push(Settled { asked: task.asked, told, body: task.body });
    }

    fn give_up(&mut self, id: TaskId, end: TaskEnd, over: &mut Vec<Settled<B>>) {
        let Some(task) = self.tasks.remove(id) else { return };
        self.settled.extend(task.kept_as);
        if self.settings.crash_policy == TaskCrashPolicy::Drop {
            self.counts.dropped += 1;
        } else {
            self.counts.failed += 1;
        }
        let told = Some(end).filter(|_| task.terms.wants_result);
        over.push(Settled { asked: task.asked, told, body: task.body });
    }
}
