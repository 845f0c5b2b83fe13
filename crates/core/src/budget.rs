//! One memory budget for all reactors: leases of chunks from one atomic (decision 13).
//!
//! Charged: unsent output of connections, partial packages, bodies kept on the heap. Not charged: lanes (fixed, printed
//! in the memory plan) and kernel buffers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that a reactor leases at once, so that the shared counter is touched rarely.
const CHUNK: u64 = 256 * 1024;

/// The budget of the whole master.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    leased: AtomicU64,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, leased: AtomicU64::new(0) })
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

    fn lease(&self, bytes: u64) -> bool {
        self.leased
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |leased| {
                leased.checked_add(bytes).filter(|total| *total <= self.limit)
            })
            .is_ok()
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

    /// Charges `bytes`; false (and nothing charged) when the budget is exhausted.
    #[must_use]
    pub fn charge(&mut self, bytes: u64) -> bool {
        let needed = (self.used + bytes).saturating_sub(self.held);
        if needed > 0 {
            let chunk = needed.div_ceil(CHUNK) * CHUNK;
            if self.budget.lease(chunk) {
                self.held += chunk;
            } else if self.budget.lease(needed) {
                self.held += needed;
            } else {
                return false;
            }
        }
        self.used += bytes;
        true
    }

    /// Takes a charge back.
    pub fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
        let spare = self.held - self.used;
        // An idle reactor holds nothing back from the others; a busy one keeps a chunk, not to lease it again at once.
        if self.used == 0 || spare >= 2 * CHUNK {
            let back = if self.used == 0 { spare } else { (spare / CHUNK - 1) * CHUNK };
            self.held -= back;
            self.budget.give_back(back);
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
        assert!(!budget.is_tight() || budget.leased() > 875_000 - 1);
        first.release(600_000);
        drop(first);
        assert!(second.charge(700_000));
        drop(second);
        assert_eq!(budget.leased(), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_all_of_it_comes_back(
            steps in proptest::collection::vec((0usize..3, 0u64..2_000_000, any::<bool>()), 1..200),
        ) {
            let budget = Budget::new(4_000_000);
            let mut accounts: Vec<Account> = (0..3).map(|_| Account::new(Arc::clone(&budget))).collect();
            let mut used = [0u64; 3];
            for (who, bytes, charge) in steps {
                if charge {
                    if accounts[who].charge(bytes) { used[who] += bytes; }
                } else {
                    let back = bytes.min(used[who]);
                    accounts[who].release(back);
                    used[who] -= back;
                }
                prop_assert!(budget.leased() <= 4_000_000);
                prop_assert!(used.iter().sum::<u64>() <= budget.leased());
                prop_assert_eq!(accounts[who].used(), used[who]);
            }
            drop(accounts);
            prop_assert_eq!(budget.leased(), 0);
        }
    }
}
