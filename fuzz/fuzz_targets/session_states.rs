//! States of sessions, short and long: see `fuzz/bodies/session_states.rs`.
#![no_main]

#[path = "../bodies/session_states.rs"]
mod session_states;

libfuzzer_sys::fuzz_target!(|input: &[u8]| session_states::script(input));
