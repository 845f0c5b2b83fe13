//! What all processes of a server know of clients' addresses (BASE mode), or all reactors of one:
//! places of two words, found by the number of an address that nobody can foresee.
//!
//! An address stands in one of a few places behind the one that its number names, and is not moved.
//! Where all of these are taken it is not known; who asks says what follows.

mod counts;
mod rates;

pub use counts::AddressCounts;
pub use rates::AddressRates;

use crate::sync::AtomicU64;

/// Words of a place.
pub const PLACE_WORDS: usize = 2;
/// Places of [`AddressRates`]: as many addresses may be near their limit at once. Beyond it the one
/// that is the furthest from it is forgotten, and has all of its second again.
pub const RATE_PLACES: usize = 65_536;

/// Places in memory of any kind: their number is a power of two.
#[derive(Clone, Copy, Debug)]
struct Places<'a> {
    words: &'a [AtomicU64],
}

/// Whose it is, and what is known of that.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    key: &'a AtomicU64,
    value: &'a AtomicU64,
}

impl<'a> Places<'a> {
    /// The places in which a number may stand, at most `most`; always in the same order.
    fn window(self, key: u64, most: usize) -> impl Iterator<Item = Place<'a>> {
        let count = self.words.len() / PLACE_WORDS;
        let mask = count.wrapping_sub(1);
        let first = key as usize;
        (0..most.min(count)).filter_map(move |step| {
            let at = (first.wrapping_add(step) & mask) * PLACE_WORDS;
            match self.words.get(at..at + PLACE_WORDS)? {
                [key, value] => Some(Place { key, value }),
                _ => None,
            }
        })
    }
}
