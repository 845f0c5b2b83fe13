//! Which reactor gets a new connection, and which has a port for datagrams.

use crate::ids::PortId;

/// The reactor that has the tasks of the server: they have one queue.
pub const TASK_REACTOR: usize = 0;
/// The reactor that has the messages between processes: each pair of them has one order.
pub const MESSAGE_REACTOR: usize = 0;

/// The reactor that has a port for datagrams. It is one, so that they have one order (decision
/// 29); several ports spread over the reactors.
#[must_use]
pub const fn owner_of_port(port: PortId, reactors: usize) -> usize {
    if reactors == 0 { 0 } else { port.0 as usize % reactors }
}

/// The reactor with the fewest places taken; among equals the first from `turn` on, so that an idle
/// server fills them evenly. `taken` has one number for each reactor, `places` is what all of them
/// have together. `None`: all places are taken.
#[must_use]
pub fn emptiest(taken: &[u64], places: u64, turn: usize) -> Option<usize> {
    let count = taken.len();
    if taken.iter().fold(0, |sum: u64, taken| sum.saturating_add(*taken)) >= places {
        return None;
    }
    (0..count)
        .map(|step| (turn % count + step) % count)
        .filter_map(|reactor| Some((reactor, *taken.get(reactor)?)))
        .min_by_key(|(_, taken)| *taken)
        .map(|(reactor, _)| reactor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equals_take_turns() {
        let turns: Vec<_> = (5..9).map(|turn| emptiest(&[2, 2, 2], 7, turn)).collect();
        assert_eq!(turns, [Some(2), Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_turn_beyond_any_number_of_reactors_is_a_turn() {
        let most = usize::MAX - usize::MAX % 3;
        assert_eq!(emptiest(&[2, 2, 2], 7, most), Some(0));
        assert_eq!(emptiest(&[2, 2, 2], 7, most - 1), Some(2));
        assert_eq!(emptiest(&[], 7, most), None);
    }

    proptest! {
        #[test]
        fn the_emptiest_is_chosen_while_there_is_a_place(
            taken in proptest::collection::vec(0u64..6, 1..8), places in 0u64..40, turn: usize,
        ) {
            let sum: u64 = taken.iter().sum();
            match emptiest(&taken, places, turn) {
                Some(chosen) => {
                    prop_assert!(sum < places);
                    prop_assert!(taken.iter().all(|other| taken[chosen] <= *other));
                }
                None => prop_assert!(sum >= places),
            }
        }
    }
}
