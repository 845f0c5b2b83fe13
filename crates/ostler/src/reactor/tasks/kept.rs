//! Tasks that outlive the server: they are written before they are taken in, and forgotten when
//! they are over. The thread that does it is never waited for.

use std::collections::VecDeque;
use std::io;

use ostler_core::ids::Slot;
use ostler_core::task_queue::{
    Asked, Priority, Restored, TaskEnd, TaskId, TaskRefusal, TaskTarget, TaskTerms,
};
use ostler_shm::task_terms::TermsBlock;

use super::Tasks;
use super::answers::Answer;
use super::body::TaskBody;
use crate::journal::{self, Keeper, LeftTask};
use crate::reactor::budget::Memory;
use crate::reactor::{ClientSide, Reactor, token};
use crate::sys::clock;
use crate::sys::epoll::Interest;

/// The way to where tasks are kept.
pub(super) struct Keeping {
    keeper: Keeper,
    /// Tasks that are on their way there, by the number that they were given.
    held: VecDeque<Held>,
}

/// A task on its way.
struct Held {
    number: u64,
    task: TaskId,
    /// What its asker wants to know.
    terms: TermsBlock,
}

impl Keeping {
    /// The server ends: what is over is written. Answers how many tasks could not be kept of those
    /// that were on their way.
    pub(super) fn end(mut self) -> u64 {
        self.keeper.end();
        let unkept = self.take_answered().iter().filter(|(_, is_kept)| !is_kept).count();
        (unkept + self.held.len()) as u64
    }

    /// Tasks that are on their way no more, and whether each is kept.
    fn take_answered(&mut self) -> Vec<(Held, bool)> {
        let mut answered = Vec::new();
        for journal::Answer { last, is_kept } in self.keeper.take_answers() {
            while let Some(held) = self.held.pop_front_if(|held| held.number <= last) {
                answered.push((held, is_kept));
            }
        }
        answered
    }
}

impl Reactor {
    /// Tasks are kept from now on, and these are there already.
    pub(crate) fn keep_tasks(&mut self, keeper: Keeper, left: Vec<LeftTask>) -> io::Result<()> {
        let ClientSide { epoll, tasks, memory, .. } = &mut self.clients;
        let Some(tasks) = tasks else { return Ok(()) };
        epoll.add(keeper.bell(), token::kept(), Interest::BELL)?;
        tasks.keeping = Some(Keeping { keeper, held: VecDeque::new() });
        let (now, today) = (clock::monotonic_ns(), clock::unix_ms());
        for task in left {
            tasks.restore(task, memory, now, today);
        }
        Ok(())
    }
}

impl ClientSide {
    /// The thread that keeps tasks has something to say.
    pub(in crate::reactor) fn tasks_are_kept(&mut self) {
        let Self { tasks, memory, complaints, now, .. } = self;
        let Some(tasks) = tasks else { return };
        let unkept = tasks.take_kept(memory, *now);
        tasks.take_brought(memory, *now);
        if unkept > 0 && complaints.task_refused.admits() {
            let refusal = TaskRefusal::NotKept;
            tracing::warn!(?refusal, tasks = unkept, "tasks were not taken in");
        }
    }
}

impl Tasks {
    /// Whether a task of so many bytes can wait to be kept, if it has to be.
    pub(super) fn room_to_keep(&self, len: usize) -> Result<(), TaskRefusal> {
        let has_room = |keeping: &Keeping| keeping.keeper.has_room(len);
        let is_full = self.keeping.as_ref().is_some_and(|keeping| !has_room(keeping));
        if is_full { Err(TaskRefusal::KeptTooSlowly) } else { Ok(()) }
    }

    /// A task that is admitted is given to the thread, and waits for its answer.
    pub(super) fn keep(&mut self, asked: Asked, terms: &TermsBlock, body: TaskBody, now: u64) {
        let Some(keeping) = &mut self.keeping else { return };
        let due_unix_ms = match terms.delay_ms {
            0 => 0,
            delay_ms => clock::unix_ms().saturating_add(delay_ms.into()),
        };
        let copy = [&terms.to_bytes()[..], body.task_bytes()].concat();
        match self.queue.hold(asked, task_terms(terms), body, now) {
            Ok(task) => {
                let number = keeping.keeper.keep(due_unix_ms, copy);
                keeping.held.push_back(Held { number, task, terms: *terms });
            }
            Err(_) => ostler_core::invariant!(false, "a task that is admitted is taken in"),
        }
    }

    /// Takes in what is kept now, and refuses what cannot be. Answers how many that were.
    fn take_kept(&mut self, memory: &mut Memory, now: u64) -> u64 {
        let Some(keeping) = &mut self.keeping else { return 0 };
        let mut unkept = 0;
        for (Held { number, task, terms }, is_kept) in keeping.take_answered() {
            if is_kept {
                let Some((asked, _)) = self.queue.is_kept(task, number, now) else { continue };
                if terms.wants_acceptance {
                    self.answers.push_back(Answer::end(asked, TaskEnd::TakenIn));
                }
                continue;
            }
            let Some((asked, body)) = self.queue.is_not_kept(task) else { continue };
            memory.release(body.charge());
            unkept += 1;
            if terms.wants_acceptance || terms.wants_result {
                let end = TaskEnd::Refused(TaskRefusal::NotKept);
                self.answers.push_back(Answer::end(asked, end));
            }
        }
        unkept
    }

    /// Takes in what other servers have left.
    fn take_brought(&mut self, memory: &mut Memory, now: u64) {
        let Some(keeping) = &self.keeping else { return };
        for task in keeping.keeper.take_brought() {
            self.restore(task, memory, now, clock::unix_ms());
        }
    }

    /// Tells the thread how many tasks of others could be taken in.
    pub(super) fn tell_room(&self, memory: &Memory) {
        if let Some(keeping) = &self.keeping {
            keeping.keeper.set_room(if memory.is_tight() { 0 } else { self.queue.room() });
        }
    }

    /// A task that an earlier server has left, or another one, waits again.
    fn restore(&mut self, task: LeftTask, memory: &mut Memory, now: u64, today: u64) {
        let LeftTask { number, attempt, due_unix_ms, body } = task;
        // What cannot be read is run all the same, as if nobody had said how.
        let block = TermsBlock::read(&body).unwrap_or_default();
        // Not longer than was asked, when the clock of the machine was set back.
        let left_ms = u32::try_from(due_unix_ms.saturating_sub(today)).unwrap_or(u32::MAX);
        let delay_ms = left_ms.min(block.delay_ms);
        let terms = TaskTerms { delay_ms, ..task_terms(&block) };
        let body = TaskBody::Heap(body);
        memory.charge_owed(body.charge());
        self.queue.restore(Restored { kept_as: number, attempt, terms, body }, now);
    }

    /// Tells the thread which tasks are over.
    pub(super) fn tell_settled(&mut self) {
        if let Some(keeping) = &self.keeping {
            keeping.keeper.settle(self.queue.take_settled());
        }
    }
}

/// How a task is to be run, as its terms say it.
pub(super) fn task_terms(block: &TermsBlock) -> TaskTerms {
    TaskTerms {
        target: block.slot.map_or(TaskTarget::Any, |slot| TaskTarget::Slot(Slot(slot))),
        priority: Priority::of_code(block.priority).unwrap_or_default(),
        delay_ms: block.delay_ms,
        wants_result: block.wants_result,
    }
}
