//! The areas of the board: for each reactor one for long packages, and one for states that their
//! entries of the session table have no room for.

use crate::board::Board;
use crate::body_area::BodyArea;
use crate::lane::{PackageBytes, RawBytes};
use crate::layout::PAGE;
use crate::session_state::{SessionState, StatePlace};
use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// A bit for each reactor whose area was handed out.
#[derive(Debug, Default)]
pub(crate) struct AreasTaken {
    bodies: AtomicU64,
    states: AtomicU64,
}

impl Board {
    /// Master, the reactor: its area for long packages, once. `None`: there is none.
    #[must_use]
    pub fn take_body_area(&self, reactor: usize) -> Option<Arc<BodyArea>> {
        let at = self.sizes.body_area_at(reactor)?;
        self.take_area(&self.areas_taken.bodies, reactor, at, self.sizes.body_area)
    }

    /// Master, the reactor: its area for states, once. `None`: there is none.
    #[must_use]
    pub fn take_state_area(&self, reactor: usize) -> Option<Arc<BodyArea>> {
        let at = self.sizes.state_area_at(reactor)?;
        self.take_area(&self.areas_taken.states, reactor, at, self.sizes.state_area)
    }

    fn take_area(
        &self,
        taken: &AtomicU64,
        reactor: usize,
        at: u64,
        len: u64,
    ) -> Option<Arc<BodyArea>> {
        if reactor >= self.sizes.reactors || len == 0 {
            return None;
        }
        let bit = 1 << reactor;
        if taken.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return None;
        }
        BodyArea::new(&self.mapping, at, len)
    }

    /// Worker: the package in a reactor's area that a record names. It stays as it is until the
    /// delivery is finished. `None`: no record of a correct master names that.
    #[must_use]
    pub fn body(&self, reactor: usize, first_page: u32, len: u32) -> Option<PackageBytes> {
        self.body_at(reactor, u64::from(first_page).checked_mul(PAGE)?, len)
    }

    /// Worker: `len` bytes of a reactor's area, so many bytes behind its begin, for as long as a
    /// [`Board::body`].
    #[must_use]
    pub fn body_at(&self, reactor: usize, offset: u64, len: u32) -> Option<PackageBytes> {
        let end = offset.checked_add(u64::from(len))?;
        if reactor >= self.sizes.reactors || end > self.sizes.body_area {
            return None;
        }
        let at = self.sizes.body_area_at(reactor)?.checked_add(offset)?;
        let pointer = self.mapping.at(at, u64::from(len))?;
        Some(PackageBytes::of_body(Arc::clone(&self.mapping), pointer.as_ptr(), len as usize))
    }

    /// Anyone: a copy of the state of a session, all of it from one moment; `None` when the session
    /// is gone.
    #[must_use]
    pub fn state(&self, session: u64) -> Option<SessionState> {
        self.entry(session)?.state(session, |place| self.copy_of_state(place))
    }

    /// Anyone: how often the state of a session was set; `None` when the session is gone.
    #[must_use]
    pub fn state_version(&self, session: u64) -> Option<u32> {
        self.entry(session)?.state_version(session)
    }

    /// What lies at a place of a state area, which may change meanwhile.
    fn copy_of_state(&self, place: StatePlace) -> Option<Vec<u8>> {
        let (reactor, len) = (usize::from(place.reactor), u64::from(place.len));
        let offset = u64::from(place.first_page).checked_mul(PAGE)?;
        if reactor >= self.sizes.reactors || offset.checked_add(len)? > self.sizes.state_area {
            return None;
        }
        let at = self.sizes.state_area_at(reactor)?.checked_add(offset)?;
        let pointer = self.mapping.at(at, len)?;
        Some(RawBytes::new(pointer.as_ptr(), len as usize).to_vec())
    }

    /// Bytes of each reactor's state area.
    #[must_use]
    pub const fn state_area(&self) -> u64 {
        self.sizes.state_area
    }

    /// Master, the reactor: the longest state for which its area has room now, bytes.
    pub fn set_state_room(&self, reactor: usize, bytes: u64) {
        if let Some(line) = self.line_of(reactor) {
            line.state_room.store(bytes, Ordering::Relaxed);
        }
    }

    /// Master: so many bytes more of each state area are promised to sessions that may come.
    pub fn promise_states(&self, bytes: u64) {
        if let Some(head) = self.head() {
            head.promised_states.fetch_add(bytes, Ordering::SeqCst);
        }
    }

    /// Master: so many are promised no more. Answers how many were before.
    pub fn promise_states_no_more(&self, bytes: u64) -> u64 {
        self.head().map_or(0, |head| head.promised_states.fetch_sub(bytes, Ordering::SeqCst))
    }

    /// Bytes of each state area that nobody may take, because they are promised to sessions that
    /// may come from another master.
    #[must_use]
    pub fn promised_states(&self) -> u64 {
        self.head().map_or(0, |head| head.promised_states.load(Ordering::SeqCst))
    }

    /// The longest state for which a reactor's area had room a moment ago, bytes.
    #[must_use]
    pub fn state_room(&self, reactor: usize) -> u64 {
        self.line_of(reactor).map_or(0, |line| line.state_room.load(Ordering::Relaxed))
    }
}
