//! What became of the messages of a server.

/// How many there were. Those that wait or were not taken yet are what is left of `sent`: nobody
/// counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// They were taken in.
    pub sent: u64,
    /// Their receivers have begun to handle them.
    pub delivered: u64,
    /// Their receivers ended before that.
    pub ended: u64,
    /// They were left when the server ended.
    pub left: u64,
    /// They were not taken in: no such process runs.
    pub refused_not_running: u64,
    /// They were not: too much waits for the receiver, or memory is lacking.
    pub refused_full: u64,
    /// Senders that were to be told of a failure were gone, or had no room.
    pub unheard: u64,
}

impl MessageCounts {
    /// Messages that wait, or that their receivers have not begun to handle.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.sent.saturating_sub(self.delivered + self.ended + self.left)
    }

    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { sent, delivered, ended, left, refused_not_running, refused_full, unheard } =
            self;
        [sent, delivered, ended, left].into_iter().for_each(&mut *visit);
        [refused_not_running, refused_full, unheard].into_iter().for_each(visit);
    }

    /// Adds the counters of another thread.
    pub const fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.ended += other.ended;
        self.left += other.left;
        self.refused_not_running += other.refused_not_running;
        self.refused_full += other.refused_full;
        self.unheard += other.unheard;
    }
}
