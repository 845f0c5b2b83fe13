//! Files of certificates, and what is read of a certificate: see `crates/ostler/src/tls/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ostler::fuzz::certificates(input));
