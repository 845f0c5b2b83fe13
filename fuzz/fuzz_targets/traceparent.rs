//! A client's trace: see `fuzz/bodies/traceparent.rs`.
#![no_main]

#[path = "../bodies/traceparent.rs"]
mod traceparent;

libfuzzer_sys::fuzz_target!(|input: &[u8]| traceparent::header(input));
