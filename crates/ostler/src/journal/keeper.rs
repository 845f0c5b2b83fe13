//! The thread that keeps tasks, and the way to it: a reactor never waits for a disk.
//!
//! What comes while a group is written is the next group: the slower the disk, the larger they are.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{LeftTask, NotStored, TaskStore, TaskToKeep};
use crate::sys::{clock, eventfd};

/// What a task takes in the backlog besides its bytes.
const TASK_BYTES: usize = 64;
/// How long the end of the server waits for what is still to be written.
const END_MAX: Duration = Duration::from_secs(10);

/// What became of tasks, in the order in which they were given to the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// All up to this number that had no answer yet.
    pub(crate) last: u64,
    pub(crate) is_kept: bool,
}

/// The way to the thread.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    next_number: u64,
    backlog_max: usize,
}

struct Shared {
    inbox: Mutex<Inbox>,
    /// For the thread: there is something.
    came: Condvar,
    /// For the end of the server: the thread has done everything.
    ended: Condvar,
    answers: Mutex<Vec<Answer>>,
    /// Tasks that others have left.
    brought: Mutex<Vec<LeftTask>>,
    /// How many of them the server can take.
    room: AtomicUsize,
    /// For the reactor: there are answers.
    bell: OwnedFd,
}

#[derive(Default)]
struct Inbox {
    tasks: Vec<TaskToKeep>,
    settled: Vec<u64>,
    /// Of tasks that have no answer yet.
    bytes: usize,
    is_over: bool,
    has_ended: bool,
}

impl Keeper {
    /// Starts the thread. Tasks have numbers above `last_number`.
    pub(crate) fn start(
        store: Box<dyn TaskStore>,
        last_number: u64,
        backlog_max: usize,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::new()?);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("tasks-journal".to_owned());
        thread.spawn(move || run(&of_thread, store))?;
        Ok(Self { shared, next_number: last_number + 1, backlog_max })
    }

    /// What is to be watched: it rings when there are answers.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }

    /// Whether there is room for one more task of so many bytes.
    pub(crate) fn has_room(&self, len: usize) -> bool {
        let held = self.shared.inbox().bytes;
        held == 0 || held.saturating_add(len) <= self.backlog_max
    }

    /// Gives a task to be kept; answers with its number.
    pub(crate) fn keep(&mut self, due_unix_ms: u64, body: Vec<u8>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let mut inbox = self.shared.inbox();
        inbox.bytes += body.len() + TASK_BYTES;
        inbox.tasks.push(TaskToKeep { number, due_unix_ms, body });
        drop(inbox);
        self.shared.came.notify_one();
        number
    }

    /// Kept tasks are over.
    pub(crate) fn settle(&self, mut settled: Vec<u64>) {
        if settled.is_empty() {
            return;
        }
        self.shared.inbox().settled.append(&mut settled);
        self.shared.came.notify_one();
    }

    /// What became of tasks since this was asked last.
    pub(crate) fn take_answers(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.shared.answers())
    }

    /// So many tasks of others the server could take now.
    pub(crate) fn set_room(&self, tasks: usize) {
        self.shared.room.store(tasks, Ordering::Relaxed);
    }

    /// Tasks that others have left, and that are this server's now.
    pub(crate) fn take_brought(&self) -> Vec<LeftTask> {
        std::mem::take(&mut *self.shared.brought())
    }

    /// The server ends: waits until everything is written, if that does not take too long.
    pub(crate) fn end(&self) {
        self.shared.inbox().is_over = true;
        self.shared.came.notify_one();
        let inbox = self.shared.inbox();
        let waited = self.shared.ended.wait_timeout_while(inbox, END_MAX, |it| !it.has_ended);
        let (inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !inbox.has_ended {
            tracing::warn!("the disk of task_journal does not answer: ends without it");
        }
    }
}

/// A server that does not even start leaves its file to the next.
impl Drop for Keeper {
    fn drop(&mut self) {
        let is_over = self.shared.inbox().is_over;
        if !is_over {
            self.end();
        }
    }
}

impl Shared {
    fn new() -> io::Result<Self> {
        Ok(Self {
            inbox: Mutex::default(),
            came: Condvar::new(),
            ended: Condvar::new(),
            answers: Mutex::default(),
            brought: Mutex::default(),
            room: AtomicUsize::new(0),
            bell: eventfd::create()?,
        })
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn brought(&self) -> MutexGuard<'_, Vec<LeftTask>> {
        self.brought.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is due, and hands on what others have left.
    fn tend(&self, store: &mut dyn TaskStore) -> Result<(), NotStored> {
        let waiting = self.brought().len();
        let room = self.room.load(Ordering::Relaxed).saturating_sub(waiting);
        let mut brought = store.tend(room)?;
        if !brought.is_empty() {
            self.brought().append(&mut brought);
            eventfd::ring_own(&self.bell);
        }
        Ok(())
    }

    /// Waits until there is something to do; false when that was all.
    fn wait(&self, store: &dyn TaskStore) -> Option<(Vec<TaskToKeep>, Vec<u64>)> {
        let mut inbox = self.inbox();
        loop {
            if !inbox.tasks.is_empty() || !inbox.settled.is_empty() {
                let Inbox { tasks, settled, .. } = &mut *inbox;
                return Some((std::mem::take(tasks), std::mem::take(settled)));
            }
            if inbox.is_over {
                return None;
            }
            inbox = match store.due() {
                None => self.came.wait(inbox).unwrap_or_else(PoisonError::into_inner),
                Some(due) => {
                    let left = due.saturating_sub(clock::monotonic_ms());
                    if left == 0 {
                        return Some((Vec::new(), Vec::new()));
                    }
                    let waited = self.came.wait_timeout(inbox, Duration::from_millis(left));
                    let (inbox, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        return Some((Vec::new(), Vec::new()));
                    }
                    inbox
                }
            };
        }
    }
}

/// The life of the thread.
fn run(shared: &Shared, mut store: Box<dyn TaskStore>) {
    let mut is_failing = false;
    while let Some((tasks, settled)) = shared.wait(&*store) {
        take_turn(shared, &mut *store, (&tasks, &settled), &mut is_failing);
    }
    store.close();
    // Whoever waits for the end may open the file at once.
    drop(store);
    shared.inbox().has_ended = true;
    shared.ended.notify_all();
}

/// Writes a group; without one, does what is due.
fn take_turn(
    shared: &Shared,
    store: &mut dyn TaskStore,
    (tasks, settled): (&[TaskToKeep], &[u64]),
    is_failing: &mut bool,
) {
    if tasks.is_empty() && settled.is_empty() {
        return tell(&shared.tend(store), is_failing);
    }
    let result = store.commit(tasks, settled);
    tell(&result, is_failing);
    if let Some(last) = tasks.last() {
        shared.answers().push(Answer { last: last.number, is_kept: result.is_ok() });
        eventfd::ring_own(&shared.bell);
        let bytes: usize = tasks.iter().map(|task| task.body.len() + TASK_BYTES).sum();
        shared.inbox().bytes -= bytes;
    }
    if store.due().is_some_and(|due| due <= clock::monotonic_ms()) {
        // Also when there is no pause between groups, whatever they consist of: a server that only
        // settles has to be heard of, and what it wrote has to be synced in time.
        tell(&shared.tend(store), is_failing);
    }
}

/// A line when it begins to fail, and one when it goes on.
fn tell(result: &Result<(), NotStored>, is_failing: &mut bool) {
    match result {
        Err(error) if !*is_failing => {
            tracing::error!(%error, "tasks cannot be written to task_journal: they are refused");
            *is_failing = true;
        }
        Ok(()) if *is_failing => {
            tracing::info!("tasks are written to task_journal again");
            *is_failing = false;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Stored;

    /// Always has something to do.
    #[derive(Default)]
    struct Busy {
        tended: usize,
    }

    impl TaskStore for Busy {
        fn commit(&mut self, _: &[TaskToKeep], _: &[u64]) -> Stored<()> {
            Ok(())
        }

        fn due(&self) -> Option<ostler_core::Millis> {
            Some(0)
        }

        fn tend(&mut self, _: usize) -> Stored<Vec<LeftTask>> {
            self.tended += 1;
            Ok(Vec::new())
        }

        fn close(&mut self) {}
    }

    /// Others would take a server for dead of which they hear nothing.
    #[test]
    fn what_is_due_is_done_between_groups_of_any_kind() {
        let shared = Shared::new().unwrap();
        shared.inbox().bytes = TASK_BYTES;
        let (mut store, mut is_failing) = (Busy::default(), false);
        let tasks = [TaskToKeep { number: 1, due_unix_ms: 0, body: Vec::new() }];
        take_turn(&shared, &mut store, (&tasks, &[]), &mut is_failing);
        assert_eq!(store.tended, 1);
        take_turn(&shared, &mut store, (&[], &[1]), &mut is_failing);
        assert_eq!(store.tended, 2, "it only settles");
        take_turn(&shared, &mut store, (&[], &[]), &mut is_failing);
        assert_eq!(store.tended, 3);
        assert_eq!(shared.answers().as_slice(), [Answer { last: 1, is_kept: true }]);
    }
}
