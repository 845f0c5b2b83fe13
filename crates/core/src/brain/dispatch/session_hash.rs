//! Dispatch `session_hash`: always the same worker slot for a session, by its id.

/// The worker slot of a session.
pub(in crate::brain) fn home(session: u64, workers: u16) -> u16 {
    (hash(session) % u64::from(workers.max(1))) as u16
}

/// Where a session goes while its slot is down. Not by the number that chose the slot: then all
/// sessions of one slot would go to one other.
pub(in crate::brain) const fn spread(session: u64) -> u64 {
    hash(hash(session))
}

/// Spreads session ids, whose low bits name the reactor and whose counters are consecutive, over
/// the workers.
pub(super) const fn hash(session: u64) -> u64 {
    let mixed = (session ^ (session >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 32)
}
