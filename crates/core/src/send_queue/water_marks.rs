//! How much unsent output of a session means what.

/// The marks of every session, in unsent bytes; `low <= high <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaterMarks {
    /// Above it the session is not read.
    pub low: usize,
    /// Above it `send` answers *full*, until it is at the low mark again.
    pub high: usize,
    /// Above it the next message closes the session.
    pub max: usize,
}

impl WaterMarks {
    /// Whether the session is full, which depends on whether it `was_full` between the marks.
    #[must_use]
    pub const fn is_full(&self, unsent: usize, was_full: bool) -> bool {
        unsent > self.high || (was_full && unsent > self.low)
    }

    /// Whether the session is not to be read.
    #[must_use]
    pub const fn holds_reading(&self, unsent: usize) -> bool {
        unsent > self.low
    }

    /// Whether the session may take no further message.
    #[must_use]
    pub const fn is_exceeded(&self, unsent: usize) -> bool {
        unsent > self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_full_above_the_high_mark_until_it_is_at_the_low_one() {
        let marks = WaterMarks { low: 10, high: 20, max: 30 };
        let mut full = false;
        for (unsent, expected) in
            [(10, false), (20, false), (21, true), (20, true), (11, true), (10, false), (20, false)]
        {
            full = marks.is_full(unsent, full);
            assert_eq!(full, expected, "{unsent}");
        }
    }

    #[test]
    fn the_marks_themselves_are_still_allowed() {
        let marks = WaterMarks { low: 10, high: 20, max: 30 };
        assert_eq!([10, 11].map(|unsent| marks.holds_reading(unsent)), [false, true]);
        assert_eq!([30, 31].map(|unsent| marks.is_exceeded(unsent)), [false, true]);
    }
}
