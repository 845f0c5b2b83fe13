//! What a client sends before it is known: see `crates/ostler/src/tls/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::tls_hello(input));
