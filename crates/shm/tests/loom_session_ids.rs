//! Session ids: whoever claims them, no two sessions have one id, and no two have one entry at a
//! time.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::cell::UnsafeCell;
use loom::thread;
use model::{explore, finds};
use ostler_shm::session_ids::SessionIds;
use ostler_shm::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// A table of two entries, each with a cell that loom reports when two use it at once.
struct Table {
    newest: AtomicU64,
    taken: [AtomicU64; 1],
    entries: [UnsafeCell<u64>; 2],
}

// SAFETY: the cells are loom's; loom fails the model when two threads reach one without an order
// between them.
#[allow(unsafe_code)]
unsafe impl Sync for Table {}

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            newest: AtomicU64::new(0),
            taken: [AtomicU64::new(0)],
            entries: [UnsafeCell::new(0), UnsafeCell::new(0)],
        })
    }

    /// A session comes and goes; its id.
    fn session(&self, algorithm: Algorithm) -> Option<u64> {
        let ids = SessionIds::new(&self.newest, &self.taken, 2);
        let id = match algorithm {
            Algorithm::LoadAndStore => {
                let id = self.newest.load(Ordering::Relaxed) + 1;
                self.newest.store(id, Ordering::Relaxed);
                let bit = 1 << (id % 2);
                (self.taken[0].fetch_or(bit, Ordering::Acquire) & bit == 0).then_some(id)?
            }
            _ => ids.claim()?,
        };
        self.entries[(id % 2) as usize].with_mut(|entry| {
            #[allow(unsafe_code)]
            // SAFETY: the entry is this session's as long as its place is claimed.
            unsafe {
                *entry = id;
            }
        });
        match algorithm {
            Algorithm::EarlyRelease => {
                self.taken[0].fetch_and(!(1 << (id % 2)), Ordering::Relaxed);
            }
            _ => ids.release(id),
        }
        Some(id)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Real,
    /// The counter is read and written in two steps.
    LoadAndStore,
    /// The place is given back without an order behind what was done with the entry.
    EarlyRelease,
}

fn two_acceptors(algorithm: Algorithm) {
    explore(&format!("session ids {algorithm:?}"), None, move || {
        let table = Table::new();
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || [table.session(algorithm), table.session(algorithm)])
        };
        let own = [table.session(algorithm)];
        let mut ids: Vec<u64> = own.into_iter().chain(other.join().unwrap()).flatten().collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id was issued twice");
    });
}

#[test]
fn no_two_sessions_have_one_id_or_one_entry_at_a_time() {
    two_acceptors(Algorithm::Real);
}

#[test]
fn a_counter_in_two_steps_is_found() {
    finds("session ids in two steps", "an id was issued twice", || {
        two_acceptors(Algorithm::LoadAndStore);
    });
}

#[test]
fn a_release_without_order_is_found() {
    finds("session ids without release", "Causality", || {
        two_acceptors(Algorithm::EarlyRelease);
    });
}
