//! Session ids (decision 19): one counter for the whole server, and with each id a place in the
//! session table.
//!
//! The place follows from the id, so that a lookup is one index and one comparison. An id whose
//! place is still taken is passed over and never issued: the session that has the place keeps it
//! until nothing of it is in flight any more.

use crate::sync::{AtomicU64, Ordering};

/// The highest session id: it survives JSON, and languages whose numbers are doubles.
pub const SESSION_ID_MAX: u64 = (1 << 53) - 1;

/// The counter and the places. It may be used by several threads of the master at once.
#[derive(Clone, Copy, Debug)]
pub struct SessionIds<'a> {
    newest: &'a AtomicU64,
    /// A bit for each place that is taken; no bit is set above the last place.
    taken: &'a [AtomicU64],
    /// A power of two.
    places: u64,
}

impl<'a> SessionIds<'a> {
    /// `newest` is the id issued last; `taken` has a bit for each of `places` places, which are a
    /// power of two.
    #[must_use]
    pub const fn new(newest: &'a AtomicU64, taken: &'a [AtomicU64], places: u64) -> Self {
        Self { newest, taken, places }
    }

    /// Issues the next id, and takes its place. `None`: all places are taken, or all ids issued.
    #[must_use]
    pub fn claim(&self) -> Option<u64> {
        let mut newest = self.newest.load(Ordering::Relaxed);
        let mut id = newest + 1;
        let mut passed_over = 0;
        while passed_over < self.places && id <= SESSION_ID_MAX {
            let (word, bit) = self.place(id)?;
            // Sixty-four sessions that stay are passed over with one look.
            let run = u64::from((word.load(Ordering::Relaxed) >> bit).trailing_ones());
            if run > 0 {
                (id, passed_over) = (id + run, passed_over + run);
                continue;
            }
            // The id belongs to whoever moves the counter to it, and to nobody ever after.
            let moved =
                self.newest.compare_exchange(newest, id, Ordering::Relaxed, Ordering::Relaxed);
            // Acquire: what the place's last session has left in its entry comes before.
            if moved.is_ok() && word.fetch_or(1 << bit, Ordering::Acquire) & 1 << bit == 0 {
                return Some(id);
            }
            newest = moved.err().unwrap_or(id);
            id = newest + 1;
        }
        None
    }

    /// Takes the place of an id that another counter has issued. False: somebody has the place, or
    /// it is no id.
    #[must_use]
    pub fn claim_known(&self, id: u64) -> bool {
        if id == 0 || id > SESSION_ID_MAX {
            return false;
        }
        let Some((word, bit)) = self.place(id) else { return false };
        word.fetch_or(1 << bit, Ordering::Acquire) & 1 << bit == 0
    }

    /// Nothing is left of a session that was claimed: its place is free, its id is not.
    pub fn release(&self, id: u64) {
        if let Some((word, bit)) = self.place(id) {
            word.fetch_and(!(1 << bit), Ordering::Release);
        }
    }

    fn place(&self, id: u64) -> Option<(&'a AtomicU64, u64)> {
        let place = id & (self.places - 1);
        Some((self.taken.get((place / 64) as usize)?, place % 64))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn words(places: u64) -> Vec<AtomicU64> {
        (0..places.div_ceil(64)).map(|_| AtomicU64::new(0)).collect()
    }

    proptest! {
        /// Ids grow, no two sessions share a place, and none is refused while a place is free.
        #[test]
        fn ids_grow_and_places_are_never_shared(
            places in 0u32..9, first in 0u64..1_000,
            steps in proptest::collection::vec(any::<Option<prop::sample::Index>>(), 0..600),
        ) {
            let places = 1 << places;
            let (newest, words) = (AtomicU64::new(first), words(places));
            let ids = SessionIds::new(&newest, &words, places);
            let mut open = BTreeMap::new();
            let mut last = first;
            for step in steps {
                match step {
                    Some(index) if !open.is_empty() => {
                        let place = *open.keys().nth(index.index(open.len())).unwrap();
                        ids.release(open.remove(&place).unwrap());
                    }
                    _ => match ids.claim() {
                        Some(id) => {
                            prop_assert!(id > last);
                            prop_assert!(open.insert(id % places, id).is_none(), "place of {id}");
                            last = id;
                        }
                        None => prop_assert_eq!(open.len() as u64, places),
                    },
                }
            }
        }
    }

    #[test]
    fn sessions_that_come_and_go_have_consecutive_numbers() {
        let (newest, words) = (AtomicU64::new(0), words(128));
        let ids = SessionIds::new(&newest, &words, 128);
        for expected in 1..1_000 {
            let id = ids.claim().unwrap();
            assert_eq!(id, expected);
            ids.release(id);
        }
    }

    #[test]
    fn numbers_of_places_that_are_taken_are_passed_over() {
        let (newest, words) = (AtomicU64::new(0), words(256));
        let ids = SessionIds::new(&newest, &words, 256);
        let stay: Vec<_> = (0..200).map(|_| ids.claim().unwrap()).collect();
        assert_eq!((stay[0], stay[199]), (1, 200));
        for _ in 0..56 {
            ids.release(ids.claim().unwrap());
        }
        assert_eq!(ids.claim(), Some(256 + 201), "behind the 200 that stay");
    }

    #[test]
    fn ids_of_another_counter_keep_their_places_from_those_that_are_issued() {
        let (newest, words) = (AtomicU64::new(1_000), words(64));
        let ids = SessionIds::new(&newest, &words, 64);
        assert!(ids.claim_known(3) && ids.claim_known(1_001 % 64));
        assert!(!ids.claim_known(3 + 64), "somebody has that place");
        assert!(!ids.claim_known(0) && !ids.claim_known(SESSION_ID_MAX + 1));
        assert_eq!(ids.claim(), Some(1_002), "1001 has a place that is taken");
        ids.release(3);
        assert!(ids.claim_known(3 + 64));
    }

    #[test]
    fn no_id_is_issued_twice_even_at_the_end_of_the_numbers() {
        let (newest, words) = (AtomicU64::new(SESSION_ID_MAX - 2), words(64));
        let ids = SessionIds::new(&newest, &words, 64);
        let last = [ids.claim(), ids.claim(), ids.claim()];
        assert_eq!(last, [Some(SESSION_ID_MAX - 1), Some(SESSION_ID_MAX), None]);
        ids.release(SESSION_ID_MAX);
        assert_eq!(ids.claim(), None);
    }
}
