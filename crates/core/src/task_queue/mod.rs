//! The tasks of a server, from when they are asked until they are acknowledged.
//!
//! **Responsible for:** which task is given to which task worker next; what becomes of those that
//! a worker had when it ended; the bound on all of them; their counters. A task is kept here until
//! its worker has acknowledged it, so that it cannot be lost with a process: at a worker there is
//! never more than a copy.
//!
//! **Must never:** do I/O, read a clock, or believe what a worker says. What is impossible is told
//! by an error, which condemns the worker.
//!
//! Whoever is given tasks is known by the place of its lane ([`LaneSlot`]); tasks are known by
//! [`TaskId`]. One file per idea: `task` (what a task is), `slab` (where tasks are kept),
//! `waiting` (the order of those that wait), `workers` (what each has in hand), `entries` (the list
//! of that), `settle` (what a death means), `kept` (tasks that outlive the server), `counts`.

mod counts;
mod entries;
mod kept;
mod settle;
mod slab;
mod task;
#[cfg(test)]
mod tests;
mod waiting;
mod workers;

pub use counts::TaskCounts;
pub use kept::Restored;
pub use settle::Settled;
pub use task::{
    Asked, Priority, TaskCrashPolicy, TaskEnd, TaskId, TaskRefusal, TaskTarget, TaskTerms,
};

use crate::Nanos;
use crate::ids::{LaneSlot, Slot};
use entries::Entry;
use slab::Slab;
use task::Task;
use waiting::Waiting;
use workers::Workers;

/// Most ends that wait for one asker, beyond one for every task that the queue may have: of tasks
/// that were refused, which no queue bounds, and which are charged no memory. An asker has no more
/// tasks of whose end it has not heard, so that none of its ends is thrown away.
pub const ENDS_BEYOND_TASKS_MAX: usize = 1_024;

/// What is known of a queue from the start.
#[derive(Clone, Copy, Debug)]
pub struct TaskQueueSettings {
    /// Most tasks that wait or are in hand.
    pub tasks_max: usize,
    /// Task workers have the slots below this.
    pub slots: u16,
    /// What becomes of a task whose worker ends.
    pub crash_policy: TaskCrashPolicy,
    /// Estimated work that may wait at a worker beyond what it does, nanoseconds.
    pub prefetch_ns: Nanos,
    /// Most tasks at a worker at once.
    pub prefetch_tasks: u32,
}

/// A task that is to be written to a worker now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskGift {
    /// Which.
    pub task: TaskId,
    /// To whom.
    pub lane: LaneSlot,
    /// Its number among those that this worker was given.
    pub seq: u64,
    /// How often a worker had started it before.
    pub attempt: u16,
    /// Who has asked, and what the asker calls it.
    pub asked: Asked,
    /// When it was taken in.
    pub asked_at: Nanos,
}

/// Who is to be told of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultOf {
    /// Who has asked, and what the asker calls it.
    pub asked: Asked,
    /// Whether the asker wants to know.
    pub is_wanted: bool,
}

/// The queue; `B` is what is kept as the body of a task.
#[derive(Debug)]
pub struct TaskQueue<B> {
    settings: TaskQueueSettings,
    tasks: Slab<Task<B>>,
    waiting: Waiting,
    workers: Workers,
    counts: TaskCounts,
    /// Age of the next task.
    next_age: u64,
    /// Tasks that wait until they are kept.
    held: usize,
    /// Numbers of kept tasks that are over.
    settled: Vec<u64>,
    /// Kept tasks are left to the next server.
    is_ending: bool,
}

impl<B> TaskQueue<B> {
    /// An empty queue without workers.
    #[must_use]
    pub fn new(settings: TaskQueueSettings) -> Self {
        Self {
            settings,
            tasks: Slab::default(),
            waiting: Waiting::new(settings.slots),
            workers: Workers::default(),
            counts: TaskCounts::default(),
            next_age: 0,
            held: 0,
            settled: Vec::new(),
            is_ending: false,
        }
    }

    // ---- asking ---------------------------------------------------------------------------------

    /// Whether a task with these terms would be taken in.
    ///
    /// # Errors
    /// Why not.
    pub const fn admits(&self, terms: &TaskTerms) -> Result<(), TaskRefusal> {
        if let TaskTarget::Slot(slot) = terms.target
            && slot.0 >= self.settings.slots
        {
            return Err(TaskRefusal::NoSuchWorker);
        }
        if self.tasks.len() >= self.settings.tasks_max {
            return Err(TaskRefusal::QueueFull);
        }
        Ok(())
    }

    /// How many tasks of other servers it can take: none when it ends.
    #[must_use]
    pub const fn room(&self) -> usize {
        if self.is_ending { 0 } else { self.settings.tasks_max.saturating_sub(self.tasks.len()) }
    }

    /// A task is asked. It waits until [`TaskQueue::next_gift`] has a worker for it.
    ///
    /// # Errors
    /// Why it is not taken in; the body is dropped.
    pub fn ask(
        &mut self,
        asked: Asked,
        terms: TaskTerms,
        body: B,
        now: Nanos,
    ) -> Result<TaskId, TaskRefusal> {
        self.admit(&terms)?;
        self.counts.asked += 1;
        let id = self.insert(asked, terms, body, now);
        self.begin_to_wait(id, now);
        Ok(id)
    }

    fn insert(&mut self, asked: Asked, terms: TaskTerms, body: B, now: Nanos) -> TaskId {
        let age = self.next_age;
        self.next_age += 1;
        self.tasks.insert(Task::new(age, asked, terms, body, now))
    }

    fn begin_to_wait(&mut self, id: TaskId, now: Nanos) {
        let Some(Task { age, terms, .. }) = self.tasks.get(id) else { return };
        match terms.delay_ms {
            0 => self.waiting.push_back(&mut self.tasks, id),
            delay_ms => {
                let due = now.saturating_add(Nanos::from(delay_ms) * 1_000_000);
                self.waiting.delay(due, *age, id);
            }
        }
    }

    /// As [`TaskQueue::admits`], of a task that is asked: a refusal is counted.
    fn admit(&mut self, terms: &TaskTerms) -> Result<(), TaskRefusal> {
        self.admits(terms).inspect_err(|_| self.refuse())
    }

    /// A task is not taken in for a reason that the queue does not know.
    pub const fn refuse(&mut self) {
        self.counts.refused += 1;
    }

    // ---- workers --------------------------------------------------------------------------------

    /// The worker of a lane takes tasks from now on.
    pub fn worker_serves(&mut self, lane: LaneSlot, slot: Slot) {
        self.workers.add(lane, slot);
    }

    /// Whether this is the lane of a worker that was given tasks, or may be.
    #[must_use]
    pub fn is_worker(&self, lane: LaneSlot) -> bool {
        self.workers.get(lane).is_some()
    }

    /// What a worker says of the time that one task takes it, nanoseconds. It may lie: then it gets
    /// too much or too little ahead.
    pub fn set_work(&mut self, lane: LaneSlot, work_ns: Nanos) {
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.set_work(work_ns);
        }
    }

    // ---- giving ---------------------------------------------------------------------------------

    /// The next task that can be given, and to whom. It has to be followed by
    /// [`TaskQueue::written`] or [`TaskQueue::no_room`].
    pub fn next_gift(&mut self, now: Nanos) -> Option<TaskGift> {
        self.waiting.release_due(&mut self.tasks, now);
        if self.waiting.is_empty() {
            return None;
        }
        let (prefetch_ns, most) = (self.settings.prefetch_ns, self.settings.prefetch_tasks);
        let waiting = &self.waiting;
        let has_work = |slot: Slot| waiting.has_for(slot);
        let lane = self.workers.idlest(prefetch_ns, most, has_work)?;
        let slot = self.workers.get(lane)?.slot();
        let task = self.waiting.pop(&mut self.tasks, slot)?;
        let record = self.tasks.get(task)?;
        let Task { attempt, asked, asked_at, .. } = *record;
        let seq = self.workers.get_mut(lane)?.give(task, now);
        Some(TaskGift { task, lane, seq, attempt, asked, asked_at })
    }

    /// The whole task stands in the ring of its worker, its last record at this position.
    pub fn written(&mut self, gift: &TaskGift, position: u64) {
        if let Some(entry) = self.workers.get_mut(gift.lane).and_then(|w| w.entry_mut(gift.seq)) {
            entry.position = position;
        }
    }

    /// It found no room: it is the next again.
    pub fn no_room(&mut self, gift: &TaskGift) {
        let Some(worker) = self.workers.get_mut(gift.lane) else { return };
        worker.take_back(gift.seq);
        worker.set_full(true);
        self.waiting.push_front(&mut self.tasks, gift.task);
    }

    /// The ring of a worker has no room.
    pub fn set_full(&mut self, lane: LaneSlot) {
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.set_full(true);
        }
    }

    /// A worker has given ring space back.
    pub fn room_freed(&mut self, lane: LaneSlot) {
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.set_full(false);
        }
    }

    /// A worker has given the ring below this position back: the callbacks of the tasks there are
    /// over. Those that it has not acknowledged were deferred, and do not keep it from others.
    pub fn freed(&mut self, lane: LaneSlot, freed: u64) {
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.defer_below(freed);
        }
    }

    /// Whether it matters that a worker gives ring space back: something waits for that, or for the
    /// end of a callback.
    #[must_use]
    pub fn awaits_freed(&self, lane: LaneSlot) -> bool {
        self.workers.get(lane).is_some_and(|worker| worker.is_full() || worker.is_busy())
    }

    /// The body of a task that is not over.
    #[must_use]
    pub fn body(&self, task: TaskId) -> Option<&B> {
        Some(&self.tasks.get(task)?.body)
    }

    // ---- what workers say -----------------------------------------------------------------------

    /// A worker has a result of a task that it has started.
    ///
    /// # Errors
    /// It has not: nobody honest says so.
    pub fn result(
        &mut self,
        lane: LaneSlot,
        seq: u64,
        started: u64,
    ) -> Result<ResultOf, &'static str> {
        let task = self.started_task(lane, seq, started)?;
        let Some(task) = self.tasks.get_mut(task) else { return Err(UNKNOWN) };
        self.counts.results += 1;
        Ok(ResultOf { asked: task.asked, is_wanted: task.terms.wants_result })
    }

    /// The asker of a task is told of its end, although it goes on: nothing follows that.
    ///
    /// # Errors
    /// The worker has not started it.
    pub fn tell_no_more(
        &mut self,
        lane: LaneSlot,
        seq: u64,
        started: u64,
    ) -> Result<(), &'static str> {
        let task = self.started_task(lane, seq, started)?;
        if let Some(task) = self.tasks.get_mut(task) {
            task.terms.wants_result = false;
        }
        Ok(())
    }

    /// What a task causes is seen before it is finished: it is never run again.
    ///
    /// # Errors
    /// The worker has not started it.
    pub fn expose(&mut self, lane: LaneSlot, seq: u64, started: u64) -> Result<(), &'static str> {
        let task = self.started_task(lane, seq, started)?;
        if let Some(task) = self.tasks.get_mut(task) {
            task.is_exposed = true;
        }
        Ok(())
    }

    /// A worker acknowledges a task: it is over. Returns its body, and whom to tell.
    ///
    /// # Errors
    /// The worker has not started it.
    pub fn finish(
        &mut self,
        lane: LaneSlot,
        seq: u64,
        started: u64,
    ) -> Result<(B, ResultOf), &'static str> {
        let id = self.started_task(lane, seq, started)?;
        let Some(task) = self.tasks.remove(id) else { return Err(UNKNOWN) };
        if let Some(worker) = self.workers.get_mut(lane) {
            worker.finish(seq);
        }
        self.counts.finished += 1;
        self.settled.extend(task.kept_as);
        let is_wanted = task.terms.wants_result;
        Ok((task.body, ResultOf { asked: task.asked, is_wanted }))
    }

    /// The body of a task that a worker has started and not finished.
    ///
    /// # Errors
    /// It has no such task.
    pub fn body_in_hand(&self, lane: LaneSlot, seq: u64, started: u64) -> Result<&B, &'static str> {
        let task = self.started_task(lane, seq, started)?;
        self.body(task).ok_or(UNKNOWN)
    }

    fn started_task(&self, lane: LaneSlot, seq: u64, started: u64) -> Result<TaskId, &'static str> {
        let entry: &Entry =
            self.workers.get(lane).and_then(|worker| worker.entry(seq)).ok_or(UNKNOWN)?;
        if entry.position >= started {
            return Err("a task that was not started");
        }
        Ok(entry.task)
    }

    // ---- time -----------------------------------------------------------------------------------

    /// When a task that waits for its time is due.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        self.waiting.due()
    }

    /// The worker that is to give back what it has not started, and when: another one idles.
    /// `taken` is what each says it has started.
    #[must_use]
    pub fn recall_candidate(&self, taken: impl Fn(LaneSlot) -> u64) -> Option<(LaneSlot, Nanos)> {
        if self.waiting.has_for_any() {
            return None;
        }
        let is_movable = |entry: &Entry| {
            let target = self.tasks.get(entry.task).map(|task| task.terms.target);
            target == Some(TaskTarget::Any)
        };
        self.workers.recall_candidate(taken, is_movable)
    }

    // ---- figures --------------------------------------------------------------------------------

    /// Results or ends were for somebody who is gone, or had no room.
    pub const fn count_unheard(&mut self, answers: u64) {
        self.counts.unheard += answers;
    }

    /// Tasks that are not over: waiting, delayed or in hand.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether none waits and none is in hand; some may wait for their time.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.held == 0 && self.waiting.is_empty() && self.workers.are_idle()
    }

    /// What became of all tasks so far.
    #[must_use]
    pub const fn counts(&self) -> &TaskCounts {
        &self.counts
    }

    /// The body of every task that is left at the end of the server, which counts as left.
    pub fn drain(&mut self) -> impl Iterator<Item = (Asked, B)> {
        self.counts.asked += self.held as u64;
        self.held = 0;
        self.counts.left += self.tasks.len() as u64;
        self.waiting = Waiting::new(self.settings.slots);
        self.workers = Workers::default();
        std::mem::take(&mut self.tasks).into_values().map(|task| (task.asked, task.body))
    }
}

const UNKNOWN: &str = "a task that it does not have";
