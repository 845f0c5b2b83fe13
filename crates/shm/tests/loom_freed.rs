//! `freed` and reclaim (protocol §6): no package memory is used again while the worker reads it or
//! an unconsumed output refers to it, and a reactor that is starved of room is told.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{Bell, Reactor, Shared, Worker, explore, finds};
use ostler_shm::inbox::Take;
use ostler_shm::outbox::Committer;
use ostler_shm::record::RecordKind;
use ostler_shm::ring::RingBytes;
use ostler_shm::sleep::{Ringer, Sleeper};
use ostler_shm::sync::AtomicU64;
use std::sync::Arc;

const CAPACITY: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The worker stores `freed` before its handler has read the record.
    FreedBeforeRead,
    /// The reactor reads `freed` after it consumed.
    PeekedAfterConsume,
    /// The reactor applies `freed` and gives before it consumes.
    AppliedBeforeConsume,
    /// The worker stores `freed` before the commit of an output that refers to the record.
    FreedBeforeCommit,
    /// The worker stores `freed` after its look at the sleep word.
    FreedAfterLook,
    /// The starved reactor does not look at `freed` after announcing its sleep.
    NoFreedRecheck,
}

/// Takes `packages`; each is answered with a reference to the record itself, then finished and
/// freed.
fn run_references(shared: &Shared, packages: usize, wrong: Wrong) {
    let mut worker = Worker::new(1);
    for _ in 0..packages {
        let (header, position) = worker.take(shared, 0).unwrap();
        if wrong == Wrong::FreedBeforeRead {
            worker.free(shared, 0);
        }
        let again = shared.lanes[0].packages.read_header(position & (CAPACITY - 1));
        assert_eq!(again, header, "the record changed while it was in hand");
        if wrong == Wrong::FreedBeforeCommit {
            worker.free(shared, 0);
        }
        worker.append(shared, 0, RecordKind::OutReference, header.subject, header.seq).unwrap();
        worker.append(shared, 0, RecordKind::Fin, header.subject, header.seq).unwrap();
        worker.commit(shared);
        worker.free(shared, 0);
    }
}

/// The reactor's consume, which reads what the references refer to: they must still be there.
fn consume_references(reactor: &mut Reactor, shared: &Shared) {
    let lane = &shared.lanes[0];
    let from = reactor.outputs.len();
    reactor.consume_only(shared, 0);
    for header in &reactor.outputs[from..] {
        if header.kind == RecordKind::OutReference as u8 {
            let entry = reactor.ledger.iter().find(|entry| entry.seq == header.cause).unwrap();
            let record = lane.packages.read_header(entry.position & (CAPACITY - 1));
            assert_eq!(record.subject, header.subject, "the output's bytes were overwritten");
        }
    }
}

fn references(wrong: Wrong) {
    let shared = Shared::new(1, CAPACITY);
    let lane = &shared.lanes[0];
    let mut reactor = Reactor::default();
    for id in 1..=4 {
        assert!(reactor.give(lane, id, &[]));
    }
    assert!(!reactor.give(lane, 5, &[]), "the ring is full");
    reactor.publish(lane);
    let worker = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || run_references(&shared, 2, wrong))
    };
    let mut next = 5;
    for _ in 0..2 {
        let mut freed = reactor.peek_freed(lane);
        if wrong != Wrong::AppliedBeforeConsume {
            consume_references(&mut reactor, &shared);
        }
        if wrong == Wrong::PeekedAfterConsume {
            freed = reactor.peek_freed(lane);
        }
        reactor.reclaim(freed);
        if reactor.give(lane, next, &[]) {
            next += 1;
        }
        reactor.publish(lane);
        reactor.consumer.release(&lane.down);
        if wrong == Wrong::AppliedBeforeConsume {
            consume_references(&mut reactor, &shared);
        }
    }
    worker.join().unwrap();
    let freed = reactor.peek_freed(lane);
    consume_references(&mut reactor, &shared);
    reactor.reclaim(freed);
    assert_eq!(reactor.ledger.iter().filter(|entry| entry.done).count(), 2);
    let mut given = reactor.ledger.len();
    while reactor.give(lane, 9, &[]) {
        given += 1;
    }
    assert_eq!(given, 6, "all that was freed can be used");
}

#[test]
fn no_memory_is_used_again_before_it_is_free() {
    explore("freed", None, || references(Wrong::Nothing));
}

fn mutant(name: &str, expected: &str, wrong: Wrong) {
    finds(name, expected, || explore("mutant", Some(3), move || references(wrong)));
}

#[test]
fn freed_before_the_record_is_read_is_a_race() {
    mutant("freed before read", "Causality", Wrong::FreedBeforeRead);
}

#[test]
fn freed_must_be_peeked_before_consuming() {
    mutant("freed peeked after consume", "overwritten", Wrong::PeekedAfterConsume);
}

#[test]
fn freed_must_be_applied_after_consuming() {
    mutant("freed applied before consume", "overwritten", Wrong::AppliedBeforeConsume);
}

#[test]
fn freed_must_be_stored_after_the_commit() {
    mutant("freed before commit", "overwritten", Wrong::FreedBeforeCommit);
}

/// The handler keeps a record (a `PackageBytes` that outlives its callback) and takes on: the lane
/// is empty then. (The first `take` freed what it had passed when it found nothing: these models
/// found that it frees what is held.)
fn kept_record(frees_when_empty: bool) {
    explore("kept record", None, move || {
        let shared = Shared::new(1, CAPACITY);
        let lane = &shared.lanes[0];
        let mut reactor = Reactor::default();
        assert!(reactor.give(lane, 1, &[]));
        reactor.publish(lane);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let lane = &shared.lanes[0];
                let mut worker = Worker::new(1);
                let (header, position) = worker.take(&shared, 0).unwrap();
                while let Take::Record { .. } =
                    worker.inboxes[0].take(&lane.down, &lane.up, &lane.packages)
                {}
                if frees_when_empty {
                    worker.free(&shared, 0);
                }
                let again = lane.packages.read_header(position & (CAPACITY - 1));
                assert_eq!(again, header, "the record changed while it was kept");
            })
        };
        let freed = reactor.peek_freed(lane);
        reactor.reclaim(freed);
        for id in 2..=5 {
            reactor.give(lane, id, &[]);
        }
        worker.join().unwrap();
    });
}

#[test]
fn a_record_that_is_kept_is_not_freed_by_finding_the_lane_empty() {
    kept_record(false);
    finds("freed while it is kept", "Causality", || kept_record(true));
}

/// A worker that finishes one package, and a reactor that wants to give one more than fits and
/// sleeps until it can.
fn starved(wrong: Wrong) {
    let shared = Shared::new(1, CAPACITY);
    let board = Arc::new((AtomicU64::new(0), Bell::new()));
    let lane = &shared.lanes[0];
    let mut reactor = Reactor::default();
    for id in 1..=4 {
        assert!(reactor.give(lane, id, &[]));
    }
    reactor.publish(lane);
    let worker = {
        let (shared, board) = (Arc::clone(&shared), Arc::clone(&board));
        thread::spawn(move || {
            let mut worker = Worker::new(1);
            let mut ringer = Ringer::default();
            let (header, _) = worker.take(&shared, 0).unwrap();
            worker.append(&shared, 0, RecordKind::Fin, header.subject, header.seq).unwrap();
            worker.commit(&shared);
            if wrong != Wrong::FreedAfterLook {
                worker.free(&shared, 0);
            }
            Committer::fence();
            if ringer.needs_bell(&board.0) {
                board.1.ring();
            }
            if wrong == Wrong::FreedAfterLook {
                worker.free(&shared, 0);
            }
        })
    };
    let mut sleeper = Sleeper::default();
    loop {
        reactor.consume(&shared, 0);
        if reactor.give(lane, 5, &[]) {
            break;
        }
        sleeper.announce(&board.0);
        let news = reactor.consumer.has_news(&shared.process, &lane.up);
        let room = wrong != Wrong::NoFreedRecheck && reactor.giver.has_freed(&lane.up);
        if !news && !room {
            board.1.wait();
        }
        sleeper.awake(&board.0);
    }
    worker.join().unwrap();
}

#[test]
fn a_starved_reactor_is_woken() {
    explore("starved reactor", None, || starved(Wrong::Nothing));
}

#[test]
fn freed_after_the_look_at_the_sleep_word_is_a_lost_wake_up() {
    finds("freed after the look", "deadlock", || {
        explore("mutant", None, || starved(Wrong::FreedAfterLook));
    });
}

#[test]
fn a_starved_reactor_has_to_look_at_freed_before_it_sleeps() {
    finds("no look at freed", "deadlock", || {
        explore("mutant", None, || starved(Wrong::NoFreedRecheck));
    });
}

/// A pad is announced like a record. When everything behind it is recalled, `freed` stays in front
/// of the pad and the reactor cannot jump its void: it needs the worker to free what it passed when
/// it finds the lane empty, and to ring.
fn void_behind_a_pad(frees: bool, looks: bool) {
    let shared = Shared::new(1, 512);
    let board = Arc::new((AtomicU64::new(0), Bell::new()));
    let lane = &shared.lanes[0];
    let mut reactor = Reactor::default();
    let mut worker = Worker::new(1);
    let mut worker_ringer = Ringer::default();
    // 7 packages of one cell run before anything else happens: the next one of two cells needs a
    // pad.
    for id in 1..=7 {
        assert!(reactor.give(lane, id, &[]));
        reactor.publish(lane);
        let (header, _) = worker.take(&shared, 0).unwrap();
        worker.append(&shared, 0, RecordKind::Fin, id, header.seq).unwrap();
        worker.commit(&shared);
        worker.free(&shared, 0);
        reactor.consume(&shared, 0);
        reactor.consumer.release(&lane.down);
    }
    for id in 8..=10 {
        assert!(reactor.give(lane, id, &[1; 64]));
    }
    assert!(reactor.give(lane, 11, &[]));
    assert!(!reactor.give(lane, 12, &[]), "the ring is full");
    reactor.publish(lane);
    let thread = {
        let (shared, board) = (Arc::clone(&shared), Arc::clone(&board));
        thread::spawn(move || {
            let mut look = || {
                Committer::fence();
                if worker_ringer.needs_bell(&board.0) {
                    board.1.ring();
                }
            };
            while let Some((header, _)) = worker.take(&shared, 0) {
                worker.append(&shared, 0, RecordKind::Fin, 0, header.seq).unwrap();
                worker.commit(&shared);
                worker.free(&shared, 0);
                look();
            }
            if frees && worker.free(&shared, 0) && looks {
                look();
            }
        })
    };
    reactor.recall(lane);
    let mut sleeper = Sleeper::default();
    loop {
        reactor.consume(&shared, 0);
        reactor.consumer.release(&lane.down);
        if reactor.give(lane, 12, &[]) {
            break;
        }
        sleeper.announce(&board.0);
        if !reactor.consumer.has_news(&shared.process, &lane.up)
            && !reactor.giver.has_freed(&lane.up)
        {
            board.1.wait();
        }
        sleeper.awake(&board.0);
    }
    thread.join().unwrap();
}

/// Preemption bound 3.
#[test]
fn a_void_behind_a_pad_is_freed_by_the_worker() {
    explore("void behind a pad", Some(3), || void_behind_a_pad(true, true));
}

#[test]
fn an_empty_lane_that_is_not_freed_starves_the_reactor() {
    finds("empty lane not freed", "deadlock", || {
        explore("mutant", Some(3), || void_behind_a_pad(false, false));
    });
}

#[test]
fn an_empty_lane_that_is_freed_without_a_bell_starves_the_reactor() {
    finds("empty lane freed without a bell", "deadlock", || {
        explore("mutant", Some(3), || void_behind_a_pad(true, false));
    });
}
