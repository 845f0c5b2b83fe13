//! How large a board is, and where its parts lie.

use crate::group_index::GroupSizes;
use crate::layout::PAGE;
use crate::sessions::{REACTORS_MAX, SESSIONS_MAX, STATE_BYTES_MAX, entry_stride};

pub(crate) const SESSIONS_AT: u64 = 2 * PAGE;
/// Entries of which one word tells whether they are taken, a bit each: who looks for open sessions
/// reads these words and not every entry.
pub(crate) const WORD_PLACES: u64 = u64::BITS as u64;

/// What a board is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardSizes {
    /// Number of reactors, 1 to [`REACTORS_MAX`].
    pub reactors: usize,
    /// Entries of the session table, a power of two.
    pub sessions: u64,
    /// Bytes of a session's state at most, up to [`STATE_BYTES_MAX`].
    pub state_bytes: usize,
    /// Bytes of each reactor's area for long packages, whole pages, up to
    /// [`BODY_AREA_MAX`]; 0 for none.
    pub body_area: u64,
    /// Bytes of each reactor's area for states that their entries have no room for, whole pages, up
    /// to [`STATE_AREA_MAX`]; 0 for none.
    pub state_area: u64,
    /// How many groups of sessions there may be.
    pub groups: GroupSizes,
}

/// The largest body area, bytes: page numbers in records are 32 bits wide, and so much is
/// never touched.
pub const BODY_AREA_MAX: u64 = 256 * 1024 * 1024;

/// The largest state area, bytes: far above any budget, and its pages have 32-bit numbers.
pub const STATE_AREA_MAX: u64 = 64 * 1024 * 1024 * 1024;

impl BoardSizes {
    fn are_possible(&self) -> bool {
        (1..=REACTORS_MAX).contains(&self.reactors)
            && self.sessions.is_power_of_two()
            && self.sessions <= SESSIONS_MAX
            && self.state_bytes <= STATE_BYTES_MAX
            && self.body_area <= BODY_AREA_MAX
            && self.body_area.is_multiple_of(PAGE)
            && self.state_area <= STATE_AREA_MAX
            && self.state_area.is_multiple_of(PAGE)
            && self.groups.are_possible()
    }

    pub(crate) fn stride(&self) -> u64 {
        entry_stride(self.state_bytes) as u64
    }

    /// Bytes of all entries; `None` when that is no number of bytes.
    pub(crate) fn entries_len(&self) -> Option<u64> {
        self.sessions.checked_mul(self.stride())
    }

    /// Where a reactor's body area begins; that of the one behind the last is where the state areas
    /// do. `None` when that is no number of bytes, or the sizes are impossible.
    pub(crate) fn body_area_at(&self, reactor: usize) -> Option<u64> {
        let areas = self.body_area.checked_mul(reactor as u64)?;
        let at = self.account_at(self.accounts())?.checked_add(areas)?;
        self.are_possible().then_some(at)
    }

    /// Where a reactor's state area begins; that of the one behind the last is the end of the
    /// board.
    pub(crate) fn state_area_at(&self, reactor: usize) -> Option<u64> {
        let areas = self.state_area.checked_mul(reactor as u64)?;
        self.body_area_at(self.reactors)?.checked_add(areas)
    }

    /// How many accounts there are: one for each reactor, and the master's two.
    pub(crate) const fn accounts(&self) -> usize {
        self.reactors.saturating_add(2)
    }

    /// Where an account lies: behind the words about groups, on a page of its own.
    pub(crate) fn account_at(&self, number: usize) -> Option<u64> {
        let words = self.groups.words(self.sessions, self.reactors)?;
        let groups = words.checked_mul(size_of::<u64>() as u64)?;
        let first = self.groups_at()?.checked_add(groups)?.checked_next_multiple_of(PAGE)?;
        first.checked_add(PAGE.checked_mul(number as u64)?)
    }

    /// Where the words about groups begin: behind the session table, on a page of their own.
    pub(crate) fn groups_at(&self) -> Option<u64> {
        let occupancy = self.sessions.div_ceil(WORD_PLACES) * size_of::<u64>() as u64;
        let table = self.entries_len()?.checked_add(occupancy)?.checked_add(SESSIONS_AT)?;
        table.checked_next_multiple_of(PAGE)
    }

    /// Bytes of a board; `None` when that is no number of bytes, or the sizes are impossible.
    pub(crate) fn board_len(&self) -> Option<u64> {
        self.state_area_at(self.reactors)
    }
}
