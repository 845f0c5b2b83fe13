//! Waiting for room in an out ring (protocol §5 send, §6): no lost wake-up, no deadlock, no output
//! overwritten unread.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{Bell, RACE, Reactor, Shared, Worker, explore, finds};
use ostler_shm::record::RecordKind;
use ostler_shm::sleep::{Ringer, Sleeper};
use ostler_shm::sync::{AtomicU64, Ordering, fence};
use std::sync::Arc;

/// Four records.
const CAPACITY: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The worker does not look again after announcing that it wants room.
    NoRecheck,
    /// The reactor looks at `room_want` without a fence after `out_read`.
    NoFence,
    /// The worker announces once and waits twice.
    NeverAwake,
    /// The worker waits without publishing what it has staged.
    StagedKept,
    /// The worker publishes before it waits, but does not look at the reactor's sleep word.
    BellOwed,
    /// The reactor gives the space back before it has read the records.
    ReleasedUnread,
}

/// Shared by both sides: the reactor's sleep word, its bell, the worker's bell.
struct Bells {
    word: AtomicU64,
    reactor: Bell,
    worker: Bell,
}

fn publish(wrong: Wrong, worker: &mut Worker, shared: &Shared, ringer: &mut Ringer, bells: &Bells) {
    worker.commit(shared);
    fence(Ordering::SeqCst);
    if wrong != Wrong::BellOwed && ringer.needs_bell(&bells.word) {
        bells.reactor.ring();
    }
}

/// Sends `count` records, each published when the next has no room (`staged`) or at once; waits for
/// room when needed.
fn send(
    wrong: Wrong,
    worker: &mut Worker,
    shared: &Shared,
    bells: &Bells,
    (count, staged): (usize, bool),
) {
    let (mut room, mut ringer) = (Sleeper::default(), Ringer::default());
    let lane = &shared.lanes[0];
    let want = &shared.process.sleep.room_want;
    for _ in 0..count {
        while worker.append(shared, 0, RecordKind::Out, 1, 0).is_err() {
            if wrong != Wrong::StagedKept && worker.outboxes[0].staged() > 0 {
                publish(wrong, worker, shared, &mut ringer, bells);
            }
            room.announce(want);
            let has_room = worker.outboxes[0].has_room(&lane.down, CAPACITY, 0);
            if wrong == Wrong::NoRecheck || !has_room {
                bells.worker.wait();
            }
            if wrong != Wrong::NeverAwake {
                room.awake(want);
            }
        }
        if !staged {
            publish(Wrong::Nothing, worker, shared, &mut ringer, bells);
        }
    }
    if staged {
        publish(Wrong::Nothing, worker, shared, &mut ringer, bells);
    }
}

/// `before` records are published already; the worker sends `after` more. The reactor releases
/// after every record.
fn model(wrong: Wrong, before: usize, after: usize, staged: bool) {
    let shared = Shared::new(1, CAPACITY);
    let bells =
        Arc::new(Bells { word: AtomicU64::new(0), reactor: Bell::new(), worker: Bell::new() });
    let mut worker = Worker::new(1);
    for _ in 0..before {
        worker.append(&shared, 0, RecordKind::Out, 1, 0).unwrap();
    }
    if before > 0 {
        worker.commit(&shared);
    }
    let thread = {
        let (shared, bells) = (Arc::clone(&shared), Arc::clone(&bells));
        thread::spawn(move || send(wrong, &mut worker, &shared, &bells, (after, staged)))
    };
    let lane = &shared.lanes[0];
    let mut reactor = Reactor::default();
    let (mut sleeper, mut ringer) = (Sleeper::default(), Ringer::default());
    let mut count = 0;
    let give_back = |ringer: &mut Ringer| {
        if wrong != Wrong::NoFence {
            fence(Ordering::SeqCst);
        }
        if ringer.needs_bell(&shared.process.sleep.room_want) {
            bells.worker.ring();
        }
    };
    while count < before + after {
        reactor.consumer.look(&shared.process, &lane.up, CAPACITY).unwrap();
        if wrong == Wrong::ReleasedUnread {
            let written = lane.up.out.out_written.load(Ordering::Acquire);
            lane.down.consumed.out_read.store(written, Ordering::Release);
            give_back(&mut ringer);
        }
        while reactor.consumer.next(&lane.outputs).unwrap().is_some() {
            count += 1;
            if wrong != Wrong::ReleasedUnread && reactor.consumer.release(&lane.down) {
                give_back(&mut ringer);
            }
        }
        if count == before + after {
            break;
        }
        sleeper.announce(&bells.word);
        if !reactor.consumer.has_news(&shared.process, &lane.up) {
            bells.reactor.wait();
        }
        sleeper.awake(&bells.word);
    }
    thread.join().unwrap();
}

/// Preemption bound 4 for one record and 3 for two.
#[test]
fn a_full_ring_is_waited_for() {
    explore("room for one more", Some(4), || model(Wrong::Nothing, 4, 1, false));
    explore("room for two more", Some(3), || model(Wrong::Nothing, 4, 2, false));
}

/// What is staged fills the ring: it is published, then waited for. Preemption bound 3.
#[test]
fn a_ring_full_of_staged_records_is_published_and_waited_for() {
    explore("room behind staged records", Some(3), || model(Wrong::Nothing, 0, 5, true));
}

fn mutant(name: &str, expected: &str, wrong: Wrong, before: usize, after: usize, staged: bool) {
    finds(name, expected, || {
        explore("mutant", Some(2), move || model(wrong, before, after, staged));
    });
}

#[test]
fn a_worker_that_does_not_look_again_waits_for_ever() {
    mutant("room without a second look", "deadlock", Wrong::NoRecheck, 4, 1, false);
}

#[test]
fn a_reactor_looks_at_room_want_behind_a_fence() {
    mutant("room without the reactor's fence", "deadlock", Wrong::NoFence, 4, 1, false);
}

#[test]
fn a_worker_that_is_never_awake_is_rung_once_only() {
    mutant("room wanted, never awake", "deadlock", Wrong::NeverAwake, 4, 3, false);
}

#[test]
fn staged_records_must_be_published_before_the_wait() {
    mutant("staged records kept", "deadlock", Wrong::StagedKept, 0, 5, true);
}

#[test]
fn the_bell_that_is_owed_must_be_rung_before_the_wait() {
    mutant("bell owed", "deadlock", Wrong::BellOwed, 0, 5, true);
}

#[test]
fn space_given_back_unread_is_a_race() {
    mutant("released unread", RACE, Wrong::ReleasedUnread, 4, 1, false);
}
