//! A sum that all processes add to.

use std::sync::Arc;

use ostler_shm::shared::counter::Stripes;
use ostler_shm::shared::place::Place;

use super::origin::Living;
use crate::error::Result;

/// A sum that all processes of a server add to, without taking a cache line from each other.
///
/// Nothing is lost: an add is one instruction, which a process that is killed has done or not. A
/// sum has every add that was done before it began, and of those that are done meanwhile any; two
/// sums of the same process never go back, as long as nothing negative is added.
///
/// ```
/// let requests = ostler::shared::Counter::new("requests")?;
/// requests.clone().add(2);
/// requests.add(1);
/// assert_eq!(requests.sum(), 3);
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Counter {
    inner: Arc<(Place<Stripes>, Living)>,
}

impl Counter {
    /// Makes one that is 0, before [`crate::Server::run`]. The name is for people: it stands in
    /// `/proc/PID/maps`.
    ///
    /// ```
    /// let requests = ostler::shared::Counter::new("requests")?;
    /// assert_eq!(requests.sum(), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    ///
    /// # Errors
    /// When it is made in a worker, its name is none, or there is no memory.
    pub fn new(name: &str) -> Result<Self> {
        Ok(Self { inner: Arc::new(Living::make(name, Place::create)?) })
    }

    /// Adds. (To subtract, add `number.wrapping_neg()`.)
    ///
    /// ```
    /// let open = ostler::shared::Counter::new("open")?;
    /// open.add(5);
    /// open.add(2_u64.wrapping_neg());
    /// assert_eq!(open.sum(), 3);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    pub fn add(&self, number: u64) {
        self.inner.0.add(number);
    }

    /// The sum of all that was added, modulo 2^64. It reads 32 cache lines: add often, sum seldom.
    ///
    /// ```
    /// let bytes = ostler::shared::Counter::new("bytes")?;
    /// bytes.add(4_096);
    /// assert_eq!(bytes.sum(), 4_096);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.inner.0.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_threads_add_is_lost() {
        let counter = Counter::new("test").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counter.add(3)));
            }
        });
        assert_eq!(counter.sum(), 120_000);
    }
}
