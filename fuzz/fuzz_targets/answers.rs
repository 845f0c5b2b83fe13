//! A worker that lies about the answers that it has read: see
//! `crates/shm/tests/plain/hostile_answers.rs`.
#![no_main]

#[path = "../../crates/shm/tests/plain/mod.rs"]
#[allow(dead_code)] // each target runs one of its functions
mod plain;

libfuzzer_sys::fuzz_target!(|script: &[u8]| plain::hostile_answers::answers(script));
