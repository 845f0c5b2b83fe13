//! The order of the tasks that wait: by priority, and within one by age; for whoever idles, or for
//! one worker. Lists run through the tasks themselves: waiting takes no memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slab::Slab;
use super::task::{Priority, Task, TaskId, TaskTarget};
use crate::Nanos;
use crate::ids::Slot;

/// After so many tasks in a row that came before others that wait, one of those has its turn.
const ROW_MAX: u32 = 7;

#[derive(Clone, Copy, Debug, Default)]
struct List {
    first: Option<TaskId>,
    last: Option<TaskId>,
}

/// A list for each priority.
type Lists = [List; Priority::ALL.len()];

#[derive(Debug)]
pub(super) struct Waiting {
    for_any: Lists,
    for_slot: Vec<Lists>,
    /// Those that wait for their time.
    delayed: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    /// Tasks that wait for nothing but a worker.
    ready: usize,
    /// Tasks in a row that came before others.
    row: u32,
}

impl Waiting {
    pub(super) fn new(slots: u16) -> Self {
        Self {
            for_any: Lists::default(),
            for_slot: vec![Lists::default(); usize::from(slots)],
            delayed: BinaryHeap::new(),
            ready: 0,
            row: 0,
        }
    }

    /// Whether none waits for a worker.
    pub(super) const fn is_empty(&self) -> bool {
        self.ready == 0
    }

    /// Whether one waits that whoever idles can run.
    pub(super) fn has_for_any(&self) -> bool {
        has_some(&self.for_any)
    }

    /// Whether one waits that the worker of this slot can run.
    pub(super) fn has_for(&self, slot: Slot) -> bool {
        self.has_for_any() || self.for_slot.get(usize::from(slot.0)).is_some_and(has_some)
    }

    fn list(&mut self, target: TaskTarget, priority: Priority) -> Option<&mut List> {
        let lists = match target {
            TaskTarget::Any => &mut self.for_any,
            TaskTarget::Slot(slot) => self.for_slot.get_mut(usize::from(slot.0))?,
        };
        lists.get_mut(usize::from(priority.code()))
    }

    /// Behind all others of its priority.
    pub(super) fn push_back<B>(&mut self, tasks: &mut Slab<Task<B>>, id: TaskId) {
        let Some(terms) = tasks.get(id).map(|task| task.terms) else { return };
        let Some(list) = self.list(terms.target, terms.priority) else { return };
        match list.last.replace(id) {
            None => list.first = Some(id),
            Some(last) => {
                if let Some(last) = tasks.get_mut(last) {
                    last.next = Some(id);
                }
            }
        }
        self.ready += 1;
    }

    /// Before all others of its priority: it had its turn already.
    pub(super) fn push_front<B>(&mut self, tasks: &mut Slab<Task<B>>, id: TaskId) {
        let Some(terms) = tasks.get(id).map(|task| task.terms) else { return };
        let Some(list) = self.list(terms.target, terms.priority) else { return };
        let next = list.first.replace(id);
        if next.is_none() {
            list.last = Some(id);
        }
        if let Some(task) = tasks.get_mut(id) {
            task.next = next;
        }
        self.ready += 1;
    }

    /// It waits for its time.
    pub(super) fn delay(&mut self, due: Nanos, age: u64, id: TaskId) {
        self.delayed.push(Reverse((due, age, id.0)));
    }

    /// When the first of those is due.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.delayed.peek().map(|Reverse((due, ..))| *due)
    }

    /// Those whose time has come wait for a worker from now on.
    pub(super) fn release_due<B>(&mut self, tasks: &mut Slab<Task<B>>, now: Nanos) {
        while self.due().is_some_and(|due| due <= now) {
            if let Some(Reverse((_, _, id))) = self.delayed.pop() {
                self.push_back(tasks, TaskId(id));
            }
        }
    }

    /// The task that the worker of this slot runs next.
    pub(super) fn pop<B>(&mut self, tasks: &mut Slab<Task<B>>, slot: Slot) -> Option<TaskId> {
        let mut found = Priority::ALL.into_iter().filter_map(|priority| {
            let mine = self.first(TaskTarget::Slot(slot), priority);
            let anybodys = self.first(TaskTarget::Any, priority);
            let age = |id: &TaskId| tasks.get(*id).map_or(u64::MAX, |task| task.age);
            [mine, anybodys].into_iter().flatten().min_by_key(age)
        });
        let first = found.next()?;
        let below = found.next();
        drop(found);
        let chosen = match below {
            None => first,
            Some(below) if self.row >= ROW_MAX => {
                self.row = 0;
                below
            }
            Some(_) => {
                self.row += 1;
                first
            }
        };
        self.unlink(tasks, chosen);
        Some(chosen)
    }

    fn first(&self, target: TaskTarget, priority: Priority) -> Option<TaskId> {
        let lists = match target {
            TaskTarget::Any => Some(&self.for_any),
            TaskTarget::Slot(slot) => self.for_slot.get(usize::from(slot.0)),
        };
        lists?.get(usize::from(priority.code()))?.first
    }

    /// Takes the first of a list out of it.
    fn unlink<B>(&mut self, tasks: &mut Slab<Task<B>>, id: TaskId) {
        let Some(task) = tasks.get_mut(id) else { return };
        let (terms, next) = (task.terms, task.next.take());
        let Some(list) = self.list(terms.target, terms.priority) else { return };
        list.first = next;
        if next.is_none() {
            list.last = None;
        }
        self.ready -= 1;
    }
}

fn has_some(lists: &Lists) -> bool {
    lists.iter().any(|list| list.first.is_some())
}
