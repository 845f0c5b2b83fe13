//! Everything two Ostler processes see at once: memory files, rings, lanes, bells, the session
//! table, the board.
//!
//! The specification is the lane protocol (`docs/lane-protocol.md`); the section numbers in
//! comments (`T3`, `§7`) are its. Rules that hold for every word in here:
//!
//! * each shared word has exactly one writing process and lies in that process's memory file, which
//!   the other side maps read-only (but for [`commons`], whose words carry no data of clients,
//!   [`roster`], whose words are figures, and [`shared`], which belongs to the application: the
//!   engine reads nothing there);
//! * nothing a peer writes can make this side panic, loop or read outside a ring: what is read is
//!   copied first, then checked, then used;
//! * a process that dies at any instruction leaves nothing locked and nothing half visible.
//!
//! The algorithms are generic over [`sync`] (real atomics or loom's) and over [`ring::RingBytes`]
//! (mapped memory or a model's cells), so the code that is model-checked is the code that runs.

pub mod account;
pub mod addresses;
pub mod answers;
pub mod black_box;
pub mod board;
#[cfg(not(loom))]
mod board_areas;
mod board_heads;
#[cfg(not(loom))]
mod board_sizes;
#[cfg(not(loom))]
pub mod body_area;
pub mod commons;
pub mod consumer;
#[cfg(not(loom))]
mod extents;
pub mod fault;
pub mod file_range;
pub mod giver;
pub mod group_index;
pub mod inbox;
#[cfg(not(loom))]
pub mod lane;
pub mod layout;
#[cfg(not(loom))]
pub mod mapping;
pub mod outbox;
pub mod peer;
pub mod record;
pub mod ring;
#[cfg(not(loom))]
pub mod roster;
mod session_flags;
pub mod session_ids;
pub(crate) mod session_peer;
pub mod session_state;
pub mod session_traffic;
pub mod sessions;
pub mod shared;
pub mod sleep;
pub mod sync;
pub mod task_terms;
pub mod tls_facts;
pub mod words;
