//! A datagram's address written by a hostile worker: see `crates/shm/tests/plain/hostile.rs`.
#![no_main]

#[path = "../../crates/shm/tests/plain/mod.rs"]
#[allow(dead_code)] // each target runs one of its functions
mod plain;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| plain::hostile::peer_block(bytes));
