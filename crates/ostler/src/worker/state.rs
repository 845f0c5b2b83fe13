//! States that this worker sets: their way up, and what the session table does not show of them
//! yet, for a handler reads what it wrote.

use std::collections::HashMap;

use ostler_shm::layout::PAGE;
use ostler_shm::record::{FLAG_IN_FILE, Header, RecordKind};

use super::context::WorkerContext;
use super::files::FileToSend;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::{SendError, SendErrorKind};

/// The longest state that is written into its record. A longer one is passed in a file: in the ring
/// it could fill the half that a transaction may hold back, and what is more than that is published
/// before its delivery is finished.
const IN_RECORD_MAX_BYTES: usize = 8 * 1024;

/// How many states are kept before those that the table shows are forgotten.
const PRUNE_AT: usize = 1_024;
/// How many bytes of them.
const PRUNE_AT_BYTES: usize = 4 * 1024 * 1024;

impl WorkerContext {
    /// Whether a state is short enough, and finds room. One that others take the room of meanwhile
    /// ends its session.
    pub(super) fn check_state(&self, session: u64, len: usize) -> Result<(), SendError> {
        self.check_state_len(len)?;
        if len <= self.sessions.state_bytes() {
            return Ok(());
        }
        // Those on their way find room first.
        let before = self.sender.port().states_bytes(self.sessions.lane(session));
        match self.sessions.state_room(session) {
            Some(room) if before + len as u64 > room => {
                Err(SendErrorKind::NoRoomForState { len }.into())
            }
            _ => Ok(()),
        }
    }

    /// Whether a state is short enough.
    pub(crate) fn check_state_len(&self, len: usize) -> Result<(), SendError> {
        let most = self.settings.session_state_max_bytes;
        if len <= most { Ok(()) } else { Err(SendError::state_too_long(len, most)) }
    }
}

impl Sender {
    /// A session's new state, in the transaction of the outputs before and behind it.
    pub(super) fn append_state(
        &self,
        session: u64,
        lane: usize,
        cause: u64,
        state: &[u8],
        for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let kind = RecordKind::State as u8;
        let header = Header { kind, subject: session, cause, ..Header::default() };
        if state.len() <= IN_RECORD_MAX_BYTES {
            self.append_waiting(lane, header, state, for_delivery)?;
            if state.len() > self.port().board().state_bytes() {
                self.port().count_state(lane, pages_of(state.len()));
            }
            return Ok(());
        }
        let Some(file) = FileToSend::of_bytes("ostler-state", state)? else { return Ok(()) };
        let header = Header { flags: FLAG_IN_FILE, ..header };
        self.append_passing(lane, header, &file, pages_of(state.len()), for_delivery)
    }
}

/// Bytes of the pages that a state takes in the area of its reactor.
const fn pages_of(len: usize) -> u64 {
    (len as u64).next_multiple_of(PAGE)
}

/// Blobs by session, each with the version that the table will show when it has arrived there.
#[derive(Debug, Default)]
pub(crate) struct StateOverlay {
    states: HashMap<u64, (u32, Vec<u8>)>,
    bytes: usize,
    /// How many bytes there were when those that the table shows were forgotten last.
    bytes_left: usize,
}

impl StateOverlay {
    /// Remembers what was set. `shown` answers the version that the table shows of a session,
    /// `None` when it is gone.
    pub(crate) fn set(&mut self, session: u64, state: &[u8], shown: impl Fn(u64) -> Option<u32>) {
        let is_much = self.bytes >= PRUNE_AT_BYTES.max(2 * self.bytes_left);
        if self.states.len() >= PRUNE_AT || is_much {
            self.states.retain(|session, (version, _)| {
                shown(*session).is_some_and(|shown| is_before(shown, *version))
            });
            self.bytes = self.states.values().map(|(_, state)| state.len()).sum();
            self.bytes_left = self.bytes;
        }
        let mine = self.states.get(&session).map_or(0, |(version, _)| *version);
        let table = shown(session).unwrap_or(0);
        let base = if is_before(mine, table) { table } else { mine };
        self.forget(session);
        self.bytes += state.len();
        self.states.insert(session, (base.wrapping_add(1), state.to_vec()));
    }

    /// What this worker set, if the table (at version `shown`) does not have it yet.
    pub(crate) fn get(&mut self, session: u64, shown: u32) -> Option<&[u8]> {
        let newer =
            self.states.get(&session).is_some_and(|(version, _)| is_before(shown, *version));
        if !newer {
            self.forget(session);
        }
        self.states.get(&session).map(|(_, state)| state.as_slice())
    }

    /// The session is gone.
    pub(crate) fn forget(&mut self, session: u64) {
        if let Some((_, state)) = self.states.remove(&session) {
            self.bytes -= state.len();
        }
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

    /// Long ones are not kept until there are many of them.
    #[test]
    fn it_does_not_keep_more_bytes_than_are_on_their_way() {
        let state = vec![1; 100_000];
        let mut overlay = StateOverlay::default();
        for session in 0..500_u64 {
            // The table follows ten sessions behind.
            overlay.set(session, &state, |other| Some(u32::from(session - other >= 10)));
            let kept: usize = overlay.states.values().map(|(_, state)| state.len()).sum();
            assert_eq!(overlay.bytes, kept);
            assert!(kept <= PRUNE_AT_BYTES + state.len(), "{kept} bytes");
        }
        // What the table does not show is kept, however much it is.
        for session in 1_000..1_100_u64 {
            overlay.set(session, &state, |_| Some(0));
        }
        assert!((1_000..1_100).all(|session| overlay.get(session, 0).is_some()));
    }
}
