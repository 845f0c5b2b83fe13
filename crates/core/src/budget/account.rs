//! The shared counter and each reactor's account: leases of chunks from one atomic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes that a reactor leases at once, so that the shared counter is touched rarely.
const CHUNK: u64 = 256 * 1024;

/// The budget of the whole master.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    leased: AtomicU64,
    /// Memory is lacking somewhere: nobody takes more that can wait, nobody keeps a lease that is
    /// not used.
    short: AtomicBool,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, leased: AtomicU64::new(0), short: AtomicBool::new(false) })
    }

    /// Bytes that may be leased.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes leased by all reactors.
    #[must_use]
    pub fn leased(&self) -> u64 {
        self.leased.load(Ordering::Relaxed)
    }

    /// Whether less than an eighth is left: time to refuse what can be refused.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.leased() >= self.limit - self.limit / 8
    }

    /// Bytes that were taken beyond the limit, because they could not be refused.
    #[must_use]
    pub fn excess(&self) -> u64 {
        self.leased().saturating_sub(self.limit)
    }

    /// Whether at least a sixteenth is free: a shortage ends. More than the first free byte, so
    /// that the next one does not begin at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.leased() <= self.limit - self.limit / 16
    }

    /// Whether memory is lacking.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// Says whether memory is lacking.
    pub fn set_short(&self, short: bool) {
        self.short.store(short, Ordering::Relaxed);
    }

    fn lease(&self, bytes: u64) -> bool {
        self.leased
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |leased| {
                leased.checked_add(bytes).filter(|total| *total <= self.limit)
            })
            .is_ok()
    }

    fn lease_beyond(&self, bytes: u64) {
        self.leased.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: u64) {
        self.leased.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// One reactor's part of the budget. What it holds is given back on drop.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    held: u64,
    used: u64,
}

impl Account {
    /// An empty account.
    #[must_use]
    pub const fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0, used: 0 }
    }

    /// Charges `bytes` for something that can wait; false (and nothing charged) when the budget has
    /// no room for it.
    #[must_use]
    pub fn charge(&mut self, bytes: u64) -> bool {
        let needed = (self.used + bytes).saturating_sub(self.held);
        if needed > 0 && (self.budget.is_short() || !self.lease(needed)) {
            return false;
        }
        self.used += bytes;
        true
    }

    /// Charges `bytes` that are there already and cannot be refused. They may exceed the limit
    /// ([`Budget::excess`]): then somebody has to pay.
    pub fn charge_owed(&mut self, bytes: u64) {
        let needed = (self.used + bytes).saturating_sub(self.held);
        if needed > 0 && !self.lease(needed) {
            self.budget.lease_beyond(needed);
            self.held += needed;
        }
        self.used += bytes;
    }

    fn lease(&mut self, needed: u64) -> bool {
        let chunk = needed.div_ceil(CHUNK) * CHUNK;
        for bytes in [chunk, needed] {
            if self.budget.lease(bytes) {
                self.held += bytes;
                return true;
            }
        }
        false
    }

    /// Takes a charge back.
    pub fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        let spare = self.held - self.used;
        if self.used == 0 || self.budget.is_short() {
            self.trim();
        } else if spare >= 2 * CHUNK {
            // A busy reactor keeps a chunk, not to lease it again at once.
            self.give_back((spare / CHUNK - 1) * CHUNK);
        }
    }

    /// Gives back what is leased and not used: an idle reactor holds nothing back from the others,
    /// and nobody does while memory is lacking.
    pub fn trim(&mut self) {
        self.give_back(self.held - self.used);
    }

    fn give_back(&mut self, bytes: u64) {
        if bytes > 0 {
            self.held -= bytes;
            self.budget.give_back(bytes);
        }
    }

    /// Bytes charged by this reactor.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// The budget behind it.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.give_back(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_reactors_share_one_limit_to_the_last_byte() {
        let budget = Budget::new(1_000_000);
        let mut first = Account::new(Arc::clone(&budget));
        let mut second = Account::new(Arc::clone(&budget));
        assert!(first.charge(600_000));
        assert!(!second.charge(600_000));
        assert!(second.charge(100_000));
        first.release(600_000);
        drop(first);
        assert!(second.charge(700_000));
        drop(second);
        assert_eq!(budget.leased(), 0);
    }

    /// The counter that all reactors share is touched once for many small charges.
    #[test]
    fn chunks_are_leased_and_a_busy_reactor_keeps_one() {
        let budget = Budget::new(100 * CHUNK);
        assert_eq!(budget.limit(), 100 * CHUNK);
        let mut account = Account::new(Arc::clone(&budget));
        account.charge_owed(1);
        assert_eq!(budget.leased(), CHUNK);
        assert!(account.charge(CHUNK));
        assert_eq!(budget.leased(), 2 * CHUNK);
        assert!(account.charge(4 * CHUNK));
        assert_eq!(budget.leased(), 6 * CHUNK);
        account.release(CHUNK);
        assert_eq!(budget.leased(), 6 * CHUNK, "less than two chunks are spare");
        account.release(CHUNK);
        assert_eq!(budget.leased(), 5 * CHUNK, "of those that are spare one is kept");
        account.release(3 * CHUNK + 1);
        assert_eq!(budget.leased(), 0, "an idle reactor keeps nothing");
    }

    #[test]
    fn the_marks_are_where_the_documentation_says() {
        let budget = Budget::new(1_600_000);
        let mut account = Account::new(Arc::clone(&budget));
        account.budget.set_short(true);
        for (used, tight, room) in [
            (1_399_999, false, true),
            (1_400_000, true, true),
            (1_500_000, true, true),
            (1_500_001, true, false),
            (1_600_000, true, false),
        ] {
            account.charge_owed(used);
            account.trim();
            assert_eq!((budget.is_tight(), budget.has_room()), (tight, room), "{used}");
            assert_eq!(budget.excess(), 0);
            account.release(used);
        }
        account.charge_owed(1_600_007);
        assert_eq!(budget.excess(), 7);
    }

    #[test]
    fn while_memory_is_lacking_only_what_is_leased_is_taken_and_nothing_is_kept() {
        let budget = Budget::new(10 * CHUNK);
        let mut account = Account::new(Arc::clone(&budget));
        assert!(account.charge(100));
        budget.set_short(true);
        assert!(account.charge(100), "it is leased already");
        account.release(100);
        assert_eq!(budget.leased(), 100);
        assert!(!account.charge(1), "others wait for it");
        account.charge_owed(50);
        assert_eq!(account.used(), 150);
        budget.set_short(false);
        assert!(account.charge(1));
    }

    proptest! {
        #[test]
        fn what_can_wait_never_exceeds_the_limit_and_all_of_it_comes_back(
            steps in proptest::collection::vec(
                (0usize..3, 0u64..2_000_000, 0u8..4, any::<bool>()), 1..200),
        ) {
            let budget = Budget::new(4_000_000);
            let mut accounts: Vec<Account> =
                (0..3).map(|_| Account::new(Arc::clone(&budget))).collect();
            let mut used = [0u64; 3];
            for (who, bytes, what, short) in steps {
                let before = budget.leased();
                match what {
                    0 => {
                        if accounts[who].charge(bytes) {
                            used[who] += bytes;
                            prop_assert!(budget.leased() <= before.max(4_000_000));
                        } else {
                            prop_assert_eq!(budget.leased(), before);
                        }
                    }
                    1 => {
                        accounts[who].charge_owed(bytes);
                        used[who] += bytes;
                    }
                    2 => {
                        let back = bytes.min(used[who]);
                        accounts[who].release(back);
                        used[who] -= back;
                        prop_assert!(budget.leased() <= before);
                    }
                    _ => {
                        budget.set_short(short);
                        accounts[who].trim();
                    }
                }
                let sum = used.iter().sum::<u64>();
                prop_assert!(sum <= budget.leased());
                // Beyond the limit there is only what is used and could not be refused.
                prop_assert!(budget.leased() <= sum.max(4_000_000) + 3 * 2 * CHUNK);
                prop_assert_eq!(accounts[who].used(), used[who]);
            }
            drop(accounts);
            prop_assert_eq!(budget.leased(), 0);
        }
    }
}
