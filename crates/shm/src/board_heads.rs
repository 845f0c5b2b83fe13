//! The first lines of the board, and those of its reactors.

use crate::sync::AtomicU64;

/// A reactor's sleep epoch, alone on its cache line but for a word that seldom changes.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct SleepWord {
    /// Odd while the reactor sleeps.
    pub epoch: AtomicU64,
    /// Bytes of the longest state for which the reactor's area has room now.
    pub state_room: AtomicU64,
}

/// What the board begins with.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct BoardHead {
    /// [`crate::layout::BOARD_MAGIC`].
    pub magic: AtomicU64,
    /// [`crate::layout::PROTOCOL`].
    pub protocol: AtomicU64,
    /// Number of reactors.
    pub reactors: AtomicU64,
    /// Entries of the session table, a power of two.
    pub sessions: AtomicU64,
    /// 1 while the memory budget is tight.
    pub pressure: AtomicU64,
    /// Bytes of a session's state at most.
    pub state_bytes: AtomicU64,
    /// 1 while nearly as many files wait to be sent as may.
    pub files_full: AtomicU64,
    /// Bytes of each reactor's body area.
    pub body_area: AtomicU64,
    /// Bytes of each reactor's state area.
    pub state_area: AtomicU64,
    /// Bytes of each state area that are promised to sessions which may come from another master.
    pub promised_states: AtomicU64,
}

/// The counter of session ids, alone on its cache line; see [`crate::session_ids`].
#[repr(C, align(64))]
#[derive(Debug)]
pub struct NewestSession {
    /// The id that was issued last.
    pub id: AtomicU64,
}

/// How many groups the board has room for, and the key of their tags; see [`crate::group_index`].
#[repr(C, align(64))]
#[derive(Debug)]
pub struct GroupsHead {
    /// Most groups of a reactor.
    pub groups: AtomicU64,
    /// Most groups of a session.
    pub of_session: AtomicU64,
    /// The key.
    pub key: [AtomicU64; 2],
}
