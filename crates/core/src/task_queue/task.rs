//! What a task is.

use crate::Nanos;
use crate::ids::{LaneSlot, ProcessKey, Slot};

/// A task in its queue. Its place is used again when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId(pub(super) u32);

/// Who has asked for a task, and what the asker calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The process.
    pub sender: ProcessKey,
    /// Its lane.
    pub lane: LaneSlot,
    /// Its number for the task.
    pub number: u64,
}

/// Which tasks come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Before all others, except that each eighth task is of those that wait longest below.
    High,
    /// In the order in which they were asked.
    #[default]
    Normal,
    /// When nothing else waits, except that some are always let through.
    Low,
}

impl Priority {
    /// All, the first first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// Its number, as records have it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The priority with this number, if there is one.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.code() == code)
    }
}

/// Which worker runs a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TaskTarget {
    /// The one that has least to do.
    #[default]
    Any,
    /// That of this slot, also when it has to begin first.
    Slot(Slot),
}

/// How a task is to be run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskTerms {
    /// By whom.
    pub target: TaskTarget,
    /// Before which others.
    pub priority: Priority,
    /// Not before so many milliseconds have passed.
    pub delay_ms: u32,
    /// The asker wants its results, and to know its end.
    pub wants_result: bool,
}

/// What becomes of a task whose worker ends before it has acknowledged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskCrashPolicy {
    /// Another worker runs it, until it has been started so many times; then it fails.
    Redeliver(u16),
    /// It fails: its asker is told.
    Fail,
    /// It is dropped and counted: its asker waits no longer, nobody is called back.
    Drop,
}

/// Why a task is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskRefusal {
    /// There are as many as there may be.
    QueueFull,
    /// There is no task worker in the slot that it is for.
    NoSuchWorker,
    /// There is no memory for its payload.
    NoMemory,
    /// It cannot be written to where tasks are kept.
    NotKept,
    /// More is to be written there than may wait for that.
    KeptTooSlowly,
}

/// How a task ended, as its asker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// Its worker has acknowledged it.
    Finished,
    /// It was not taken in.
    Refused(TaskRefusal),
    /// Its worker ended, and by `task_crash_policy` it is not run again.
    WorkerDied,
    /// A result of it found no room.
    ResultLost,
    /// The server ends.
    ServerEnds,
    /// It ran for too long, and its worker was ended for that.
    PastDeadline,
    /// It was taken in, which is all that its asker wants to know.
    TakenIn,
}

impl TaskEnd {
    const ALL: [Self; 11] = [
        Self::Finished,
        Self::Refused(TaskRefusal::QueueFull),
        Self::Refused(TaskRefusal::NoSuchWorker),
        Self::Refused(TaskRefusal::NoMemory),
        Self::WorkerDied,
        Self::ResultLost,
        Self::ServerEnds,
        Self::PastDeadline,
        Self::TakenIn,
        Self::Refused(TaskRefusal::NotKept),
        Self::Refused(TaskRefusal::KeptTooSlowly),
    ];

    /// Its number, as records have it.
    #[must_use]
    pub fn code(self) -> u32 {
        let place = Self::ALL.iter().position(|end| *end == self);
        place.and_then(|place| u32::try_from(place).ok()).unwrap_or(u32::MAX)
    }

    /// The end with this number, if there is one.
    #[must_use]
    pub fn of_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }
}

/// A task that is not over.
#[derive(Debug)]
pub(super) struct Task<B> {
    /// Older tasks have smaller ones.
    pub(super) age: u64,
    pub(super) asked: Asked,
    pub(super) terms: TaskTerms,
    pub(super) body: B,
    /// When it was taken in.
    pub(super) asked_at: Nanos,
    /// How often a worker has started it that has ended since.
    pub(super) attempt: u16,
    /// What it causes was seen before it was finished.
    pub(super) is_exposed: bool,
    /// The number by which it is kept, if it outlives the server.
    pub(super) kept_as: Option<u64>,
    /// The next in its list, when it waits.
    pub(super) next: Option<TaskId>,
}

impl<B> Task<B> {
    pub(super) const fn new(
        age: u64,
        asked: Asked,
        terms: TaskTerms,
        body: B,
        asked_at: Nanos,
    ) -> Self {
        let (attempt, is_exposed, kept_as) = (0, false, None);
        Self { age, asked, terms, body, asked_at, attempt, is_exposed, kept_as, next: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_priorities_have_numbers_of_their_own() {
        for end in TaskEnd::ALL {
            assert_eq!(TaskEnd::of_code(end.code()), Some(end));
        }
        assert_eq!(TaskEnd::of_code(11), None);
        for priority in Priority::ALL {
            assert_eq!(Priority::of_code(priority.code()), Some(priority));
        }
        assert_eq!(Priority::of_code(3), None);
    }
}
