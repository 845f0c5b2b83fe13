//! A lock between processes that the dead do not keep.

use super::claim::{self, Busy, Claimant, Found};
use super::members::{Member, Members};
use super::place::Place;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Attempts without a pause: a holder that needs longer is not about to let go.
const SPINS_AT_MOST: u32 = 16;
/// The pause after them.
const PAUSE: Duration = Duration::from_micros(200);

/// The words of a lock.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct LockWords {
    /// The counter of members' numbers.
    next: AtomicU64,
    /// Who holds it.
    holder: AtomicU64,
    /// Not 0: a holder has died since the last [`Held::mend`].
    torn: AtomicU64,
}

/// A lock, and this process as one that uses it.
#[derive(Debug)]
pub struct Lock {
    words: Place<LockWords>,
    members: Members,
}

impl Lock {
    /// Makes one that nobody holds, before the processes that use it are forked.
    ///
    /// # Errors
    /// Those of memfd_create(2), fallocate(2) and mmap(2).
    pub fn create(name: &str) -> io::Result<Self> {
        let (words, file) = Place::with_file(name)?;
        Ok(Self { words, members: Members::new(file)? })
    }

    /// Takes it, and waits for a living process that has it, so long. `None` if that was not
    /// enough.
    ///
    /// # Errors
    /// When this process cannot become one that locks.
    pub fn take(&self, timeout: Duration) -> io::Result<Option<Held<'_>>> {
        let me = self.members.me(&self.words.next)?;
        let who = Patient { me, begin: Instant::now(), timeout };
        // The first attempt asks at once whether the holder lives: who does not want to wait gets
        // what is nobody's.
        let taken = claim::try_take(&self.words.holder, &who)
            .or_else(|Busy| claim::take(&self.words.holder, &who));
        let Ok(found) = taken else { return Ok(None) };
        if found == Found::OfTheDead {
            // Whoever dies before this line is one of the dead for the next.
            self.words.torn.store(1, Ordering::Relaxed);
        }
        Ok(Some(Held { lock: self, number: me.number() }))
    }
}

/// A member that waits for some time.
struct Patient<'a> {
    me: Member<'a>,
    begin: Instant,
    timeout: Duration,
}

impl Claimant for Patient<'_> {
    fn number(&self) -> u64 {
        self.me.number()
    }

    fn is_dead(&self, number: u64) -> bool {
        self.me.is_dead(number)
    }

    fn pause(&self, attempt: u32) -> bool {
        let left = self.timeout.saturating_sub(self.begin.elapsed());
        if attempt < SPINS_AT_MOST {
            std::hint::spin_loop();
        } else {
            std::thread::sleep(PAUSE.min(left));
        }
        !left.is_zero()
    }
}

/// The lock is held; let go when dropped.
#[derive(Debug)]
pub struct Held<'a> {
    lock: &'a Lock,
    number: u64,
}

impl Held<'_> {
    /// Whether a process has died while it held the lock, since the last [`Held::mend`].
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.lock.words.torn.load(Ordering::Relaxed) != 0
    }

    /// What the lock guards is whole again.
    pub fn mend(&self) {
        self.lock.words.torn.store(0, Ordering::Relaxed);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A child that was forked meanwhile has a copy of this, and not the lock.
        if self.lock.members.is_me(self.number) {
            claim::give_back(&self.lock.words.holder, self.number);
        }
    }
}
