//! Options in the environment and among the arguments: see `crates/ostler/src/options/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::options_words(input));
