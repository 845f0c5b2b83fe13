//! When the disk is asked to have what was written.

use crate::Millis;

/// What was settled may come back when the machine fails so soon; nobody waits for the disk.
const SETTLED_MS: Millis = 100;

/// How much may be lost when the machine fails; a server that is killed loses nothing either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Nothing: a task is taken in when the disk has it.
    Always,
    /// So many milliseconds.
    Every(Millis),
    /// What the system has not written by itself.
    Never,
}

/// When it was asked, and when it is next.
#[derive(Clone, Copy, Debug)]
pub struct SyncPace {
    mode: SyncMode,
    /// When the first was written that the disk may not have.
    since: Option<Millis>,
}

impl SyncPace {
    /// Nothing is written yet.
    #[must_use]
    pub const fn new(mode: SyncMode) -> Self {
        Self { mode, since: None }
    }

    /// Whether a group is taken in only when the disk has it.
    #[must_use]
    pub const fn is_before_answers(&self) -> bool {
        matches!(self.mode, SyncMode::Always)
    }

    /// Something was written.
    pub fn wrote(&mut self, now: Millis) {
        self.since.get_or_insert(now);
    }

    /// The disk has everything.
    pub const fn synced(&mut self) {
        self.since = None;
    }

    /// When it is to be asked next.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        let since = self.since?;
        match self.mode {
            SyncMode::Always => Some(since.saturating_add(SETTLED_MS)),
            SyncMode::Every(pause) => Some(since.saturating_add(pause)),
            SyncMode::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_counted_from_the_first_that_was_written() {
        let mut pace = SyncPace::new(SyncMode::Every(10));
        assert_eq!(pace.due(), None);
        pace.wrote(5);
        pace.wrote(9);
        assert_eq!(pace.due(), Some(15));
        pace.synced();
        assert_eq!(pace.due(), None);
        let mut never = SyncPace::new(SyncMode::Never);
        never.wrote(1);
        assert_eq!(never.due(), None);
        assert!(SyncPace::new(SyncMode::Always).is_before_answers());
    }
}
