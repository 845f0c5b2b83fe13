//! How many event workers there are to be: what somebody asked for, or what the waiting of clients
//! asks for, between two limits.
//!
//! One more when clients wait for a worker and most have work; the next one only when that one
//! serves, so that a boot that takes long does not fill the server. One less when the others would
//! have been busy for at most [`BUSY_PERCENT_MAX`] of the time, over a whole window without anybody
//! who waited. So the number rises with the first wait and falls slowly, and there is no number
//! between which and the next it swings: who left is not missed at once.

use crate::Millis;

/// What the remaining workers may have been busy, percent of the time; and how many of them have to
/// be busy, percent, when somebody waits, so that one more would help. Below all of it, because a
/// mean hides the peaks; above one half, because else two workers would never become one.
pub const BUSY_PERCENT_MAX: u64 = 70;
/// Looks at what workers do, in the time after which there is one less.
const LOOKS: Millis = 60;
/// The shortest time between two looks, milliseconds: below it looking costs more than it tells.
const LOOK_MIN_MS: Millis = 10;
/// The longest: a look sees a moment only.
const LOOK_MAX_MS: Millis = 1_000;

/// The limits, and when the number changes by itself.
#[derive(Clone, Copy, Debug)]
pub struct WorkerCountSettings {
    /// How many there are at the start.
    pub workers: u16,
    /// The fewest.
    pub min: u16,
    /// The most.
    pub max: u16,
    /// The number follows the waiting of clients; this long nobody must have waited, and others
    /// must have had time, until there is one less, milliseconds. `None`: it changes only when
    /// somebody asks for it.
    pub shrink_after_ms: Option<Millis>,
}

/// What was seen since the number changed, or since somebody waited.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// When it began. `None`: with the next look.
    began: Option<Millis>,
    looks: u64,
    /// The sum of those who were busy.
    busy: u64,
}

/// The number of event workers that is wanted.
///
/// # Examples
///
/// ```
/// use ostler_core::worker_count::{WorkerCount, WorkerCountSettings};
///
/// let shrink_after_ms = Some(60_000);
/// let settings = WorkerCountSettings { workers: 1, min: 1, max: 3, shrink_after_ms };
/// let mut count = WorkerCount::new(settings);
/// assert_eq!(count.somebody_waits(1), Some(2));
/// assert_eq!(count.somebody_waits(2), None, "the second does not serve yet");
/// count.serves(1);
/// assert_eq!(count.somebody_waits(1), None, "the other is without work");
/// assert_eq!(count.somebody_waits(2), Some(3));
/// assert_eq!(count.ask(9), None, "there can be no more than three");
/// ```
#[derive(Debug)]
pub struct WorkerCount {
    settings: WorkerCountSettings,
    wanted: u16,
    /// The slot of the worker that was asked for last, until it serves.
    awaited: Option<u16>,
    window: Window,
}

impl WorkerCount {
    /// As at the start of the server.
    #[must_use]
    pub fn new(settings: WorkerCountSettings) -> Self {
        Self { wanted: settings.workers, awaited: None, window: Window::default(), settings }
    }

    /// How many are wanted.
    #[must_use]
    pub const fn wanted(&self) -> u16 {
        self.wanted
    }

    /// The fewest and the most there can be.
    #[must_use]
    pub const fn limits(&self) -> (u16, u16) {
        (self.settings.min, self.settings.max)
    }

    /// Somebody asks for so many. Answers the nearest number that there can be, if that is another
    /// one than now.
    pub fn ask(&mut self, workers: u16) -> Option<u16> {
        let workers = workers.clamp(self.settings.min, self.settings.max);
        if workers == self.wanted {
            return None;
        }
        self.awaited = workers.checked_sub(1).filter(|_| workers > self.wanted);
        self.wanted = workers;
        self.window = Window::default();
        Some(workers)
    }

    /// A worker serves in this slot.
    pub fn serves(&mut self, slot: u16) {
        if self.awaited == Some(slot) {
            self.awaited = None;
        }
    }

    /// Somebody waits for a worker, and so many are busy. Answers how many there are to be, if that
    /// changes: one more, when at least [`BUSY_PERCENT_MAX`] of them are busy.
    pub fn somebody_waits(&mut self, busy: u16) -> Option<u16> {
        self.settings.shrink_after_ms?;
        if u64::from(busy) * 100 < u64::from(self.wanted) * BUSY_PERCENT_MAX {
            return None;
        }
        self.window = Window::default();
        if self.awaited.is_some() { None } else { self.ask(self.wanted.saturating_add(1)) }
    }

    /// How often somebody is to look how many workers are busy. `None`: nobody needs to, because
    /// there will not be fewer anyway.
    #[must_use]
    pub fn look_every_ms(&self) -> Option<Millis> {
        let shrink_after = self.settings.shrink_after_ms?;
        let pause = (shrink_after / LOOKS).clamp(LOOK_MIN_MS, LOOK_MAX_MS);
        (self.wanted > self.settings.min).then_some(pause)
    }

    /// Somebody has looked: so many are busy now. Answers how many there are to be, if that
    /// changes.
    pub fn look(&mut self, busy: u16, now: Millis) -> Option<u16> {
        let shrink_after = self.settings.shrink_after_ms?;
        let began = *self.window.began.get_or_insert(now);
        self.window.looks += 1;
        self.window.busy += u64::from(busy);
        if now.saturating_sub(began) < shrink_after {
            return None;
        }
        let others = u64::from(self.wanted.saturating_sub(1));
        let suffice = self.window.busy * 100 <= self.window.looks * others * BUSY_PERCENT_MAX;
        self.window = Window::default();
        if suffice { self.ask(self.wanted.saturating_sub(1)) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn between(workers: u16, min: u16, max: u16) -> WorkerCount {
        let shrink_after_ms = Some(6_000);
        WorkerCount::new(WorkerCountSettings { workers, min, max, shrink_after_ms })
    }

    /// Looks for a whole window, each time with so many busy.
    fn look_for_a_window(count: &mut WorkerCount, busy: u16, from: Millis) -> Option<u16> {
        (0..=60).find_map(|look| count.look(busy, from + look * 100))
    }

    #[test]
    fn a_number_is_brought_into_its_limits_and_told_when_it_is_new() {
        let mut count = between(3, 2, 5);
        assert_eq!((count.ask(3), count.ask(4), count.ask(4)), (None, Some(4), None));
        assert_eq!((count.ask(9), count.ask(6), count.ask(0)), (Some(5), None, Some(2)));
        let mut fixed = between(3, 3, 3);
        assert_eq!((fixed.ask(2), fixed.ask(9), fixed.somebody_waits(9)), (None, None, None));
    }

    #[test]
    fn one_more_at_a_time_and_the_next_when_it_serves() {
        let mut count = between(2, 1, 4);
        assert_eq!((count.somebody_waits(9), count.somebody_waits(9)), (Some(3), None));
        count.serves(0);
        assert_eq!(count.somebody_waits(9), None, "that is a successor of one that was there");
        count.serves(2);
        assert_eq!(count.somebody_waits(9), Some(4));
        count.serves(3);
        assert_eq!(count.somebody_waits(9), None, "there can be no more");
    }

    #[test]
    fn no_more_while_most_have_nothing_to_do() {
        let mut count = between(4, 1, 9);
        assert_eq!((count.somebody_waits(0), count.somebody_waits(2)), (None, None));
        assert_eq!(count.somebody_waits(3), Some(5));
    }

    #[test]
    fn one_less_when_the_others_suffice_for_a_whole_window() {
        let mut count = between(4, 1, 4);
        assert_eq!(count.look_every_ms(), Some(100));
        assert_eq!(look_for_a_window(&mut count, 3, 0), None, "three of three would be all busy");
        assert_eq!(look_for_a_window(&mut count, 2, 10_000), Some(3), "two of three are 67 %");
        assert_eq!(look_for_a_window(&mut count, 2, 20_000), None, "two of two");
        assert_eq!(look_for_a_window(&mut count, 0, 30_000), Some(2));
        assert_eq!(look_for_a_window(&mut count, 0, 40_000), Some(1));
        assert_eq!(count.look_every_ms(), None, "there will not be fewer");
        assert_eq!(look_for_a_window(&mut count, 0, 50_000), None);
    }

    #[test]
    fn who_waits_makes_the_window_begin_anew() {
        let mut count = between(2, 1, 2);
        assert_eq!((0..60).find_map(|look| count.look(0, look * 100)), None);
        assert_eq!(count.somebody_waits(9), None);
        assert_eq!(count.look(0, 6_000), None);
        assert_eq!(count.look(0, 11_999), None);
        assert_eq!(count.look(0, 12_000), Some(1));
    }

    #[test]
    fn nothing_changes_by_itself_unless_that_is_asked_for() {
        let settings = WorkerCountSettings { workers: 2, min: 1, max: 4, shrink_after_ms: None };
        let mut count = WorkerCount::new(settings);
        assert_eq!(
            (count.somebody_waits(9), count.look(0, 0), count.look(0, u64::MAX)),
            (None, None, None)
        );
        assert_eq!(count.look_every_ms(), None);
        assert_eq!(count.ask(3), Some(3));
    }

    proptest! {
        /// Whatever happens, the number stays within its limits and moves by one by itself, and
        /// what is answered is what is wanted.
        #[test]
        fn the_number_keeps_its_limits(
            (min, more, room) in (1u16..6, 0u16..6, 0u16..6),
            steps in proptest::collection::vec((0u8..4, 0u16..9, 0u64..3_000), 0..200),
        ) {
            let (workers, max) = (min + more, min + more + room);
            let mut count = between(workers, min, max);
            let mut now = 0;
            for (what, number, time) in steps {
                now += time;
                let before = count.wanted();
                let (changed, by_itself) = match what {
                    0 => (count.ask(number), false),
                    1 => (count.somebody_waits(number), true),
                    2 => (count.look(number, now), true),
                    _ => { count.serves(number); (None, true) }
                };
                prop_assert_eq!(changed.unwrap_or(before), count.wanted());
                prop_assert!((min..=max).contains(&count.wanted()));
                prop_assert!(!by_itself || before.abs_diff(count.wanted()) <= 1);
            }
        }
    }
}
