//! The state of a session: in its entry of the session table, or, if it is longer than entries have
//! room for, in the state area of its reactor (protocol §2).
//!
//! Either way it changes under the sequence of its entry. A new state of the area is written where
//! no entry refers to; then the entry is changed; only then are the pages of the old one given to
//! others. So who has copied pages that got another owner meanwhile finds the sequence changed, and
//! reads again.

use crate::sessions::{Entry, Home, ID, PORTS, STATE};
use crate::sync::Ordering;

/// The page of the area on which a state begins that the entry has no room for.
const STATE_PAGE: usize = 11;

/// Where a state lies that its entry has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatePlace {
    /// The reactor in whose area.
    pub reactor: u8,
    /// The page there on which it begins.
    pub first_page: u32,
    /// Its bytes.
    pub len: u32,
}

/// A state, and how often the session's was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionState {
    /// How often.
    pub version: u32,
    /// The state.
    pub bytes: Vec<u8>,
}

impl Entry<'_> {
    /// Bytes of the longest state that the entry has room for.
    #[must_use]
    pub const fn state_bytes(&self) -> usize {
        self.state_words().len() * size_of::<u64>()
    }

    /// Owner: the session's new state; clipped to what the entry has room for.
    pub fn set_state(&self, state: &[u8]) {
        let state = state.get(..self.state_bytes()).unwrap_or(state);
        let next = self.next_state(state.len());
        self.write(|entry| {
            entry.set(STATE, next);
            for (word, chunk) in entry.state_words().iter().zip(state.chunks(size_of::<u64>())) {
                let mut bytes = [0u8; 8];
                for (to, from) in bytes.iter_mut().zip(chunk) {
                    *to = *from;
                }
                word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
            }
        });
    }

    /// Owner: the session's new state lies in the area of its reactor, and changes no more. It is
    /// longer than the entry has room for.
    pub fn refer_to_state(&self, first_page: u32, len: u32) {
        let next = self.next_state(len as usize);
        self.write(|entry| {
            entry.set(STATE, next);
            entry.set(STATE_PAGE, first_page.into());
        });
    }

    fn next_state(&self, len: usize) -> u64 {
        let version = (self.get(STATE) >> 32) + 1;
        version << 32 | len as u64
    }

    /// Anyone: a copy of the state, if `session` lives here. `in_area` copies what lies at a place,
    /// which may be any while the entry changes: then it is asked again. `None` of it, when it is
    /// sure that the place was meant: so is that of the state.
    #[must_use]
    pub fn state(
        &self,
        session: u64,
        in_area: impl Fn(StatePlace) -> Option<Vec<u8>>,
    ) -> Option<SessionState> {
        let read = self.read_consistent(|entry| {
            if entry.get(ID) != session {
                return None;
            }
            let state = entry.get(STATE);
            let (version, len) = ((state >> 32) as u32, state as u32);
            let bytes = if len as usize <= entry.state_bytes() {
                entry.copy_of_words(len as usize)
            } else {
                let first_page = entry.get(STATE_PAGE) as u32;
                let reactor = Home::unpack(entry.get(PORTS)).reactor;
                in_area(StatePlace { reactor, first_page, len })?
            };
            Some(SessionState { version, bytes })
        });
        read?.filter(|_| session != 0)
    }

    fn copy_of_words(&self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len.next_multiple_of(size_of::<u64>()));
        for word in self.state_words().iter().take(len.div_ceil(size_of::<u64>())) {
            bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// Anyone: how often the state was set, if `session` lives here.
    #[must_use]
    pub fn state_version(&self, session: u64) -> Option<u32> {
        let [id, state] = self.read_words([ID, STATE])?;
        (id == session && session != 0).then_some((state >> 32) as u32)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sessions::LoneEntry;
    use std::net::SocketAddr;

    const HOME: Home = Home { reactor: 3, place: 2 };

    fn open(lone: &LoneEntry, session: u64) {
        lone.entry().open(session, HOME, 0, SocketAddr::from(([127, 0, 0, 1], 1)), 1);
    }

    /// The state, which lies in the entry: elsewhere there is none.
    fn inside(lone: &LoneEntry, session: u64) -> Vec<u8> {
        let state = lone.entry().state(session, |_| None);
        state.map_or(b"it lies elsewhere".to_vec(), |state| state.bytes)
    }

    #[test]
    fn a_new_session_does_not_inherit_state() {
        let lone = LoneEntry::new(8);
        open(&lone, 64);
        lone.entry().set_state(b"secret");
        assert_eq!(inside(&lone, 64), b"secret");
        lone.entry().close();
        open(&lone, 128);
        assert_eq!(inside(&lone, 128), b"");
        assert_eq!(lone.entry().state_version(128), Some(0));
        assert_eq!(lone.entry().state_version(64), None);
        assert_eq!(lone.entry().state(64, |_| None), None);
    }

    #[test]
    fn a_state_is_clipped_to_the_room_of_its_entry() {
        for (room, kept) in [(0, 0), (1, 8), (8, 8), (9, 16), (100, 20)] {
            let lone = LoneEntry::new(room);
            open(&lone, 64);
            lone.entry().set_state(&[7; 20]);
            assert_eq!(inside(&lone, 64), vec![7; kept], "{room}");
        }
    }

    /// What is longer than the entry has room for is found where it lies, and what is set behind
    /// it, longer or shorter, is the state then.
    #[test]
    fn a_state_is_where_it_was_set_last() {
        let lone = LoneEntry::new(8);
        open(&lone, 64);
        let entry = lone.entry();
        let in_area = |place: StatePlace| Some(format!("{place:?}").into_bytes());
        let at = |first_page, len| {
            let place = StatePlace { reactor: HOME.reactor, first_page, len };
            format!("{place:?}").into_bytes()
        };
        entry.refer_to_state(7, 9);
        assert_eq!(entry.state(64, in_area).unwrap(), SessionState { version: 1, bytes: at(7, 9) });
        entry.set_state(b"short");
        assert_eq!(inside(&lone, 64), b"short");
        entry.refer_to_state(u32::MAX, u32::MAX);
        assert_eq!(entry.state(64, in_area).unwrap().bytes, at(u32::MAX, u32::MAX));
        assert_eq!(entry.state_version(64), Some(3));
        assert_eq!(entry.state(64, |_| None), None, "it does not lie there");
        entry.close();
        open(&lone, 128);
        assert_eq!(inside(&lone, 128), b"");
    }
}
