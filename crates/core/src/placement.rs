//! Which reactor gets a new connection.

/// The reactor with the fewest places taken, of those that have one free; among equals the first
/// from `turn` on, so that an idle server fills them evenly. `taken` has one number for each
/// reactor, `places` is what each of them has. `None`: all places of all reactors are taken.
#[must_use]
pub fn emptiest(taken: &[u64], places: u64, turn: usize) -> Option<usize> {
    let count = taken.len();
    (0..count)
        .map(|step| (turn % count + step) % count)
        .filter_map(|reactor| Some((reactor, *taken.get(reactor)?)))
        .filter(|(_, taken)| *taken < places)
        .min_by_key(|(_, taken)| *taken)
        .map(|(reactor, _)| reactor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equals_take_turns() {
        let turns: Vec<_> = (5..9).map(|turn| emptiest(&[2, 2, 2], 3, turn)).collect();
        assert_eq!(turns, [Some(2), Some(0), Some(1), Some(2)]);
    }

    proptest! {
        #[test]
        fn a_full_reactor_is_passed_over_and_the_emptiest_is_chosen(
            taken in proptest::collection::vec(0u64..6, 0..8), places in 0u64..6, turn: usize,
        ) {
            match emptiest(&taken, places, turn) {
                Some(chosen) => {
                    prop_assert!(taken[chosen] < places);
                    prop_assert!(taken.iter().all(|other| taken[chosen] <= *other));
                }
                None => prop_assert!(taken.iter().all(|taken| *taken >= places)),
            }
        }
    }
}
