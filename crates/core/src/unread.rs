//! Whose the datagrams are that nobody has read, and who may be sent one more.
//!
//! What peers of a unix socket have not read counts for the buffer of who sent it, and the kernel
//! tells only how much that is in all. When it is much, nobody may take a large part of what is
//! left who is not known to read. Whether a peer has read everything is looked up, now and then
//! ([`Unread::looked`]); between two looks an account says how much it may hold at most.
//!
//! A peer that reads is never limited for long: it is looked up when it is refused, and one that
//! has read everything begins anew.

use std::collections::HashMap;
use std::hash::Hash;

/// So much of the buffer is anybody's: a quarter.
const FREE_PART: u64 = 4;
/// So much of what is left may be one peer's, or all peers' together since the last look: a
/// sixteenth.
const SHARE: u64 = 16;
/// Most accounts. More peers than that hold hardly anything each; then all begin anew.
pub const ACCOUNTS_MAX: usize = 4_096;

/// The buffer that all peers share, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// What nobody has read.
    pub used: u64,
    /// Of so many.
    pub size: u64,
}

impl Buffer {
    const fn left(self) -> u64 {
        self.size.saturating_sub(self.used)
    }

    /// Up to where it may grow.
    const fn mark(self) -> u64 {
        self.used.saturating_add(self.left() / SHARE)
    }

    const fn is_anybodys(self) -> bool {
        self.used <= self.size / FREE_PART
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// What was sent since it was known to have read everything.
    held: u64,
    /// It had not, at the last look.
    is_behind: bool,
    /// A datagram without bytes is among what was sent: it hides what is behind it.
    hides: bool,
}

/// The accounts of the peers of one socket.
#[derive(Debug)]
pub struct Unread<Peer> {
    accounts: HashMap<Peer, Account>,
    /// Up to here what is unread may grow before those who were not behind are looked up.
    mark: u64,
}

impl<Peer> Default for Unread<Peer> {
    fn default() -> Self {
        Self { accounts: HashMap::new(), mark: 0 }
    }
}

impl<Peer: Eq + Hash + Copy> Unread<Peer> {
    /// Whether a peer may be sent one more.
    #[must_use]
    pub fn admits(&self, peer: &Peer, buffer: Buffer) -> bool {
        let Some(account) = self.accounts.get(peer) else { return true };
        let is_little = account.held < buffer.left() / SHARE;
        let is_trusted = !account.is_behind && buffer.used <= self.mark;
        buffer.is_anybodys() || is_little || is_trusted
    }

    /// A peer is sent a datagram that costs so much of the buffer.
    pub fn sent(&mut self, peer: Peer, cost: u64, is_empty: bool) {
        if self.accounts.len() >= ACCOUNTS_MAX && !self.accounts.contains_key(&peer) {
            self.accounts.clear();
        }
        let account = self.accounts.entry(peer).or_default();
        account.held = account.held.saturating_add(cost);
        account.hides |= is_empty;
    }

    /// It was not sent after all.
    pub fn not_sent(&mut self, peer: &Peer, cost: u64) {
        let Some(account) = self.accounts.get_mut(peer) else { return };
        account.held = account.held.saturating_sub(cost);
        if account.held == 0 {
            self.accounts.remove(peer);
        }
    }

    /// The buffer was looked at: nobody is behind when it is empty, and what it grows by counts
    /// from the least that was in it.
    pub fn note(&mut self, buffer: Buffer) {
        if buffer.used == 0 {
            self.accounts.clear();
        }
        self.mark = self.mark.min(buffer.mark());
    }

    /// The peers were looked at: `is_behind` says whether the first datagram that one has not read
    /// has bytes.
    pub fn looked(&mut self, buffer: Buffer, is_behind: impl Fn(&Peer) -> bool) {
        self.accounts.retain(|peer, account| {
            account.is_behind = account.hides || is_behind(peer);
            account.is_behind
        });
        self.mark = buffer.mark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// What a small datagram costs.
    const COST: u64 = 768;

    /// A socket and its peers, as the kernel has them.
    struct Kernel {
        size: u64,
        unread: BTreeMap<u32, u64>,
        accounts: Unread<u32>,
        looks: u32,
    }

    impl Kernel {
        fn new(datagrams: u64) -> Self {
            let (unread, accounts) = (BTreeMap::new(), Unread::default());
            Self { size: datagrams * COST, unread, accounts, looks: 0 }
        }

        fn buffer(&self) -> Buffer {
            Buffer { used: self.unread.values().sum::<u64>() * COST, size: self.size }
        }

        /// Sends one, if it may; whoever is refused is looked up, if `looks`.
        fn send(&mut self, peer: u32, looks: bool) -> bool {
            let buffer = self.buffer();
            self.accounts.note(buffer);
            if !self.accounts.admits(&peer, buffer) && looks {
                self.looks += 1;
                let unread = &self.unread;
                self.accounts.looked(buffer, |peer| unread.get(peer).is_some_and(|held| *held > 0));
            }
            if !self.accounts.admits(&peer, buffer) || buffer.used >= buffer.size {
                return false;
            }
            self.accounts.sent(peer, COST, false);
            *self.unread.entry(peer).or_default() += 1;
            true
        }

        fn read_all(&mut self, peer: u32) {
            self.unread.remove(&peer);
        }
    }

    #[test]
    fn one_that_never_reads_leaves_room_for_others() {
        let mut kernel = Kernel::new(554);
        let sent = (0..10_000).filter(|_| kernel.send(1, true)).count();
        assert!((139..200).contains(&sent), "{sent}");
        for peer in 2..40 {
            let sent = (0..100).filter(|_| kernel.send(peer, true)).count();
            assert!(sent > 0, "{peer} is answered");
        }
        assert!(kernel.send(1_000, true));
    }

    #[test]
    fn who_reads_is_not_limited_beside_those_who_do_not() {
        let (mut kernel, mut refused) = (Kernel::new(554), 0);
        for round in 0..5_000 {
            let _ = kernel.send(1, true);
            let _ = kernel.send(2, true);
            assert!(kernel.send(3, true), "round {round}");
            kernel.read_all(3);
            // This one takes its time, so that it may be behind when it is looked at.
            refused += u32::from(!kernel.send(4, true));
            if round % 5 == 0 {
                kernel.read_all(4);
            }
        }
        assert!(refused < 10, "{refused}");
        assert!(kernel.send(1_000, true));
    }

    #[test]
    fn between_two_looks_nobody_is_limited_who_was_not_behind_until_the_buffer_fills() {
        let mut kernel = Kernel::new(554);
        while kernel.send(1, true) {}
        assert!(kernel.send(2, true));
        kernel.read_all(2);
        for _ in 0..1_000 {
            assert!(kernel.send(2, false), "it has read everything");
            kernel.read_all(2);
        }
        // And if it does not read any more, not for long.
        let sent = (0..1_000).filter(|_| kernel.send(2, false)).count();
        assert!(sent < 60, "{sent}");
    }

    #[test]
    fn what_was_full_once_lets_nobody_fill_it_again_unseen() {
        let mut kernel = Kernel::new(554);
        for peer in 0..300 {
            let _ = kernel.send(peer, true);
            let _ = kernel.send(peer, true);
        }
        let used = kernel.buffer().used;
        kernel.accounts.looked(kernel.buffer(), |_| true);
        for peer in 0..200 {
            kernel.read_all(peer);
        }
        let sent = (0..1_000).filter(|_| kernel.send(1_000, false)).count() as u64;
        assert!(kernel.buffer().used < used && sent < 60, "{sent}");
    }

    #[test]
    fn what_is_empty_hides_nothing() {
        let mut kernel = Kernel::new(554);
        kernel.accounts.sent(1, COST, true);
        *kernel.unread.entry(1).or_default() += 1;
        while kernel.send(1, false) {}
        kernel.accounts.looked(kernel.buffer(), |_| false);
        assert!(!kernel.accounts.admits(&1, kernel.buffer()), "it may be behind");
        kernel.read_all(1);
        kernel.accounts.note(kernel.buffer());
        assert!(kernel.send(1, false), "nobody is");
    }

    #[test]
    fn what_was_not_sent_counts_for_nobody_and_accounts_are_few() {
        let mut accounts = Unread::default();
        let full = Buffer { used: 990, size: 1_000 };
        accounts.sent(1, 500, false);
        assert!(!accounts.admits(&1, full));
        accounts.not_sent(&1, 500);
        accounts.not_sent(&2, 500);
        assert!(accounts.admits(&1, full) && accounts.accounts.is_empty());
        for peer in 0..10 * ACCOUNTS_MAX as u32 {
            accounts.sent(peer, 1, false);
            assert!(accounts.accounts.len() <= ACCOUNTS_MAX);
        }
    }
}
