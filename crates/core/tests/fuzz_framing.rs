//! The bodies of the fuzz targets `framing_*`, on random input: what runs without a nightly
//! compiler.

#[path = "../../../fuzz/bodies/framing.rs"]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, missing_docs)]
// A fuzz body: a panic is a finding.
mod framing;

use proptest::prelude::*;

/// Each body with any bytes, and with few different ones, which end packages more often.
macro_rules! bodies {
    ($($framing:ident)*) => {
        $(mod $framing {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig {
                    failure_persistence: None,
                    ..ProptestConfig::with_cases(2_000)
                })]

                #[test]
                fn any_bytes(input in proptest::collection::vec(any::<u8>(), 0..600)) {
                    framing::$framing(&input);
                }

                #[test]
                fn few_letters(input in proptest::collection::vec(0u8..4, 0..600)) {
                    framing::$framing(&input);
                }

                #[test]
                fn letters_of_protocols(picks in proptest::collection::vec(0..18_usize, 0..600)) {
                    let letters = b"*$%|+:\r\n\r\n0123-_\x10\x80\x03";
                    let input: Vec<u8> = picks.iter().map(|pick| letters[*pick]).collect();
                    framing::$framing(&input);
                }
            }
        })*
    };
}

bodies!(raw eof_split eof_at_end length_field mqtt resp stream);
