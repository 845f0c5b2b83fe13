//! Spoilt files of tasks: see `fuzz/bodies/task_journal.rs`.
#![no_main]

#[path = "../bodies/task_journal.rs"]
mod task_journal;

libfuzzer_sys::fuzz_target!(|input: &[u8]| task_journal::spoilt(input));
