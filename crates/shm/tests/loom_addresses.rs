//! What processes know of clients' addresses: no address ever has more connections than it may, and
//! what one changes in a word is not lost to another.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{explore, finds};
use ostler_shm::addresses::{AddressCounts, AddressRates, PLACE_WORDS};
use ostler_shm::sync::{AtomicU64, Ordering};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Real,
    /// It is looked first, and then said.
    LookFirst,
}

fn words(places: usize) -> Arc<Vec<AtomicU64>> {
    Arc::new((0..places * PLACE_WORDS).map(|_| AtomicU64::new(0)).collect())
}

fn take(counts: &AddressCounts<'_>, seat: usize, algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Real => counts.take(seat, 1, 1),
        Algorithm::LookFirst => counts.open(1) == 0 && counts.take(seat, 1, 2),
    }
}

/// Two processes take the one connection that the address may have; another address comes and goes
/// in the same places.
fn two_processes(algorithm: Algorithm) {
    explore(&format!("connections of an address {algorithm:?}"), None, move || {
        let words = words(4);
        let inside = Arc::new(AtomicU64::new(0));
        let run = move |words: &[AtomicU64], inside: &AtomicU64, seat: usize| {
            let counts = AddressCounts::new(words, 2);
            if take(&counts, seat, algorithm) {
                let others = inside.fetch_add(1, Ordering::SeqCst);
                assert_eq!(others, 0, "two have the only connection");
                inside.fetch_sub(1, Ordering::SeqCst);
                counts.give_back(seat, 1);
            }
        };
        let other = {
            let (words, inside) = (Arc::clone(&words), Arc::clone(&inside));
            thread::spawn(move || run(&words, &inside, 1))
        };
        run(&words, &inside, 0);
        other.join().unwrap();
        assert_eq!(AddressCounts::new(&words, 2).open(1), 0, "something is left");
    });
}

#[test]
fn no_address_has_more_connections_than_it_may() {
    two_processes(Algorithm::Real);
}

#[test]
fn looking_before_saying_is_found() {
    finds("looking before saying", "two have the only connection", || {
        two_processes(Algorithm::LookFirst);
    });
}

#[test]
fn a_place_that_changes_hands_counts_for_one_address_only() {
    explore("a place changes hands", None, || {
        let words = words(4);
        let other = {
            let words = Arc::clone(&words);
            thread::spawn(move || {
                let counts = AddressCounts::new(&words, 2);
                assert!(counts.take(1, 5, 1), "nobody else has one of it");
                counts.give_back(1, 5);
            })
        };
        let counts = AddressCounts::new(&words, 2);
        assert!(counts.take(0, 1, 1), "nobody else has one of it");
        counts.give_back(0, 1);
        other.join().unwrap();
        assert_eq!(counts.open(1) + counts.open(5), 0, "something is left");
    });
}

#[test]
fn what_two_take_at_once_is_paid_for_by_both() {
    explore("the rate of an address", None, || {
        let words = words(2);
        AddressRates::new(&words).change(1, 0, |word| Some(word + 1));
        let other = {
            let words = Arc::clone(&words);
            thread::spawn(move || AddressRates::new(&words).change(1, 0, |word| Some(word + 1)))
        };
        let own = AddressRates::new(&words).change(1, 0, |word| Some(word + 1));
        assert!(other.join().unwrap() && own);
        assert_eq!(AddressRates::new(&words).word(1), 3, "a change is lost");
    });
}
