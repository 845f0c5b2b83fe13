//! What the master tells its manager of a slow turn: see `crates/ostler/src/control/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::slow_turn(input));
