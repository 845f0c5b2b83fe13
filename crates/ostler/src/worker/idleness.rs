//! For how long this worker has had nothing to do.

use ostler_core::Nanos;

/// The time since the last delivery of a worker that has had one.
#[derive(Debug)]
pub(super) struct Idleness {
    /// After so long it asks to be replaced; `None`: never.
    most: Option<Nanos>,
    /// `None`: it is as fresh as its successor would be.
    since: Option<Nanos>,
}

impl Idleness {
    pub(super) const fn new(most: Option<Nanos>) -> Self {
        Self { most, since: None }
    }

    /// A delivery has ended.
    pub(super) const fn has_worked(&mut self, now: Nanos) {
        self.since = Some(now);
    }

    /// When it has had nothing to do for long enough.
    pub(super) fn due(&self) -> Option<Nanos> {
        Some(self.since?.saturating_add(self.most?))
    }

    /// Whether it has had nothing to do for long enough. Somebody who waits for something, which
    /// has begun with a delivery, is not idle.
    pub(super) fn is_over(&mut self, now: Nanos, waits_for_something: bool) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due && waits_for_something {
            self.since = Some(now);
        }
        is_due && !waits_for_something
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idleness_begins_with_the_end_of_work() {
        let mut idleness = Idleness::new(Some(10));
        assert!(idleness.due().is_none() && !idleness.is_over(100, false), "it is fresh");
        idleness.has_worked(100);
        idleness.has_worked(105);
        assert_eq!(idleness.due(), Some(115));
        assert!(!idleness.is_over(114, false) && idleness.is_over(115, false));
        assert!(!idleness.is_over(115, true), "a deferred delivery is work");
        assert_eq!(idleness.due(), Some(125));
    }

    #[test]
    fn without_a_maximum_nobody_is_idle() {
        let mut idleness = Idleness::new(None);
        idleness.has_worked(1);
        assert!(idleness.due().is_none() && !idleness.is_over(Nanos::MAX, false));
    }
}
