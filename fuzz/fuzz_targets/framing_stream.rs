//! A client's bytes in any cuts: see `fuzz/bodies/framing.rs`.
#![no_main]

#[path = "../bodies/framing.rs"]
#[allow(dead_code)] // each target runs one of its functions
mod framing;

libfuzzer_sys::fuzz_target!(|input: &[u8]| framing::stream(input));
