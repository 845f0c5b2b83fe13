//! A hostile worker (protocol §6, decision 12): whatever it writes, the reactor's functions answer
//! `ProtocolViolation` or go on. The same bodies are fuzzed in `/fuzz`.
#![cfg(not(loom))]
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod plain;

use plain::hostile::{peer_block, up_bytes};
use plain::hostile_answers::answers;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[test]
fn no_script_of_a_hostile_worker_breaks_the_reactor() {
    let mut runner =
        TestRunner::new(Config { cases: 20_000, failure_persistence: None, ..Config::default() });
    let scripts = proptest::collection::vec(any::<u8>(), 0..1_200);
    runner
        .run(&scripts, |script| {
            up_bytes(&script);
            Ok(())
        })
        .unwrap();
}

/// Whatever stands where the address of a datagram should: it is refused, or the only form of what
/// it says.
#[test]
fn no_bytes_break_the_reader_of_addresses() {
    let kind = prop::sample::select(vec![0_u8, 1, 2, 3, 4, 6, 255]);
    let bytes = (kind, proptest::collection::vec(any::<u8>(), 0..130));
    let mut runner =
        TestRunner::new(Config { cases: 20_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&bytes, |(kind, mut bytes)| {
            bytes.insert(0, kind);
            peer_block(&bytes);
            Ok(())
        })
        .unwrap();
}

/// A worker may say that it has read what it has not; it loses answers, and harms nobody else.
#[test]
fn no_lie_about_answers_breaks_an_end_of_their_ring() {
    let step = prop_oneof![
        4 => any::<u8>().prop_map(|size| vec![1, size]),
        2 => Just(vec![4]),
        2 => Just(vec![5]),
        3 => Just(vec![8]),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(form, by)| vec![0, form, by]),
        1 => proptest::collection::vec(any::<u8>(), 1..12),
    ];
    let mut runner =
        TestRunner::new(Config { cases: 20_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&proptest::collection::vec(step, 0..200), |steps| {
            answers(&steps.concat());
            Ok(())
        })
        .unwrap();
}

/// Scripts that mostly keep to the protocol get deeper into the ring before they go wrong.
#[test]
fn no_almost_right_worker_breaks_the_reactor() {
    let step = prop_oneof![
        4 => (any::<u8>(), any::<u8>()).prop_map(|(size, kind)| vec![7, size, kind, 15]),
        2 => Just(vec![11]),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(want, min)| vec![9, want, min % 64, 0]),
        1 => Just(vec![10]),
        1 => Just(vec![12]),
        1 => Just(vec![13]),
        1 => proptest::collection::vec(any::<u8>(), 1..12),
    ];
    let mut runner =
        TestRunner::new(Config { cases: 20_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&proptest::collection::vec(step, 0..120), |steps| {
            up_bytes(&steps.concat());
            Ok(())
        })
        .unwrap();
}
