//! What a master says of its sessions: see `fuzz/bodies/hand_over.rs`.
#![no_main]

#[path = "../bodies/hand_over.rs"]
mod hand_over;

libfuzzer_sys::fuzz_target!(|input: &[u8]| hand_over::list(input));
