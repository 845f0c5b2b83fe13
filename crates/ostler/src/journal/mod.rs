//! Tasks that outlive the server: where they are kept, and the thread that does it.
//!
//! **Responsible for:** the file of `task_journal` ([`JournalFile`]): opening it, or saying what is
//! wrong with it, and writing groups of tasks; or the stream of a Redis in its place; the thread
//! that does so beside the reactors ([`Keeper`]). What stands in the file is decided by
//! [`ostler_core::task_journal`].
//!
//! **Must never:** let a reactor wait for a disk, say that a task is kept that is not, or end the
//! server because of a disk. (`docs/decisions/51-tasks-are-kept-in-a-log.md`)
//!
//! `file` (the file while the server runs), `opening` (at the start), `reading` (from a disk that
//! cannot read all of it), `stream` (that of a Redis, with the feature `redis`), `keeper` (the
//! thread and the way to it).

mod file;
mod keeper;
mod opening;
mod reading;
#[cfg(feature = "redis")]
mod stream;
#[cfg(test)]
mod tests;

use ostler_core::Millis;

use crate::error::Result;
use crate::options::Options;

use file::JournalFile;
pub(crate) use keeper::{Answer, Keeper};

/// A task that is to be kept.
#[derive(Debug)]
pub(crate) struct TaskToKeep {
    pub(crate) number: u64,
    /// Milliseconds since 1970; 0: at once.
    pub(crate) due_unix_ms: u64,
    pub(crate) body: Vec<u8>,
}

/// A task that an earlier server has left, or another one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftTask {
    pub(crate) number: u64,
    /// How often it may have been started before, at least.
    pub(crate) attempt: u16,
    pub(crate) due_unix_ms: u64,
    pub(crate) body: Vec<u8>,
}

/// Why a group is not kept, as the log says it.
pub(crate) type NotStored = String;

/// What was asked of a store, or why not.
pub(crate) type Stored<T> = std::result::Result<T, NotStored>;

/// Where tasks are kept. One thread calls it; it may take its time.
pub(crate) trait TaskStore: Send {
    /// Keeps all of these tasks, or none, and forgets those that are settled; also those of a group
    /// before that failed.
    fn commit(&mut self, tasks: &[TaskToKeep], settled: &[u64]) -> Stored<()>;

    /// When [`TaskStore::tend`] is to be called, on the monotonic clock.
    fn due(&self) -> Option<Millis>;

    /// Does what is due besides groups. Answers with tasks that others have left meanwhile, at most
    /// `room`: they are this server's from now on, by numbers that none of its own has.
    fn tend(&mut self, room: usize) -> Stored<Vec<LeftTask>>;

    /// The server ends in order: nothing follows.
    fn close(&mut self);
}

/// Whether tasks could be kept where the options say, as far as files tell.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub(crate) fn check(options: &Options) -> Result<()> {
    if options.task_journal.is_empty() || options.tasks_are_shared() {
        return Ok(());
    }
    JournalFile::check(options)
}

/// Where the options say that tasks are kept, and what is left there at the start, by number.
pub(crate) fn open(options: &Options) -> Result<(Box<dyn TaskStore>, Vec<LeftTask>)> {
    #[cfg(feature = "redis")]
    if options.tasks_are_shared() {
        // What others left comes by and by.
        return Ok((Box::new(stream::RedisStore::open(options)?), Vec::new()));
    }
    let (file, left) = JournalFile::open(options)?;
    Ok((Box::new(file), left))
}
