//! The ways in which a worker is chosen for each package: what those sessions wait for that may go
//! to any worker.

use super::super::lanes::{Credit, Lanes};
use super::{idle_first, least_in_hand, pull, round_robin, sticky};
use crate::ids::LaneSlot;

/// How a worker is chosen for a session that is bound to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(in crate::brain) enum Pick {
    /// The next in turn.
    RoundRobin,
    /// The one with the least to do.
    IdleFirst,
    /// The one with the fewest unfinished deliveries.
    LeastInHand,
    /// The same, and then always that one.
    Sticky,
    /// One that has nothing to do.
    Pull,
}

impl Pick {
    /// All of them, in the order of their numbers.
    pub(in crate::brain) const ALL: [Self; 5] =
        [Self::RoundRobin, Self::IdleFirst, Self::LeastInHand, Self::Sticky, Self::Pull];

    /// The worker slot that gets the next session, and its lane; `from` is the slot whose turn it
    /// is. `None`: no worker takes one now.
    pub(in crate::brain) fn lane(
        self,
        lanes: &Lanes,
        from: usize,
        credit: Credit,
    ) -> Option<(usize, LaneSlot)> {
        match self {
            Self::RoundRobin => round_robin::pick(lanes, from, credit),
            Self::IdleFirst => idle_first::pick(lanes, from, credit),
            Self::LeastInHand => least_in_hand::pick(lanes, from, credit),
            Self::Sticky => sticky::pick(lanes, from, credit),
            Self::Pull => pull::pick(lanes, from, credit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_listed_at_its_number() {
        for (index, pick) in Pick::ALL.into_iter().enumerate() {
            assert_eq!(pick as usize, index);
        }
    }
}
