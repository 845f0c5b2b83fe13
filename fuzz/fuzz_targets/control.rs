//! Messages between master, manager and workers: see `crates/ostler/src/control/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::control(input));
