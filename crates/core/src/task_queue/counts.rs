//! What became of the tasks of a server.

/// How many there were. Those that wait or are in hand are what is left of `asked`: nobody counts
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// They were taken in.
    pub asked: u64,
    /// They were not: too many waited, or there was no such worker.
    pub refused: u64,
    /// Those of `refused` that could not be kept.
    pub unkept: u64,
    /// Those of `asked` that an earlier server had left.
    pub restored: u64,
    /// Their workers have acknowledged them.
    pub finished: u64,
    /// Their workers ended, and their askers were to be told.
    pub failed: u64,
    /// Their workers ended, and nobody was called back.
    pub dropped: u64,
    /// They were left when the server ended.
    pub left: u64,
    /// How often one was run again because its worker had ended.
    pub redelivered: u64,
    /// Results that workers have sent.
    pub results: u64,
    /// Results and ends whose asker was gone, or had no room.
    pub unheard: u64,
}

impl TaskCounts {
    /// Tasks that are not over.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.asked.saturating_sub(self.finished + self.failed + self.dropped + self.left)
    }

    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { asked, refused, finished, failed, dropped, .. } = self;
        [asked, refused, finished, failed, dropped].into_iter().for_each(&mut *visit);
        let Self { left, redelivered, results, unheard, unkept, restored, .. } = self;
        [left, redelivered, results, unheard, unkept, restored].into_iter().for_each(visit);
    }

    /// Adds the counters of another thread.
    pub const fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.refused += other.refused;
        self.unkept += other.unkept;
        self.restored += other.restored;
        self.finished += other.finished;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.left += other.left;
        self.redelivered += other.redelivered;
        self.results += other.results;
        self.unheard += other.unheard;
    }
}
