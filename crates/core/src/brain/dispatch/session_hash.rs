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

/// Spreads session ids, which are consecutive, over the workers: the finalizer of SplitMix64. Less
/// would send several clients that come one after another to the same worker.
pub(super) const fn hash(session: u64) -> u64 {
    let mixed = (session ^ (session >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_follow_each_other_share_a_worker_as_often_as_any() {
        for first in [1, 1_000, 1 << 40] {
            for workers in 2..=8_u16 {
                let shares = |session| home(session, workers) == home(session + 1, workers);
                let sharing = (first..first + 8_000).filter(|session| shares(*session)).count();
                let expected = 8_000 / usize::from(workers);
                let is_fair = sharing.abs_diff(expected) < expected / 5;
                assert!(is_fair, "{sharing} of 8000 from {first}, {workers} workers");
            }
        }
    }
}
