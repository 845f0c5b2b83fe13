//! When something is due: a hierarchical timer wheel.
//!
//! **Responsible for:** keeping any number of deadlines so that arming, moving and disarming one
//! costs the same however many there are, and for saying exactly when the next one is due, so that
//! a loop sleeps until then and not at all sooner.
//!
//! **Must never:** read a clock, or allocate once as many timers were armed as there are at most.
//!
//! Time is cut into ticks of [`TICK_NS`]. The wheel has [`LEVELS`] rings of 64 buckets; a bucket of
//! one ring spans a whole turn of the ring below it. A timer stands in the ring of the highest of
//! the six-bit digits in which its tick differs from the present one, so that it moves down at most
//! once per ring, and always before its tick comes. A bucket knows the earliest of its ticks: the
//! loop need not wake only because a bucket is to be spread over the ring below.
//!
//! Timers of one tick are due in the order in which they were armed.

mod nodes;
#[cfg(test)]
mod tests;

pub use nodes::TimerId;

use crate::{Nanos, invariant};
use nodes::{List, Nodes};

/// Nanoseconds of a tick, a power of two: about a millisecond. A timer is due up to one tick late,
/// never early.
pub const TICK_NS: Nanos = 1_048_576;
const TICK_BITS: u32 = TICK_NS.ilog2();
/// The last tick that nanoseconds can name.
const LAST_TICK: u64 = u64::MAX >> TICK_BITS;

/// Bits of a tick that choose a bucket of a ring.
const DIGIT_BITS: u32 = 6;
const BUCKETS: usize = 1 << DIGIT_BITS;
/// Rings: as many as the 44 bits of a tick need.
pub const LEVELS: usize = 8;

/// Timers that are due within the same span.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    timers: List,
    /// No timer in it is due before this tick; `u64::MAX` in an empty one.
    earliest: u64,
}

/// One turn of 64 buckets.
#[derive(Clone, Debug)]
struct Ring {
    /// A bit for each bucket that has timers.
    occupied: u64,
    buckets: [Bucket; BUCKETS],
}

/// Where a timer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is due.
    Due,
    /// In this bucket of this ring.
    Bucket { level: usize, index: usize },
}

/// The wheel. `T` says what a timer is for.
///
/// ```
/// use ostler_core::timer_wheel::{TICK_NS, TimerWheel};
///
/// let mut wheel = TimerWheel::new();
/// let tea = wheel.arm("tea", 300_000_000_000);
/// wheel.arm("egg", 600_000_000_000);
/// let due = wheel.next_due().unwrap();
/// assert!((300_000_000_000..=300_000_000_000 + TICK_NS).contains(&due));
/// assert_eq!(wheel.pop_due(due - 1), None);
/// assert_eq!(wheel.pop_due(due), Some("tea"));
/// assert_eq!(wheel.pop_due(due), None);
/// # let _ = tea;
/// ```
#[derive(Debug)]
pub struct TimerWheel<T> {
    nodes: Nodes<T>,
    rings: Box<[Ring; LEVELS]>,
    due: List,
    /// The present tick: whatever is due until then is on `due` or was returned.
    elapsed: u64,
}

impl<T: Copy> Default for TimerWheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Copy> TimerWheel<T> {
    /// A wheel without timers.
    #[must_use]
    pub fn new() -> Self {
        let bucket = Bucket { timers: List::EMPTY, earliest: u64::MAX };
        let ring = Ring { occupied: 0, buckets: [bucket; BUCKETS] };
        let rings = Box::new(std::array::from_fn(|_| ring.clone()));
        Self { nodes: Nodes::new(), rings, due: List::EMPTY, elapsed: 0 }
    }

    /// How many timers are armed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.nodes.armed()
    }

    /// Whether no timer is armed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Arms a timer that is due at `at`. One whose time has passed is due at once.
    pub fn arm(&mut self, what: T, at: Nanos) -> TimerId {
        let id = self.nodes.insert(what, tick_from(at));
        self.link(id);
        id
    }

    /// Moves an armed timer.
    pub fn rearm(&mut self, id: TimerId, at: Nanos) {
        self.unlink(id);
        self.nodes.set_at(id, tick_from(at));
        self.link(id);
    }

    /// Moves an armed timer if it would be due later than `at`.
    pub fn bring_forward(&mut self, id: TimerId, at: Nanos) {
        if self.nodes.at(id).is_some_and(|armed| tick_from(at) < armed) {
            self.rearm(id, at);
        }
    }

    /// Disarms a timer; says what it was for.
    pub fn disarm(&mut self, id: TimerId) -> Option<T> {
        self.unlink(id);
        self.nodes.remove(id)
    }

    /// When to look next: the time of the first timer. `None`: nothing is armed. After a timer was
    /// disarmed or moved to a later time this may be too early once, as early as that timer was
    /// due.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        if !self.due.is_empty() {
            return Some(self.elapsed << TICK_BITS);
        }
        let (level, index) = self.first_bucket()?;
        Some(self.bucket(level, index)?.earliest << TICK_BITS)
    }

    /// Takes the first timer that is due at `now`, which never runs backwards; it is armed no more.
    /// To be asked until there is none, or in the next turn again: [`TimerWheel::next_due`] has
    /// passed meanwhile.
    pub fn pop_due(&mut self, now: Nanos) -> Option<T> {
        let now = now >> TICK_BITS;
        loop {
            if let Some(id) = Nodes::<T>::first(self.due) {
                self.nodes.unlink(&mut self.due, id);
                return self.nodes.remove(id);
            }
            let first =
                self.first_bucket().map(|(level, index)| (level, index, self.start(level, index)));
            match first {
                Some((level, index, start)) if start <= now => {
                    self.elapsed = start;
                    self.spread(level, index);
                }
                _ => {
                    self.elapsed = self.elapsed.max(now);
                    return None;
                }
            }
        }
    }

    /// The first bucket that has timers. Those of a ring are all due before those of the next, and
    /// its buckets follow each other within one turn.
    fn first_bucket(&self) -> Option<(usize, usize)> {
        let level = self.rings.iter().position(|ring| ring.occupied != 0)?;
        Some((level, self.rings.get(level)?.occupied.trailing_zeros() as usize))
    }

    fn bucket(&self, level: usize, index: usize) -> Option<&Bucket> {
        self.rings.get(level)?.buckets.get(index)
    }

    /// The first tick of a bucket that has timers.
    fn start(&self, level: usize, index: usize) -> u64 {
        let shift = DIGIT_BITS * level as u32;
        let above = self.elapsed >> shift >> DIGIT_BITS << DIGIT_BITS;
        (above | index as u64) << shift
    }

    /// The present tick is the first one of a bucket: its timers are due, or move to lower rings.
    fn spread(&mut self, level: usize, index: usize) {
        let Some(ring) = self.rings.get_mut(level) else { return };
        let Some(bucket) = ring.buckets.get_mut(index) else { return };
        ring.occupied &= !(1 << index);
        bucket.earliest = u64::MAX;
        let mut timers = std::mem::replace(&mut bucket.timers, List::EMPTY);
        while let Some(id) = Nodes::<T>::first(timers) {
            self.nodes.unlink(&mut timers, id);
            self.link(id);
        }
    }

    /// Where a timer of this tick stands as long as the present tick is as it is.
    const fn place(&self, at: u64) -> Place {
        if at <= self.elapsed {
            return Place::Due;
        }
        let level = (at ^ self.elapsed).ilog2() / DIGIT_BITS;
        let digit = (at >> (DIGIT_BITS * level)) & (BUCKETS as u64 - 1);
        Place::Bucket { level: level as usize, index: digit as usize }
    }

    fn link(&mut self, id: TimerId) {
        let Some(at) = self.nodes.at(id) else {
            return invariant!(false, "a timer that is linked is armed");
        };
        match self.place(at) {
            Place::Due => self.nodes.push_back(&mut self.due, id),
            Place::Bucket { level, index } => {
                let Some(ring) = self.rings.get_mut(level) else { return };
                let Some(bucket) = ring.buckets.get_mut(index) else { return };
                self.nodes.push_back(&mut bucket.timers, id);
                bucket.earliest = bucket.earliest.min(at);
                ring.occupied |= 1 << index;
            }
        }
    }

    fn unlink(&mut self, id: TimerId) {
        let Some(at) = self.nodes.at(id) else {
            return invariant!(false, "a timer that is moved or disarmed is armed");
        };
        match self.place(at) {
            Place::Due => self.nodes.unlink(&mut self.due, id),
            Place::Bucket { level, index } => {
                let Some(ring) = self.rings.get_mut(level) else { return };
                let Some(bucket) = ring.buckets.get_mut(index) else { return };
                self.nodes.unlink(&mut bucket.timers, id);
                if bucket.timers.is_empty() {
                    ring.occupied &= !(1 << index);
                    bucket.earliest = u64::MAX;
                }
            }
        }
    }
}

/// The first tick that is not before `at`.
const fn tick_from(at: Nanos) -> u64 {
    let tick = at.div_ceil(TICK_NS);
    if tick < LAST_TICK { tick } else { LAST_TICK }
}
