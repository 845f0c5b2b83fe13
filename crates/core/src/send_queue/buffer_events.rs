//! What workers are told of a session's unsent output: that it is above the high mark, and that it
//! is at the low one again.

/// One such event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferEvent {
    /// The unsent output is above the high mark.
    Full,
    /// It is at the low mark or below, after it was full.
    Empty,
}

/// The events of one session that are still to be told. They alternate, beginning with
/// [`BufferEvent::Full`], and the last one tells how it stands. Who does not come to telling them
/// leaves out pairs in the middle, never the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferEvents {
    is_full: bool,
    /// Events that are not told: 0, 1, or a pair.
    owed: u8,
}

impl BufferEvents {
    /// The session is full, or is not. True when there is something new to tell.
    pub const fn set_full(&mut self, is_full: bool) -> bool {
        if self.is_full == is_full {
            return false;
        }
        self.is_full = is_full;
        // The third makes a pair of the first two, of which nobody has heard.
        self.owed = if self.owed == 2 { 1 } else { self.owed + 1 };
        true
    }

    /// The event that is to be told next.
    #[must_use]
    pub const fn next(&self) -> Option<BufferEvent> {
        // The last one that is owed tells how it stands; with a pair the first tells the contrary.
        match (self.owed, self.is_full) {
            (0, _) => None,
            (1, true) | (2, false) => Some(BufferEvent::Full),
            _ => Some(BufferEvent::Empty),
        }
    }

    /// It was told.
    pub const fn told(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Never lost, never doubled, and none for who did not overload (S40, S47).
        #[test]
        fn events_alternate_and_the_last_tells_how_it_stands(
            steps in proptest::collection::vec((any::<bool>(), any::<bool>()), 0..60),
        ) {
            let mut events = BufferEvents::default();
            let (mut told, mut overloads, mut was_full) = (Vec::new(), 0, false);
            for (is_full, tell) in steps {
                overloads += usize::from(is_full && !was_full);
                was_full = is_full;
                events.set_full(is_full);
                if tell && let Some(event) = events.next() {
                    told.push(event);
                    events.told();
                }
            }
            while let Some(event) = events.next() {
                told.push(event);
                events.told();
            }
            let alternate = [BufferEvent::Full, BufferEvent::Empty].into_iter().cycle();
            prop_assert!(told.iter().copied().eq(alternate.take(told.len())), "{:?}", told);
            prop_assert_eq!(told.len() % 2 == 1, was_full);
            prop_assert!(told.len() <= 2 * overloads);
            prop_assert_eq!(told.is_empty(), overloads == 0);
        }
    }

    #[test]
    fn a_pair_that_nobody_heard_of_is_told_once() {
        let mut events = BufferEvents::default();
        for is_full in [true, false, true, false] {
            assert!(events.set_full(is_full));
            assert!(!events.set_full(is_full), "nothing new");
        }
        assert_eq!(events.next(), Some(BufferEvent::Full));
        events.told();
        assert_eq!(events.next(), Some(BufferEvent::Empty));
        events.told();
        assert_eq!(events.next(), None);
    }
}
