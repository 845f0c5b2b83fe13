//! What became of memberships and of messages to groups.

/// How many there were. They balance for themselves ([`Books::check`](crate::brain::Books::check)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounts {
    /// Sessions became members of a group.
    pub joined: u64,
    /// They left one.
    pub left: u64,
    /// They ended as members of one.
    pub ended: u64,
    /// Memberships that there are now.
    pub members: u64,
    /// Sessions wanted to be members and there were too many groups.
    pub refused: u64,
    /// Messages to groups, once for each reactor.
    pub messages: u64,
    /// Members to whom they were to go.
    pub addressed: u64,
    /// They were written or queued.
    pub delivered: u64,
    /// Members missed one because they read too slowly.
    pub skipped: u64,
    /// Members were closed because of that.
    pub closed: u64,
    /// Members had ended before it was their turn.
    pub gone: u64,
}

impl GroupCounts {
    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { joined, left, ended, members, refused, messages, .. } = self;
        [joined, left, ended, members, refused, messages].into_iter().for_each(&mut *visit);
        let Self { addressed, delivered, skipped, closed, gone, .. } = self;
        [addressed, delivered, skipped, closed, gone].into_iter().for_each(visit);
    }

    /// Adds the counters of another thread.
    pub const fn add(&mut self, other: &Self) {
        self.joined += other.joined;
        self.left += other.left;
        self.ended += other.ended;
        self.members += other.members;
        self.refused += other.refused;
        self.messages += other.messages;
        self.addressed += other.addressed;
        self.delivered += other.delivered;
        self.skipped += other.skipped;
        self.closed += other.closed;
        self.gone += other.gone;
    }

    /// The process whose counters these are is dead: its sessions have ended, and nobody gets what
    /// was on its way to them.
    pub const fn end_with_process(&mut self) {
        self.ended = self.ended.saturating_add(self.members);
        self.members = 0;
        let reached = self.delivered + self.skipped + self.closed + self.gone;
        self.gone += self.addressed.saturating_sub(reached);
    }
}
