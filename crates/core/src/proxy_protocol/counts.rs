//! What became of the connections of which a header was awaited.

use super::{BAD_HEADERS, BadHeader};

/// How they ended, of one reactor or of all. Each that was awaited ends in one of these ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderCounts {
    /// Connections of ports whose clients come by proxies.
    pub awaited: u64,
    /// There was a header: the connection went on.
    pub read: u64,
    /// It came from none of the proxies that are trusted, and was not read.
    pub untrusted: u64,
    /// What came was no header that can be used, by [`BadHeader`].
    pub bad: [u64; BAD_HEADERS],
    /// It ended before there was one.
    pub left: u64,
    /// There was none in time.
    pub timed_out: u64,
    /// Too many were awaited at the same time, and this one had waited the longest.
    pub crowded_out: u64,
    /// The server ended first.
    pub ended: u64,
}

impl HeaderCounts {
    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { awaited, read, untrusted, bad, left, timed_out, crowded_out, ended } = self;
        let single = [awaited, read, untrusted, left, timed_out, crowded_out, ended];
        single.into_iter().chain(bad).for_each(visit);
    }

    /// Something came that cannot be used.
    pub fn count_bad(&mut self, reason: BadHeader) {
        if let Some(count) = self.bad.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// Those that were refused for this reason.
    #[must_use]
    pub fn bad(&self, reason: BadHeader) -> u64 {
        self.bad.get(reason as usize).copied().unwrap_or(0)
    }

    /// Adds another reactor's counters.
    pub fn add(&mut self, other: &Self) {
        self.awaited += other.awaited;
        self.read += other.read;
        self.untrusted += other.untrusted;
        self.left += other.left;
        self.timed_out += other.timed_out;
        self.crowded_out += other.crowded_out;
        self.ended += other.ended;
        for (to, from) in self.bad.iter_mut().zip(other.bad) {
            *to += from;
        }
    }

    /// Those that are still awaited.
    #[must_use]
    pub fn open(&self) -> u64 {
        let bad: u64 = self.bad.iter().sum();
        let lost = self.untrusted + bad + self.left + self.timed_out + self.crowded_out;
        self.awaited.saturating_sub(self.read + lost + self.ended)
    }
}
