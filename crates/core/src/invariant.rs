//! The impossible is loud: [`invariant!`](crate::invariant!) says in code what always holds.
//!
//! In debug builds, and so in every test, a broken one panics with its text and place. In release
//! the code goes on as it says itself (it returns, skips, counts), because a master that dies for a
//! wrong count serves nobody; but each broken place is counted, and the driver is told the first
//! time, so that it can write one line to the log.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static BROKEN: AtomicU64 = AtomicU64::new(0);
static REPORTER: OnceLock<fn(&'static str)> = OnceLock::new();

/// How often any invariant was broken in this process; 0 unless Ostler has a fault.
#[must_use]
pub fn broken_count() -> u64 {
    BROKEN.load(Ordering::Relaxed)
}

/// Sets who is told of a broken invariant, once per place. The first one stays.
pub fn report_to(reporter: fn(&'static str)) {
    // A second server of one process finds the reporter of the first, which does the same.
    let _first_stays = REPORTER.set(reporter);
}

/// What [`invariant!`](crate::invariant!) does when it is broken.
#[cold]
pub fn broken(place: &'static AtomicBool, text: &'static str) {
    BROKEN.fetch_add(1, Ordering::Relaxed);
    let said = place.swap(true, Ordering::Relaxed);
    if let (false, Some(reporter)) = (said, REPORTER.get()) {
        reporter(text);
    }
    debug_assert!(false, "broken invariant: {text}");
}

/// Says that `$holds` is always true, and why. Where the code has to go on without it, the form is
/// `let Some(x) = … else { invariant!(false, "…"); return };`.
#[macro_export]
macro_rules! invariant {
    ($holds:expr, $text:literal) => {
        if !$holds {
            static SAID: ::std::sync::atomic::AtomicBool =
                ::std::sync::atomic::AtomicBool::new(false);
            $crate::invariant::broken(&SAID, concat!($text, " (", file!(), ":", line!(), ")"));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn what_holds_is_silent_and_what_does_not_fails_in_tests() {
        static TOLD: AtomicU64 = AtomicU64::new(0);
        report_to(|text| {
            assert!(text.starts_with("two is odd ("), "{text}");
            TOLD.fetch_add(1, Ordering::Relaxed);
        });
        let before = broken_count();
        let check = |number: u64| invariant!(number % 2 == 1, "two is odd");
        check(1);
        assert_eq!(broken_count(), before);
        for _ in 0..3 {
            let panics = catch_unwind(|| check(2)).is_err();
            assert_eq!(panics, cfg!(debug_assertions));
        }
        assert_eq!(broken_count(), before + 3);
        assert_eq!(TOLD.load(Ordering::Relaxed), 1, "one line for one place");
    }
}
