//! What a master lays down for workers that are started by exec: see
//! `crates/ostler/src/inheritance/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::charter(input));
