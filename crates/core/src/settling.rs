//! When something is looked at that others change in several steps: once it has been quiet for a
//! while, or after a longest time in which it never was.

use crate::Millis;

/// Changes that are not looked at yet.
#[derive(Debug)]
pub struct Settling {
    quiet: Millis,
    longest: Millis,
    /// The first of them, and the last.
    seen: Option<(Millis, Millis)>,
}

impl Settling {
    /// Looked at after `quiet` without a change, and `longest` after the first one in any case.
    #[must_use]
    pub const fn new(quiet: Millis, longest: Millis) -> Self {
        Self { quiet, longest, seen: None }
    }

    /// Something has changed.
    pub fn changed(&mut self, now: Millis) {
        let (first, _) = self.seen.unwrap_or((now, now));
        self.seen = Some((first, now));
    }

    /// When it is to be looked at; `None` while nothing has changed.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        let (first, last) = self.seen?;
        Some(last.saturating_add(self.quiet).min(first.saturating_add(self.longest)))
    }

    /// Whether it is to be looked at now; it counts as looked at then.
    pub fn take_due(&mut self, now: Millis) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            self.seen = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_change_puts_the_look_off_until_it_has_waited_for_the_longest() {
        let mut settling = Settling::new(10, 25);
        assert_eq!(settling.due(), None);
        settling.changed(100);
        settling.changed(108);
        assert_eq!(settling.due(), Some(118));
        settling.changed(117);
        assert_eq!(settling.due(), Some(125), "the longest");
        assert!(!settling.take_due(124) && settling.take_due(125) && !settling.take_due(200));
        settling.changed(300);
        assert_eq!(settling.due(), Some(310), "a new one");
    }

    proptest! {
        /// Whenever changes come: each is looked at after it, and not later than the longest.
        #[test]
        fn no_change_is_overlooked(pauses in proptest::collection::vec(1u64..40, 1..60)) {
            let (mut settling, mut now, mut open) = (Settling::new(10, 25), 0, Vec::new());
            for pause in pauses {
                for _ in 0..pause {
                    now += 1;
                    if settling.take_due(now) {
                        open.clear();
                    }
                }
                settling.changed(now);
                open.push(now);
                prop_assert!(open.iter().all(|change| now - change <= 25));
                prop_assert!(settling.due().is_some_and(|due| due > now));
            }
        }
    }
}
