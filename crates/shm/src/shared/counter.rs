//! A sum that many processes add to: a cache line for each of several stripes, so that those who
//! count on different CPUs do not take a line from each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// Stripes of a counter. More CPUs share them.
const STRIPES: usize = 32;

/// A part of the sum.
#[repr(C, align(64))]
#[derive(Debug)]
struct Stripe {
    sum: AtomicU64,
}

/// All parts.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Stripes {
    stripes: [Stripe; STRIPES],
}

impl Stripes {
    /// Adds to the stripe of the CPU on which this runs. A process that dies has added or not.
    pub fn add(&self, number: u64) {
        let own = rustix::thread::sched_getcpu() % STRIPES;
        if let Some(stripe) = self.stripes.get(own) {
            stripe.sum.fetch_add(number, Ordering::Relaxed);
        }
    }

    /// The sum of all stripes, modulo 2^64: every add that happened before, and of those that
    /// happen meanwhile any.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let parts = self.stripes.iter().map(|stripe| stripe.sum.load(Ordering::Relaxed));
        parts.fold(0, u64::wrapping_add)
    }
}
