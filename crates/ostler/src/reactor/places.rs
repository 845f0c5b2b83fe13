//! How many places of the session table are taken, for the acceptor, which chooses by them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_core::invariant;
use ostler_core::placement::emptiest;

/// The places of all reactors. The acceptor takes one for each connection that it hands over; the
/// reactor gives it back when nothing is left of the session, which is after workers have seen its
/// end.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    taken: Arc<[AtomicU64]>,
    each: u64,
}

impl Places {
    /// Free places, `each` of them in every reactor.
    pub(crate) fn new(reactors: usize, each: u64) -> Self {
        Self { taken: (0..reactors).map(|_| AtomicU64::new(0)).collect(), each }
    }

    /// The reactor that the next connection is for, or `None` while all places are taken. Only the
    /// acceptor takes places, so that the one which was seen free stays free until it does.
    pub(crate) fn choose(&self, turn: usize) -> Option<usize> {
        let taken: Vec<u64> = self.taken.iter().map(|taken| taken.load(Ordering::SeqCst)).collect();
        emptiest(&taken, self.each, turn)
    }

    /// A connection goes to this reactor.
    pub(crate) fn take(&self, reactor: usize) {
        match self.taken.get(reactor) {
            Some(taken) => _ = taken.fetch_add(1, Ordering::Relaxed),
            None => invariant!(false, "a place is taken of a reactor that was chosen"),
        }
    }

    /// Nothing is left of a session of this reactor.
    pub(crate) fn give_back(&self, reactor: usize) {
        match self.taken.get(reactor) {
            Some(taken) => _ = taken.fetch_sub(1, Ordering::SeqCst),
            None => invariant!(false, "a reactor gives back places of its own"),
        }
    }
}
