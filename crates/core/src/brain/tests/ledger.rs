//! The ledger beside a delivery that takes long.

use super::super::{ConnectionSlot, DeliveryKind, Entry, Ledger, Subject};
use super::*;
use crate::body::{Body, SharedBytes};
use std::sync::Arc;

fn entry(position: u64) -> Entry {
    Entry {
        seq: 0,
        position,
        subject: Subject::Session(ConnectionSlot(0)),
        kind: DeliveryKind::Package,
        len: 0,
        attempt: 0,
        deaths_while_waiting: 0,
        exposed: false,
        done: false,
        received_at: 0,
        given_at: 0,
        deferred_at: 0,
        in_parts: false,
        body: None,
    }
}

#[test]
fn it_stays_small_and_finds_all() {
    let mut ledger = Ledger::default();
    let slow = [1, 2, 500];
    for seq in 1..=10_000 {
        ledger.push(entry(seq * 8));
        assert_eq!(ledger.get(seq).unwrap().seq, seq);
        if !slow.contains(&seq) {
            ledger.finish(seq);
        }
        assert!(ledger.len() < 100, "{}", ledger.len());
    }
    for seq in slow {
        assert_eq!(ledger.get_mut(seq).unwrap().position, seq * 8);
        assert!(!ledger.get(seq).unwrap().done);
    }
    assert!(ledger.get(3).is_none() && ledger.get(10_001).is_none() && ledger.get(0).is_none());
    let undone: Vec<_> = ledger.iter().filter(|entry| !entry.done).map(|entry| entry.seq).collect();
    assert_eq!(undone, slow);
    ledger.finish(2);
    let mut popped = Vec::new();
    while let Some(entry) = ledger.pop_newest() {
        if !entry.done {
            popped.push(entry.seq);
        }
    }
    assert_eq!(popped, [500, 1]);
    assert!(ledger.is_empty());
}

#[test]
fn bodies_of_those_put_aside_are_kept() {
    let mut ledger = Ledger::default();
    for seq in 1..=200 {
        ledger.push(entry(seq * 8));
        if seq != 1 {
            ledger.finish(seq);
        }
    }
    ledger.push(entry(201 * 8));
    let mut copied = Vec::new();
    for freed in [8, 9, 100, 201 * 8, 201 * 8 + 1, 202 * 8] {
        ledger.keep_bodies(freed, |entry| !entry.exposed && entry.attempt < 1, &mut |entry| {
            copied.push((freed, entry.seq));
            vec![1]
        });
    }
    assert_eq!(copied, [(9, 1), (201 * 8 + 1, 201)]);
}

#[test]
fn one_deferred_request_does_not_make_the_ledger_grow() {
    let (mut world, id) = one(CrashPolicy::Redeliver(1));
    let slow = world.request(id);
    world.start(0);
    world.free(0);
    let other = world.connected();
    for _ in 0..300 {
        world.request(other);
        world.start(0);
        world.free(0);
        world.finish(0, 1);
    }
    let lane = world.lanes[0].slot;
    assert!(world.brain.lanes.get(lane).unwrap().ledger.len() < 100);
    world.die(0);
    world.calm_down();
    assert_eq!(world.state(id, slow), State::Finished);
}

#[test]
fn many_deferred_requests_leave_in_any_order() {
    let mut ledger = Ledger::default();
    for seq in 1..=3_000 {
        ledger.push(entry(seq * 8));
        if seq % 3 == 0 {
            ledger.finish(seq);
        }
    }
    for seq in (1..=3_000).rev().filter(|seq| seq % 2 == 0) {
        ledger.finish(seq);
        ledger.finish(seq);
        assert!(ledger.get(seq).is_none_or(|entry| entry.done));
    }
    let undone = ledger.iter().filter(|entry| !entry.done).count();
    assert_eq!(undone, 1_000);
    assert!(ledger.len() < 2 * undone + 100, "{}", ledger.len());
    (1..=3_000).for_each(|seq| ledger.finish(seq));
    assert!(ledger.is_empty());
}

/// Done deliveries that were put aside leave when they are more than half of what is there.
#[test]
fn slow_deliveries_leave_when_half_of_them_are_done() {
    let mut ledger = Ledger::default();
    for seq in 1..=1_000 {
        ledger.push(entry(seq * 8));
    }
    (1..=1_000).filter(|seq| seq % 2 == 0).for_each(|seq| ledger.finish(seq));
    let slow: Vec<u64> = ledger.iter().filter(|entry| !entry.done).map(|one| one.seq).collect();
    assert_eq!(slow.len(), 500);
    for (done, seq) in slow.iter().enumerate() {
        ledger.finish(*seq);
        let undone = slow.len() - done - 1;
        assert!(ledger.len() <= 2 * undone + 64, "{} for {undone}", ledger.len());
    }
}

/// A package that its worker reads from where it lies.
#[derive(Debug)]
struct Lies(Vec<u8>);

impl SharedBytes for Lies {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn place(&self) -> u32 {
        7
    }
}

#[test]
fn a_package_that_lies_where_its_worker_reads_it_stays_until_that_is_through_with_it() {
    let lies: Arc<dyn SharedBytes> = Arc::new(Lies(vec![1; 100]));
    let mut ledger = Ledger::default();
    let subject = Subject::Session(ConnectionSlot(3));
    let body = Some(Body::Shared(Arc::clone(&lies)));
    ledger.push(Entry { subject, len: 100, in_parts: true, body, ..entry(0) });
    // The ring space of its record is used again, and its session is served no more.
    ledger.drop_bodies(64);
    ledger.drop_bodies_of(subject, 1, |_| false);
    assert_eq!((ledger.body_bytes(), Arc::strong_count(&lies)), (100, 2));
    ledger.finish(1);
    assert_eq!((ledger.body_bytes(), Arc::strong_count(&lies)), (0, 1));
}

#[test]
fn what_was_begun_last_is_neither_done_nor_deferred_nor_waiting() {
    let mut ledger = Ledger::default();
    let begun = |ledger: &Ledger, t| ledger.begun_last(t).map(|entry| entry.seq);
    assert_eq!(begun(&ledger, u64::MAX), None);
    for seq in 1..=3 {
        ledger.push(entry(seq * 8));
    }
    assert_eq!(
        [0, 8, 9, 17, 24].map(|t| begun(&ledger, t)),
        [None, None, Some(1), Some(2), Some(2)]
    );
    // The second was finished: the first is one that had been let go earlier.
    ledger.finish(2);
    assert_eq!(begun(&ledger, 17), None);
    ledger.defer_between(0, 9, 7);
    assert_eq!([9, 25].map(|t| begun(&ledger, t)), [None, Some(3)]);
    // One in parts whose last part is not written cannot have been begun.
    ledger.push(entry(u64::MAX));
    assert_eq!(begun(&ledger, u64::MAX), Some(3));
    // One that was put aside, because all behind it are done.
    let mut ledger = Ledger::default();
    (1..=200).for_each(|seq| ledger.push(entry(seq * 8)));
    (2..=200).for_each(|seq| ledger.finish(seq));
    assert_eq!(begun(&ledger, u64::MAX), Some(1));
}
