//! A proxy's first bytes: see `fuzz/bodies/proxy_protocol.rs`.
#![no_main]

#[path = "../bodies/proxy_protocol.rs"]
mod proxy_protocol;

libfuzzer_sys::fuzz_target!(|input: &[u8]| proxy_protocol::header(input));
