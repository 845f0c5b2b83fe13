//! Numbers that all processes see, and waiting for one to change.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ostler_shm::shared::atomic::{self, Words32, Words64};
use ostler_shm::shared::place::Place;

use super::origin::Living;
use crate::error::Result;

/// A number of 32 bits that all processes of a server see and change.
///
/// All operations are in one order that every process agrees upon (sequentially consistent). Each
/// is done or not when its process is killed, never half.
///
/// ```
/// let highest = ostler::shared::Atomic32::new("highest", 7)?;
/// let same = highest.clone();
/// assert_eq!(highest.add(1), 7);
/// assert_eq!(same.load(), 8);
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Atomic32 {
    inner: Arc<(Place<Words32>, Living)>,
}

impl Atomic32 {
    /// Makes one, before [`crate::Server::run`]. The name is for people: it stands in
    /// `/proc/PID/maps`.
    ///
    /// ```
    /// assert_eq!(ostler::shared::Atomic32::new("epoch", 3)?.load(), 3);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is made in a worker, its name is none, or there is no memory.
    pub fn new(name: &str, value: u32) -> Result<Self> {
        let made = Self { inner: Arc::new(Living::make(name, Place::create)?) };
        made.store(value);
        Ok(made)
    }

    fn words(&self) -> &Words32 {
        &self.inner.0
    }

    /// What it is.
    ///
    /// ```
    /// assert_eq!(ostler::shared::Atomic32::new("level", 0)?.load(), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn load(&self) -> u32 {
        self.words().value.load(Ordering::SeqCst)
    }

    /// Sets it.
    ///
    /// ```
    /// let level = ostler::shared::Atomic32::new("level", 0)?;
    /// level.store(5);
    /// assert_eq!(level.load(), 5);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn store(&self, value: u32) {
        self.words().value.store(value, Ordering::SeqCst);
    }

    /// Sets it, and says what it was.
    ///
    /// ```
    /// let turn = ostler::shared::Atomic32::new("turn", 1)?;
    /// assert_eq!(turn.swap(2), 1);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn swap(&self, value: u32) -> u32 {
        self.words().value.swap(value, Ordering::SeqCst)
    }

    /// Adds modulo 2^32, and says what it was. (To subtract, add `number.wrapping_neg()`.)
    ///
    /// ```
    /// let next = ostler::shared::Atomic32::new("next", 10)?;
    /// assert_eq!((next.add(1), next.add(1)), (10, 11));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn add(&self, number: u32) -> u32 {
        self.words().value.fetch_add(number, Ordering::SeqCst)
    }

    /// Sets it to `new` if it is `current`; says what it was otherwise.
    ///
    /// ```
    /// let leader = ostler::shared::Atomic32::new("leader", 0)?;
    /// assert_eq!(leader.replace(0, 4), Ok(()));
    /// assert_eq!(leader.replace(0, 5), Err(4));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// What it is, if that is not `current`.
    pub fn replace(&self, current: u32, new: u32) -> std::result::Result<(), u32> {
        let value = &self.words().value;
        value.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
    }

    /// Sleeps while it is `expected`, for `timeout` at most; says whether it was seen to be
    /// something else. Who changes it has to call `wake` afterwards.
    ///
    /// A handler that waits serves nobody: this is for threads and processes of their own.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let ready = ostler::shared::Atomic32::new("ready", 0)?;
    /// let (other, patience) = (ready.clone(), Duration::from_secs(10));
    /// let waiting = std::thread::spawn(move || other.wait(0, patience));
    /// ready.store(1);
    /// ready.wake(1);
    /// assert!(waiting.join().unwrap());
    /// assert!(!ready.wait(1, Duration::from_millis(1)));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn wait(&self, expected: u32, timeout: Duration) -> bool {
        atomic::wait(&self.words().wakes, timeout, || self.load() != expected)
    }

    /// Wakes at most `waiters` of those who sleep in `wait`, in any process; says how many slept.
    ///
    /// ```
    /// assert_eq!(ostler::shared::Atomic32::new("ready", 0)?.wake(u32::MAX), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn wake(&self, waiters: u32) -> usize {
        atomic::wake(&self.words().wakes, waiters)
    }
}

/// A number of 64 bits that all processes of a server see and change.
///
/// All operations are in one order that every process agrees upon (sequentially consistent). Each
/// is done or not when its process is killed, never half.
///
/// ```
/// let highest = ostler::shared::Atomic64::new("highest", 7)?;
/// let same = highest.clone();
/// assert_eq!(highest.add(1), 7);
/// assert_eq!(same.load(), 8);
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Atomic64 {
    inner: Arc<(Place<Words64>, Living)>,
}

impl Atomic64 {
    /// Makes one, before [`crate::Server::run`]. The name is for people: it stands in
    /// `/proc/PID/maps`.
    ///
    /// ```
    /// assert_eq!(ostler::shared::Atomic64::new("epoch", 3)?.load(), 3);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is made in a worker, its name is none, or there is no memory.
    pub fn new(name: &str, value: u64) -> Result<Self> {
        let made = Self { inner: Arc::new(Living::make(name, Place::create)?) };
        made.store(value);
        Ok(made)
    }

    fn words(&self) -> &Words64 {
        &self.inner.0
    }

    /// What it is.
    ///
    /// ```
    /// assert_eq!(ostler::shared::Atomic64::new("level", 0)?.load(), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn load(&self) -> u64 {
        self.words().value.load(Ordering::SeqCst)
    }

    /// Sets it.
    ///
    /// ```
    /// let level = ostler::shared::Atomic64::new("level", 0)?;
    /// level.store(5);
    /// assert_eq!(level.load(), 5);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn store(&self, value: u64) {
        self.words().value.store(value, Ordering::SeqCst);
    }

    /// Sets it, and says what it was.
    ///
    /// ```
    /// let turn = ostler::shared::Atomic64::new("turn", 1)?;
    /// assert_eq!(turn.swap(2), 1);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn swap(&self, value: u64) -> u64 {
        self.words().value.swap(value, Ordering::SeqCst)
    }

    /// Adds modulo 2^64, and says what it was. (To subtract, add `number.wrapping_neg()`.)
    ///
    /// ```
    /// let next = ostler::shared::Atomic64::new("next", 10)?;
    /// assert_eq!((next.add(1), next.add(1)), (10, 11));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn add(&self, number: u64) -> u64 {
        self.words().value.fetch_add(number, Ordering::SeqCst)
    }

    /// Sets it to `new` if it is `current`; says what it was otherwise.
    ///
    /// ```
    /// let leader = ostler::shared::Atomic64::new("leader", 0)?;
    /// assert_eq!(leader.replace(0, 4), Ok(()));
    /// assert_eq!(leader.replace(0, 5), Err(4));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// What it is, if that is not `current`.
    pub fn replace(&self, current: u64, new: u64) -> std::result::Result<(), u64> {
        let value = &self.words().value;
        value.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
    }

    /// Sleeps while it is `expected`, for `timeout` at most; says whether it was seen to be
    /// something else. Who changes it has to call `wake` afterwards.
    ///
    /// A handler that waits serves nobody: this is for threads and processes of their own.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let ready = ostler::shared::Atomic64::new("ready", 0)?;
    /// let (other, patience) = (ready.clone(), Duration::from_secs(10));
    /// let waiting = std::thread::spawn(move || other.wait(0, patience));
    /// ready.store(1);
    /// ready.wake(1);
    /// assert!(waiting.join().unwrap());
    /// assert!(!ready.wait(1, Duration::from_millis(1)));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn wait(&self, expected: u64, timeout: Duration) -> bool {
        atomic::wait(&self.words().wakes, timeout, || self.load() != expected)
    }

    /// Wakes at most `waiters` of those who sleep in `wait`, in any process; says how many slept.
    ///
    /// ```
    /// assert_eq!(ostler::shared::Atomic64::new("ready", 0)?.wake(u32::MAX), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn wake(&self, waiters: u32) -> usize {
        atomic::wake(&self.words().wakes, waiters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_never_slept_through() {
        let (ball, rounds) = (Atomic64::new("test", 0).unwrap(), 2_000);
        let other = ball.clone();
        let play = move |ball: Atomic64, mine: u64| {
            for round in 0..rounds {
                let turn = round * 2 + mine;
                while ball.load() != turn {
                    assert!(ball.wait(turn.wrapping_sub(1), Duration::from_secs(60)), "slept on");
                }
                ball.store(turn + 1);
                ball.wake(1);
            }
        };
        let partner = std::thread::spawn(move || play(other, 1));
        play(ball.clone(), 0);
        partner.join().unwrap();
        assert_eq!(ball.load(), rounds * 2);
    }

    #[test]
    fn no_wait_is_too_long_for_the_kernel() {
        let number = Atomic32::new("test", 1).unwrap();
        let other = number.clone();
        let waiting = std::thread::spawn(move || other.wait(1, Duration::MAX));
        number.store(2);
        number.wake(u32::MAX);
        assert!(waiting.join().unwrap());
    }
}
