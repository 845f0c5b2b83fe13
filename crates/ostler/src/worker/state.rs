//! States that this worker has set and the session table does not show yet: a handler reads what it
//! wrote.

use std::collections::HashMap;

/// How many states are kept before those that the table shows are forgotten.
const PRUNE_AT: usize = 1_024;

/// Blobs by session, each with the version that the table will show when it has arrived there.
#[derive(Debug, Default)]
pub(crate) struct StateOverlay {
    states: HashMap<u64, (u32, Vec<u8>)>,
}

impl StateOverlay {
    /// Remembers what was set. `shown` answers the version that the table shows of a session,
    /// `None` when it is gone.
    pub(crate) fn set(&mut self, session: u64, state: &[u8], shown: impl Fn(u64) -> Option<u32>) {
        if self.states.len() >= PRUNE_AT {
            self.states.retain(|session, (version, _)| {
                shown(*session).is_some_and(|shown| is_before(shown, *version))
            });
        }
        let mine = self.states.get(&session).map_or(0, |(version, _)| *version);
        let table = shown(session).unwrap_or(0);
        let base = if is_before(mine, table) { table } else { mine };
        self.states.insert(session, (base.wrapping_add(1), state.to_vec()));
    }

    /// What this worker set, if the table (at version `shown`) does not have it yet.
    pub(crate) fn get(&mut self, session: u64, shown: u32) -> Option<&[u8]> {
        let newer =
            self.states.get(&session).is_some_and(|(version, _)| is_before(shown, *version));
        if !newer {
            self.states.remove(&session);
        }
        self.states.get(&session).map(|(_, state)| state.as_slice())
    }

    /// The session is gone.
    pub(crate) fn forget(&mut self, session: u64) {
        self.states.remove(&session);
    }
}

const fn is_before(version: u32, other: u32) -> bool {
    (other.wrapping_sub(version) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_read_until_the_table_shows_it() {
        let mut overlay = StateOverlay::default();
        overlay.set(7, b"a", |_| Some(4));
        overlay.set(7, b"b", |_| Some(4));
        assert_eq!(overlay.get(7, 4), Some(&b"b"[..]));
        assert_eq!(overlay.get(7, 5), Some(&b"b"[..]), "the table shows the first of two");
        assert_eq!(overlay.get(7, 6), None, "the table has it");
        assert_eq!(overlay.get(7, 4), None, "and it was forgotten");
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let mut overlay = StateOverlay::default();
        for session in 0..10_000_u64 {
            // The table follows a hundred sessions behind; the oldest half of the sessions has
            // ended.
            overlay.set(session, b"x", |other| match session - other {
                ..100 => Some(1),
                _ if other < 5_000 => None,
                _ => Some(2),
            });
        }
        assert!(overlay.states.len() <= PRUNE_AT + 1);
    }
}
