//! How many connections each address has, over all processes or threads that accept some.
//!
//! Each has a seat, and changes only what stands under its seat: so what a dead process had is
//! known, and is taken back. An address that has connections at several seats stands in a place
//! for each. Who takes one says so first and then looks at all: of two that take one at the same
//! moment at least one sees the other, and the limit is never exceeded. Both may be refused where
//! one place was left.

use super::{PLACE_WORDS, Place, Places};
use crate::sync::{AtomicU64, Ordering, fence};

/// Places, besides one for each seat, in which an address is looked for.
const SLACK: usize = 32;

/// The counters.
#[derive(Clone, Copy, Debug)]
pub struct AddressCounts<'a> {
    places: Places<'a>,
    window: usize,
}

impl<'a> AddressCounts<'a> {
    /// `words` are zero at first; their number is [`PLACE_WORDS`] times a power of two.
    #[must_use]
    pub const fn new(words: &'a [AtomicU64], seats: usize) -> Self {
        Self { places: Places { words }, window: seats + SLACK }
    }

    /// Counts one more of an address, unless it has `most` already (or so many others have some
    /// that no more can be known). True: it was counted, and is to be given back once.
    #[must_use]
    pub fn take(&self, seat: usize, key: u64, most: u32) -> bool {
        let Some(place) = self.own(seat, key).or_else(|| self.claim(seat, key)) else {
            return false;
        };
        let before = count(place.value.load(Ordering::Relaxed));
        place.value.store(value(seat, before.saturating_add(1)), Ordering::Release);
        // What was said is seen before others are looked at.
        fence(Ordering::SeqCst);
        if self.open(key) <= u64::from(most) {
            return true;
        }
        set(place, seat, before);
        false
    }

    /// One that was counted at this seat is gone.
    pub fn give_back(&self, seat: usize, key: u64) {
        if let Some(place) = self.own(seat, key) {
            set(place, seat, count(place.value.load(Ordering::Relaxed)).saturating_sub(1));
        }
    }

    /// How many an address has at all seats.
    #[must_use]
    pub fn open(&self, key: u64) -> u64 {
        let of_it = self.places.window(key, self.window).filter_map(|place| {
            // Acquire: a count that is not zero comes behind its number.
            let count = count(place.value.load(Ordering::Acquire));
            (count > 0 && place.key.load(Ordering::Relaxed) == key).then_some(u64::from(count))
        });
        of_it.sum()
    }

    /// All that was counted at a seat is given back: its process is dead.
    pub fn clear(&self, seat: usize) {
        for place in self.places.words.chunks_exact(PLACE_WORDS) {
            if let [_, word] = place
                && seat_of(word.load(Ordering::Relaxed)) == Some(seat)
            {
                word.store(0, Ordering::Release);
            }
        }
    }

    fn own(&self, seat: usize, key: u64) -> Option<Place<'a>> {
        self.places.window(key, self.window).find(|place| {
            seat_of(place.value.load(Ordering::Relaxed)) == Some(seat)
                && place.key.load(Ordering::Relaxed) == key
        })
    }

    fn claim(&self, seat: usize, key: u64) -> Option<Place<'a>> {
        let mine = value(seat, 0);
        let place = self.places.window(key, self.window).find(|place| {
            // Acquire: who had it before is through with it.
            place.value.compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })?;
        place.key.store(key, Ordering::Relaxed);
        Some(place)
    }
}

/// What stands in a place that a seat has.
const fn value(seat: usize, count: u32) -> u64 {
    (seat as u64 + 1) << 32 | count as u64
}

const fn count(value: u64) -> u32 {
    value as u32
}

const fn seat_of(value: u64) -> Option<usize> {
    (value as usize >> 32).checked_sub(1)
}

/// A place whose seat has none of its address is free.
fn set(place: Place<'_>, seat: usize, count: u32) {
    let value = if count == 0 { 0 } else { value(seat, count) };
    place.value.store(value, Ordering::Release);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(places: usize) -> Vec<AtomicU64> {
        (0..places * PLACE_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn an_address_has_its_number_over_all_seats() {
        let words = words(64);
        let counts = AddressCounts::new(&words, 3);
        assert!(counts.take(0, 7, 2) && counts.take(1, 7, 2) && !counts.take(2, 7, 2));
        assert!(counts.take(2, 8, 1) && !counts.take(0, 9, 0));
        assert_eq!((counts.open(7), counts.open(8), counts.open(9)), (2, 1, 0));
        counts.give_back(1, 7);
        assert!(counts.take(2, 7, 2));
        // What nobody has at a seat is not given back there.
        counts.give_back(1, 7);
        assert_eq!(counts.open(7), 2);
    }

    #[test]
    fn what_a_dead_process_had_is_given_back_and_no_other() {
        let words = words(64);
        let counts = AddressCounts::new(&words, 2);
        for (seat, key) in [(0, 5), (0, 5), (1, 5), (0, 6), (1, 7)] {
            assert!(counts.take(seat, key, 9));
        }
        // One that died between two steps has a place and nothing in it.
        assert!(counts.claim(0, 9).is_some());
        counts.clear(0);
        assert_eq!([5, 6, 7].map(|key| counts.open(key)), [1, 0, 1]);
        counts.clear(1);
        assert!(words.iter().skip(1).step_by(2).all(|word| word.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn who_finds_no_place_is_refused_until_one_is_free() {
        let words = words(4);
        let counts = AddressCounts::new(&words, 1);
        assert!((1..=4).all(|key| counts.take(0, key, 9)));
        assert!(!counts.take(0, 5, 9) && counts.take(0, 1, 9), "one that is known");
        counts.give_back(0, 3);
        assert!(counts.take(0, 5, 9));
        let none = AddressCounts::new(&[], 1);
        assert!(!none.take(0, 1, 9));
    }

    #[test]
    fn two_threads_never_have_more_than_the_limit() {
        const ROUNDS: u32 = 20_000;
        let (words, inside) = (words(16), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for seat in 0..2 {
                let (words, inside) = (&words, &inside);
                scope.spawn(move || {
                    let counts = AddressCounts::new(words, 2);
                    for _ in 0..ROUNDS {
                        if counts.take(seat, 3, 1) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                            inside.fetch_sub(1, Ordering::SeqCst);
                            counts.give_back(seat, 3);
                        }
                    }
                });
            }
        });
    }

    proptest! {
        /// Whatever comes, goes and dies: nobody has more than the limit, and in the end nothing
        /// is kept.
        #[test]
        fn what_is_taken_and_given_back_leaves_nothing(
            steps in proptest::collection::vec((0u8..9, 0usize..3, 1u64..6), 0..200),
        ) {
            let words = words(64);
            let counts = AddressCounts::new(&words, 3);
            let mut open: Vec<(usize, u64)> = Vec::new();
            for (step, seat, key) in steps {
                match step {
                    0 => {
                        counts.clear(seat);
                        open.retain(|(at, _)| *at != seat);
                    }
                    1..=5 => {
                        let has = open.iter().filter(|(_, of)| *of == key).count();
                        prop_assert_eq!(counts.take(seat, key, 3), has < 3);
                        if has < 3 {
                            open.push((seat, key));
                        }
                    }
                    _ => {
                        if let Some(at) = open.iter().position(|one| *one == (seat, key)) {
                            open.swap_remove(at);
                            counts.give_back(seat, key);
                        }
                    }
                }
                let has = open.iter().filter(|(_, of)| *of == key).count() as u64;
                prop_assert_eq!(counts.open(key), has);
            }
            open.into_iter().for_each(|(seat, key)| counts.give_back(seat, key));
            let values = words.iter().skip(1).step_by(2);
            prop_assert!(values.into_iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }
}
