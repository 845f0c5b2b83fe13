//! A word for each address that is near its limit in a second, which any process changes: until
//! when what the address had is paid for. Once that is past there is nothing to be known of it, and
//! its place is for others.

use super::{Place, Places};
use crate::sync::{AtomicU64, Ordering};

/// Places in which an address is looked for.
const WINDOW: usize = 16;
/// How often a place is looked for that others take at the same moment.
const TRIES: usize = 4;

/// The words.
#[derive(Clone, Copy, Debug)]
pub struct AddressRates<'a> {
    places: Places<'a>,
}

impl<'a> AddressRates<'a> {
    /// `words` are zero at first; their number is [`super::PLACE_WORDS`] times a power of two.
    #[must_use]
    pub const fn new(words: &'a [AtomicU64]) -> Self {
        Self { places: Places { words } }
    }

    /// The word of an address, 0 if nothing is known of it.
    #[must_use]
    pub fn word(&self, key: u64) -> u64 {
        self.place(key).map_or(0, |place| place.value.load(Ordering::Relaxed))
    }

    /// Changes the word of an address to what `step` makes of it, in one step; `None` leaves it.
    /// Answers whether it was changed. `now` says whose words are past. An address for which there
    /// is no place, because others take them at the same moment, counts as changed.
    pub fn change(&self, key: u64, now: u64, step: impl Fn(u64) -> Option<u64>) -> bool {
        for _ in 0..TRIES {
            if let Some(place) = self.place(key) {
                let changed = place.value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, &step);
                return changed.is_ok();
            }
            let Some(first) = step(0) else { return false };
            if self.settle(key, now, first) {
                return true;
            }
        }
        true
    }

    fn place(&self, key: u64) -> Option<Place<'a>> {
        self.places.window(key, WINDOW).find(|place| place.key.load(Ordering::Acquire) == key)
    }

    /// Takes the first place whose word is past, or else the one whose word is the nearest to that.
    /// False when others took it.
    fn settle(&self, key: u64, now: u64, first: u64) -> bool {
        let left = |place: &Place<'_>| place.value.load(Ordering::Relaxed).max(now);
        let Some(place) = self.places.window(key, WINDOW).min_by_key(left) else { return true };
        let before = place.key.load(Ordering::Relaxed);
        let word = place.value.load(Ordering::Relaxed);
        // The word of whoever had the place before is not this one's.
        place.key.compare_exchange(before, key, Ordering::Release, Ordering::Relaxed).is_ok()
            && place
                .value
                .compare_exchange(word, first, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::PLACE_WORDS;
    use super::*;

    fn words(places: usize) -> Vec<AtomicU64> {
        (0..places * PLACE_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    /// One more second, at most three ahead.
    fn step(now: u64) -> impl Fn(u64) -> Option<u64> {
        move |word| (word.max(now) < now + 3).then(|| word.max(now) + 1)
    }

    #[test]
    fn each_address_has_its_word_and_the_past_makes_room() {
        let words = words(16);
        let rates = AddressRates::new(&words);
        for (key, times) in [(1, 3), (2, 1)] {
            (0..times).for_each(|_| assert!(rates.change(key, 10, step(10))));
        }
        assert!(!rates.change(1, 10, step(10)) && rates.change(2, 10, step(10)));
        assert_eq!((rates.word(1), rates.word(2), rates.word(3)), (13, 12, 0));
        // Two places are still somebody's, all others are free at once.
        assert!((100..114).all(|key| rates.change(key, 11, step(11))));
        assert_eq!((rates.word(1), rates.word(2)), (13, 12));
        assert!(rates.change(1, 11, step(11)));
    }

    #[test]
    fn where_there_is_no_room_who_is_the_furthest_from_the_limit_is_forgotten() {
        let words = words(4);
        let rates = AddressRates::new(&words);
        for key in 1..=4 {
            (0..if key == 3 { 1 } else { 2 }).for_each(|_| assert!(rates.change(key, 5, step(5))));
        }
        assert!(rates.change(9, 5, step(5)));
        let known = [1, 2, 3, 4, 9].map(|key| rates.word(key));
        assert_eq!(known, [7, 7, 0, 7, 6], "its word begins anew");
        assert!(AddressRates::new(&[]).change(1, 5, step(5)), "nothing can be known");
    }

    #[test]
    fn threads_that_change_one_word_lose_nothing() {
        const EACH: u64 = 10_000;
        let words = words(16);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let rates = AddressRates::new(&words);
                    for _ in 0..EACH {
                        assert!(rates.change(7, 0, |word| Some(word + 1)));
                    }
                });
            }
        });
        assert_eq!(AddressRates::new(&words).word(7), 2 * EACH);
    }
}
