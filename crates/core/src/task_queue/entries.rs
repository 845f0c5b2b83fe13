//! What one worker was given, by number: what is done is forgotten, also behind a task that takes
//! long.

use std::collections::VecDeque;

use super::task::TaskId;
use crate::Nanos;

/// Position of a task that is not yet written: no worker can have started it.
pub(super) const NOT_WRITTEN: u64 = u64::MAX;
/// So many done tasks may stand behind one that is not done before that one is put aside.
const DONE_MAX: usize = 64;
/// The same; in tests so few that random events come there.
const PUT_ASIDE_BEHIND: usize = if cfg!(test) { 2 } else { DONE_MAX };

/// A task that was given to a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) task: TaskId,
    /// Of its last record, in the ring.
    pub(super) position: u64,
    pub(super) given_at: Nanos,
    /// Its callback is over without it.
    pub(super) is_deferred: bool,
    is_done: bool,
}

/// What was given, the oldest first.
#[derive(Debug)]
pub(super) struct Entries {
    /// Started tasks that take long, with their numbers, put aside so that those behind them can
    /// leave.
    slow: Vec<(u64, Entry)>,
    /// How many of `slow` are done; they leave when they are more than half.
    slow_done: usize,
    /// How many of `slow` are neither done nor known to be deferred.
    slow_running: usize,
    /// The others; done ones between them.
    listed: VecDeque<Entry>,
    /// Number of the first of `listed`.
    first_seq: u64,
    /// How many of `listed` are done.
    done: usize,
    /// Below this position all callbacks are over.
    freed: u64,
    /// How often an entry was looked at.
    #[cfg(test)]
    pub(super) touched: std::cell::Cell<u64>,
}

impl Default for Entries {
    fn default() -> Self {
        Self {
            slow: Vec::new(),
            slow_done: 0,
            slow_running: 0,
            listed: VecDeque::new(),
            first_seq: 1,
            done: 0,
            freed: 0,
            #[cfg(test)]
            touched: std::cell::Cell::new(0),
        }
    }
}

impl Entries {
    /// One more was given; its number here.
    pub(super) fn push(&mut self, task: TaskId, now: Nanos) -> u64 {
        let seq = self.first_seq + self.listed.len() as u64;
        let (position, given_at) = (NOT_WRITTEN, now);
        let (is_deferred, is_done) = (false, false);
        self.listed.push_back(Entry { task, position, given_at, is_deferred, is_done });
        seq
    }

    /// One that is not done.
    pub(super) fn get(&self, seq: u64) -> Option<&Entry> {
        let entry = match seq.checked_sub(self.first_seq) {
            Some(index) => self.listed.get(usize::try_from(index).ok()?),
            None => {
                let index = self.slow.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
                self.slow.get(index).map(|(_, entry)| entry)
            }
        };
        entry.filter(|entry| !entry.is_done)
    }

    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let entry = match seq.checked_sub(self.first_seq) {
            Some(index) => self.listed.get_mut(usize::try_from(index).ok()?),
            None => {
                let index = self.slow.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
                self.slow.get_mut(index).map(|(_, entry)| entry)
            }
        };
        entry.filter(|entry| !entry.is_done)
    }

    /// One is done; what it was.
    pub(super) fn finish(&mut self, seq: u64) -> Option<Entry> {
        let entry = self.get_mut(seq)?;
        entry.is_done = true;
        let finished = *entry;
        if seq >= self.first_seq {
            self.done += 1;
            self.forget_done();
            return Some(finished);
        }
        self.slow_done += 1;
        self.slow_running -= usize::from(!finished.is_deferred);
        if 2 * self.slow_done > self.slow.len() {
            self.slow.retain(|(_, entry)| !entry.is_done);
            self.slow_done = 0;
        }
        Some(finished)
    }

    /// Forgets done ones at the front. One that stays unfinished while many behind it are done was
    /// started long ago (tasks start in order): it is put aside.
    fn forget_done(&mut self) {
        while let Some(front) = self.listed.front().copied()
            && (front.is_done || self.done >= PUT_ASIDE_BEHIND)
        {
            self.listed.pop_front();
            if front.is_done {
                self.done -= 1;
            } else {
                self.slow_running += usize::from(!front.is_deferred);
                self.slow.push((self.first_seq, front));
            }
            self.first_seq += 1;
        }
    }

    /// Takes out the newest if it has this number.
    pub(super) fn take_newest(&mut self, seq: u64) -> Option<Entry> {
        let is_newest = seq + 1 == self.first_seq + self.listed.len() as u64;
        self.listed.pop_back_if(|entry| is_newest && !entry.is_done)
    }

    /// Takes out the newest if it was not started: from this position on nothing is.
    pub(super) fn take_unstarted(&mut self, first: u64) -> Option<Entry> {
        self.listed.pop_back_if(|entry| !entry.is_done && entry.position >= first)
    }

    /// Takes out the newest.
    pub(super) fn take_any(&mut self) -> Option<Entry> {
        while let Some(entry) = self.listed.pop_back() {
            if !entry.is_done {
                return Some(entry);
            }
            self.done -= 1;
        }
        while let Some((_, entry)) = self.slow.pop() {
            if !entry.is_done {
                self.slow_running -= usize::from(!entry.is_deferred);
                return Some(entry);
            }
            self.slow_done -= 1;
        }
        None
    }

    /// The callbacks of all below this position are over: those that are not done were deferred.
    /// Answers how many.
    pub(super) fn defer_below(&mut self, freed: u64) -> u32 {
        let mut deferred = self.defer_slow(freed);
        if freed <= self.freed {
            return deferred;
        }
        let first = self.listed.partition_point(|entry| entry.position < self.freed);
        self.freed = freed;
        for entry in self.listed.range_mut(first..).take_while(|entry| entry.position < freed) {
            if !entry.is_done && !entry.is_deferred {
                entry.is_deferred = true;
                deferred += 1;
            }
        }
        deferred
    }

    /// The same of those that were put aside before it was known that their callbacks are over.
    fn defer_slow(&mut self, freed: u64) -> u32 {
        if self.slow_running == 0 {
            return 0;
        }
        let mut deferred = 0;
        for (_, entry) in &mut self.slow {
            if !entry.is_done && !entry.is_deferred && entry.position < freed {
                entry.is_deferred = true;
                deferred += 1;
            }
        }
        self.slow_running -= deferred as usize;
        deferred
    }

    /// Those that are not started, as its worker says, the oldest first.
    pub(super) fn unstarted(&self, started: u64) -> impl Iterator<Item = &Entry> {
        let first = self.listed.partition_point(|entry| {
            self.touch();
            entry.position < started
        });
        self.listed.range(first..).inspect(|_| self.touch()).filter(|entry| !entry.is_done)
    }

    fn touch(&self) {
        #[cfg(test)]
        self.touched.set(self.touched.get() + 1);
    }

    /// How many are listed, done ones included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slow.len() + self.listed.len()
    }
}
