//! The body of the fuzz target `framing`, on random input: what runs without a nightly compiler.

#[path = "../../../fuzz/bodies/framing.rs"]
#[allow(clippy::indexing_slicing, missing_docs)] // a fuzz body: a panic is a finding
mod framing;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2_000)
    })]

    #[test]
    fn packages_do_not_depend_on_the_cuts(input in proptest::collection::vec(any::<u8>(), 0..600)) {
        framing::cuts(&input);
    }

    #[test]
    fn nor_with_few_letters(input in proptest::collection::vec(0u8..4, 0..600)) {
        framing::cuts(&input);
    }
}
