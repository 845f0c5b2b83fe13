//! States of sessions (decision 86): short ones lie in the session table, longer ones in the state
//! area of their reactor, where every worker reads them.
//!
//! The reactor is the only one that writes there. It copies what a worker has published, shows it
//! by one change of the session's entry, and takes the pages back when the session has another
//! state, or is gone for everybody.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_core::brain::{CloseReason, ConnectionSlot};
use ostler_shm::board::Board;
use ostler_shm::body_area::{BodyArea, BodySpace, SharedBody};
use ostler_shm::file_range::FileRange;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;

use super::ClientSide;
use super::destination::Passed;
use crate::sys::sealed_file;

/// The states of a reactor's sessions that lie in its area.
#[derive(Debug)]
pub(super) struct States {
    area: Option<Arc<BodyArea>>,
    bodies: HashMap<u64, SharedBody>,
    /// The longest one, bytes.
    longest: usize,
    /// The room is another one than what workers are shown.
    has_changed: bool,
    /// Whether memory that was never used counts as room.
    may_touch: bool,
}

/// Where a new state is.
pub(super) enum NewState<'a> {
    /// In memory that its worker may be changing.
    Here(RawBytes<'a>),
    /// In a file, so many bytes of it.
    InFile(OwnedFd, u64),
}

impl NewState<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Here(bytes) => bytes.len(),
            Self::InFile(_, len) => usize::try_from(*len).unwrap_or(usize::MAX),
        }
    }

    /// Copies it.
    fn copy(&self, mut take: impl FnMut(&[u8])) -> Result<(), ProtocolViolation> {
        match self {
            Self::Here(bytes) => {
                take(&bytes.to_vec());
                Ok(())
            }
            Self::InFile(file, len) => match sealed_file::copy(file, *len, take) {
                Ok(true) => Ok(()),
                Ok(false) => Err(ProtocolViolation("a state in a file that it may change")),
                Err(_) => Err(ProtocolViolation("a state in a file that cannot be read")),
            },
        }
    }
}

impl States {
    /// None yet; the longest has so many bytes.
    pub(super) fn new(board: &Board, reactor: usize, longest: usize) -> Self {
        let area = board.take_state_area(reactor);
        board.set_state_room(reactor, area.as_ref().map_or(0, |area| area.room(true)));
        Self { area, bodies: HashMap::new(), longest, has_changed: false, may_touch: true }
    }

    /// Bytes of memory that they take, or have taken: none of it goes back to the system.
    pub(super) fn touched_bytes(&self) -> u64 {
        self.area.as_ref().map_or(0, |area| area.touched_bytes())
    }

    /// How many there are.
    pub(super) fn long_ones(&self) -> u64 {
        self.bodies.len() as u64
    }

    /// Bytes of memory that they take now.
    pub(super) fn used_bytes(&self) -> u64 {
        self.area.as_ref().map_or(0, |area| area.touched_bytes() - area.idle_bytes())
    }

    /// Bytes of the longest one for which there is room.
    fn room(&self) -> u64 {
        self.area.as_ref().map_or(0, |area| area.room(true))
    }

    fn take(&self, len: usize) -> Option<BodySpace> {
        self.area.as_ref()?.take(len)
    }

    /// The session has this one; the pages of the one before it are free.
    fn put(&mut self, session: u64, body: Option<SharedBody>) {
        let before = match body {
            Some(body) => self.bodies.insert(session, body),
            None => self.bodies.remove(&session),
        };
        self.has_changed |= before.is_some();
    }
}

impl ClientSide {
    /// A worker has set a state.
    pub(super) fn state_record(
        &mut self,
        session: u64,
        state: &NewState<'_>,
    ) -> Result<(), ProtocolViolation> {
        if state.len() > self.states.longest {
            return Err(ProtocolViolation("a state longer than session_state_max_bytes"));
        }
        let Some(slot) = self.told_place_of(session) else { return Ok(()) };
        // Its worker may have looked before that room was promised to another one.
        let has_room = state.len() <= self.board.state_bytes()
            || self.reports.places.have_room_in(self.states.room(), state.len());
        if !has_room || !self.keep_state(session, state)? {
            self.refuse_state(slot, session, "there is no memory for it");
        }
        Ok(())
    }

    /// The same of a state that was passed in a file, of so many bytes.
    pub(super) fn state_in_file(
        &mut self,
        session: u64,
        len: u64,
        passed: Passed,
    ) -> Result<(), ProtocolViolation> {
        match passed {
            Passed::File(file, _) => self.state_record(session, &NewState::InFile(file, len)),
            // The next worker would see an old one.
            Passed::NoPlace => {
                if let Some(slot) = self.told_place_of(session) {
                    self.refuse_state(slot, session, "there is no descriptor for it");
                }
                Ok(())
            }
        }
    }

    /// The session has this state from now on. False: there is no room for it, and it has the one
    /// before.
    pub(super) fn keep_state(
        &mut self,
        session: u64,
        state: &NewState<'_>,
    ) -> Result<bool, ProtocolViolation> {
        let Some(entry) = self.board.entry(session) else { return Ok(true) };
        let len = state.len();
        if len <= entry.state_bytes() {
            let mut bytes = Vec::with_capacity(len);
            state.copy(|piece| bytes.extend_from_slice(piece))?;
            entry.set_state(&bytes);
            self.states.put(session, None);
            return Ok(true);
        }
        let Some(mut space) = self.states.take(len) else { return Ok(false) };
        self.states.has_changed = true;
        state.copy(|piece| {
            let copied = space.rest().copy_from(piece);
            space.grow(copied);
        })?;
        let body = space.finish();
        entry.refer_to_state(body.first_page(), len as u32);
        self.states.put(session, Some(body));
        Ok(true)
    }

    /// A state cannot be kept. Its worker was told that it is, and may have said so to the client.
    pub(super) fn refuse_state(&mut self, slot: ConnectionSlot, session: u64, why: &'static str) {
        self.traffic.states_refused += 1;
        if self.complaints.state_refused.admits() {
            tracing::warn!(session, why, "a state cannot be kept: its session is closed");
        }
        // Of one without a socket nobody reads the state but its close event.
        if self.connections.get_mut(slot).is_some() {
            self.brain.close(slot, CloseReason::MemoryBudget);
        }
    }

    /// The session is gone for everybody, and its entry free.
    pub(super) fn drop_state(&mut self, session: u64) {
        self.states.put(session, None);
    }

    /// A state has come from another master: what is left is shown before another is asked for.
    pub(super) fn tell_state_room(&mut self) {
        self.publish_state_room(!self.states.may_touch);
    }

    /// Once per turn: workers are shown how long a state may be. While memory is tight only what
    /// was used before is room.
    pub(super) fn publish_state_room(&mut self, is_tight: bool) {
        let states = &mut self.states;
        if let Some(area) = &states.area
            && (states.has_changed || states.may_touch == is_tight)
        {
            (states.has_changed, states.may_touch) = (false, !is_tight);
            self.board.set_state_room(self.index, area.room(!is_tight));
        }
    }
}

/// Which part of which file is a state: all of it.
pub(super) fn length_in_file(payload: &[u8]) -> Result<u64, ProtocolViolation> {
    let range = FileRange::from_bytes(payload).filter(|range| range.offset() == 0);
    range.map(FileRange::len).ok_or(ProtocolViolation("no state in a file"))
}
