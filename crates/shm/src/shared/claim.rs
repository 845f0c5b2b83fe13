//! A claim: a word that says which process may write something. The dead have no claims.
//!
//! The word has the number of the process that holds it, 0 when nobody does. The numbers are never
//! given twice ([`super::members`]), so a process that is dead stays dead, and whoever finds its
//! number may put the own one in its place: no death leaves anything locked. A process that is
//! stopped is not dead, and whoever needs its claim gives up after a while.

use crate::sync::{AtomicU64, Ordering};

/// Who claims, and what it knows of the others.
pub trait Claimant {
    /// The number of this process, not 0.
    fn number(&self) -> u64;

    /// Whether the process with this number is dead. Never of one that lives.
    fn is_dead(&self, number: u64) -> bool;

    /// Lets time pass before another attempt; false when there were enough.
    fn pause(&self, attempt: u32) -> bool;
}

/// How a claim was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nobody had it.
    Free,
    /// A dead process had it, and may have been in the middle of something.
    OfTheDead,
}

/// A living process has the claim and keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Tries once: takes the claim if nobody living has it.
///
/// # Errors
/// When a living process has it.
pub fn try_take(word: &AtomicU64, who: &impl Claimant) -> Result<Found, Busy> {
    match exchange(word, 0, who) {
        Ok(()) => Ok(Found::Free),
        Err(holder) => take_from_the_dead(word, holder, who),
    }
}

/// Takes the claim, and waits for a living process that has it, as long as `who` has patience.
///
/// # Errors
/// When that was not long enough.
pub fn take(word: &AtomicU64, who: &impl Claimant) -> Result<Found, Busy> {
    let mut attempt = 0;
    loop {
        let Err(holder) = exchange(word, 0, who) else { return Ok(Found::Free) };
        // Whether somebody lives is a question to the kernel: most have let go by the next look.
        if attempt > 0 && take_from_the_dead(word, holder, who).is_ok() {
            return Ok(Found::OfTheDead);
        }
        if !who.pause(attempt) {
            return Err(Busy);
        }
        attempt += 1;
    }
}

fn take_from_the_dead(word: &AtomicU64, holder: u64, who: &impl Claimant) -> Result<Found, Busy> {
    // Somebody else may have taken it from the same dead process: then this exchange fails.
    let taken = holder != 0 && who.is_dead(holder) && exchange(word, holder, who).is_ok();
    if taken { Ok(Found::OfTheDead) } else { Err(Busy) }
}

fn exchange(word: &AtomicU64, from: u64, who: &impl Claimant) -> Result<(), u64> {
    // Acquire: what the holder before did is seen.
    let done = word.compare_exchange(from, who.number(), Ordering::Acquire, Ordering::Relaxed);
    done.map(|_| ())
}

/// Gives the claim back, if it is still that of `number`.
pub fn give_back(word: &AtomicU64, number: u64) {
    // Release: the next holder sees what this one did.
    let _ = word.compare_exchange(number, 0, Ordering::Release, Ordering::Relaxed);
}
