//! Lines that clients can cause, each of them one: a few of a kind by themselves, then their
//! number.

use std::cell::RefCell;

use ostler_core::throttle::Throttle;
use ostler_core::{Millis, Nanos};

use crate::sys::clock;

/// Lines of one kind that a process writes one by one in a period; the others are counted.
const LINES_MAX: u32 = 10;
/// The period.
const PERIOD_MS: Millis = 10_000;

/// How many lines of one kind are written.
pub(crate) struct Quota {
    throttle: RefCell<Throttle>,
    /// What happened, in the plural.
    text: &'static str,
    /// Their number is as important as each of them: a warning, or not.
    is_trouble: bool,
}

impl Quota {
    /// `text` says what happened, in the plural: it is the line about those that had none.
    pub(crate) const fn new(text: &'static str) -> Self {
        Self { throttle: RefCell::new(Throttle::new(LINES_MAX, PERIOD_MS)), text, is_trouble: true }
    }

    /// The same for what is told at level `info`.
    pub(crate) const fn of_events(text: &'static str) -> Self {
        Self { is_trouble: false, ..Self::new(text) }
    }

    /// It happened: whether it gets a line of its own.
    pub(crate) fn admits(&self) -> bool {
        self.throttle.borrow_mut().admits(clock::monotonic_ms())
    }

    /// Writes how many had no line, if it is time to.
    fn tell_due(&self, now: Millis) {
        if let Some(more) = self.throttle.borrow_mut().take_held_back(now) {
            let text = self.text;
            if self.is_trouble {
                tracing::warn!(more, period_ms = PERIOD_MS, "{text}, without a line for each");
            } else {
                tracing::info!(more, period_ms = PERIOD_MS, "{text}, without a line for each");
            }
        }
    }
}

/// All quotas of a part of the program.
pub(crate) trait Quotas {
    /// Each of them.
    fn all(&self) -> impl Iterator<Item = &Quota>;

    /// When one of them has something to tell; `None` when none has.
    fn next_due(&self) -> Option<Nanos> {
        let due = self.all().filter_map(|quota| quota.throttle.borrow().due()).min()?;
        // The clock that they look at counts milliseconds.
        Some(due.saturating_add(1).saturating_mul(1_000_000))
    }

    /// Writes how many had no line, where it is time to.
    fn tell_due(&self) {
        // The clock is read only when something was held back.
        if self.next_due().is_some() {
            let now = clock::monotonic_ms();
            self.all().for_each(|quota| quota.tell_due(now));
        }
    }

    /// The end of this process: writes all that was not told.
    fn tell_rest(&self) {
        self.all().for_each(|quota| quota.tell_due(Millis::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(Quota);

    impl Quotas for One {
        fn all(&self) -> impl Iterator<Item = &Quota> {
            std::iter::once(&self.0)
        }
    }

    #[test]
    fn a_few_lines_are_written_and_the_rest_is_due_after_a_period() {
        let one = One(Quota::new("clients left"));
        assert_eq!(one.next_due(), None);
        let before = clock::monotonic_ns();
        let told = (0..50).filter(|_| one.0.admits()).count();
        assert_eq!(told, LINES_MAX as usize);
        assert!(one.next_due().is_some_and(|due| due > before + PERIOD_MS * 1_000_000));
        one.tell_due();
        assert!(one.next_due().is_some(), "it is not time yet");
        one.tell_rest();
        assert_eq!(one.next_due(), None);
    }
}
