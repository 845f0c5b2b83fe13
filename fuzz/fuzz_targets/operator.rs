//! What an operator may say: see `crates/ostler/src/master/operator/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::operator(input));
