//! Wrap and pad, on both rings (protocol §3): what is behind a pad is whole, announced by itself,
//! and can be recalled.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::mutants::{Defect, MutantInbox};
use model::{RACE, Reactor, Shared, Worker, explore, explore_deaths, finds, live};
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::{self, RingBytes};
use ostler_shm::sync::Ordering;
use std::sync::{Arc, Mutex};

/// Eight cells; the largest record is two.
const CAPACITY: u64 = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Of `take`: see `Defect::PadNotAnnounced`.
    PadNotAnnounced,
    /// The out ring's pad does not carry the transaction.
    PadWithoutTransaction,
    /// The out ring's pad is written after `out_written`.
    PadWrittenLate,
}

/// Seven records of one cell go through both rings: the next of two cells needs a pad on each.
fn advanced(shared: &Shared) -> (Reactor, Worker) {
    let lane = &shared.lanes[0];
    let (mut reactor, mut worker) = (Reactor::default(), Worker::new(1));
    for id in 1..=7 {
        assert!(reactor.give(lane, id, &[]));
        reactor.publish(lane);
        let (header, _) = worker.take(shared, 0).unwrap();
        worker.append(shared, 0, RecordKind::Fin, id, header.seq).unwrap();
        worker.commit(shared);
        worker.free(shared, 0);
        reactor.consume(shared, 0);
        reactor.consumer.release(&lane.down);
    }
    reactor.ledger.clear();
    reactor.outputs.clear();
    (reactor, worker)
}

fn answer(wrong: Wrong, worker: &mut Worker, shared: &Shared, header: Header, payload: &[u8]) {
    match wrong {
        Wrong::PadWithoutTransaction | Wrong::PadWrittenLate => {
            let lane = &shared.lanes[0];
            let head = lane.up.out.out_written.load(Ordering::Relaxed);
            let placed = ring::place(head, 128, CAPACITY);
            let stamp = worker.committer.open_transaction();
            if wrong == Wrong::PadWithoutTransaction {
                ring::write_pad(&lane.outputs, head, placed.pad, 8, 0);
            }
            let out = Header {
                len: 128,
                kind: RecordKind::Out as u8,
                seq: 9,
                subject: header.subject,
                cause: header.seq,
                stamp,
                ..Header::default()
            };
            lane.outputs.write_header(placed.position & (CAPACITY - 1), &out);
            lane.outputs.write_bytes((placed.position & (CAPACITY - 1)) + 64, payload);
            lane.up.out.out_written.store(placed.end, Ordering::Release);
            worker.committer.commit(&shared.process);
            if wrong == Wrong::PadWrittenLate {
                ring::write_pad(&lane.outputs, head, placed.pad, 8, stamp);
            }
        }
        _ => {
            let (subject, cause) = (header.subject, header.seq);
            worker.append_bytes(shared, 0, RecordKind::Out, subject, cause, payload).unwrap();
            worker.append(shared, 0, RecordKind::Fin, subject, cause).unwrap();
            worker.commit(shared);
        }
    }
}

/// A package behind a pad, answered behind a pad, while the reactor gives one more and consumes.
fn through(wrong: Wrong) {
    let shared = Shared::new(1, CAPACITY);
    let lane = &shared.lanes[0];
    let (mut reactor, mut worker) = advanced(&shared);
    assert!(reactor.give(lane, 8, &[8; 64]));
    reactor.publish(lane);
    let thread = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            while let Some((header, position)) = worker.take(&shared, 0) {
                let offset = (position & (CAPACITY - 1)) + HEADER_SIZE as u64;
                let words = shared.lanes[0].packages.cell(offset);
                assert_eq!(words, [u64::from_le_bytes([header.subject as u8; 8]); 8]);
                answer(wrong, &mut worker, &shared, header, &[header.subject as u8 + 100; 64]);
                worker.free(&shared, 0);
            }
        })
    };
    assert!(reactor.give(lane, 9, &[9; 64]));
    reactor.publish(lane);
    for round in 0..2 {
        let freed = reactor.peek_freed(lane);
        reactor.consumer.look(&shared.process, &lane.up, CAPACITY).unwrap();
        while let Some(record) = reactor.consumer.next(&lane.outputs).unwrap() {
            if record.kind == RecordKind::Out {
                let words = lane.outputs.cell(record.payload_offset);
                let value = record.header.subject as u8 + 100;
                assert_eq!(words, [u64::from_le_bytes([value; 8]); 8]);
            }
        }
        reactor.consumer.release(&lane.down);
        reactor.reclaim(freed);
        if round == 0 {
            // Placed over what the worker may be reading, if it was not freed.
            while reactor.give(lane, 10, &[10; 64]) {}
        }
    }
    thread.join().unwrap();
}

/// Preemption bound 4.
#[test]
fn a_record_behind_a_pad_is_whole() {
    explore("wrap on both rings", Some(4), || through(Wrong::Nothing));
}

#[test]
fn a_pad_belongs_to_its_transaction() {
    finds("pad without transaction", "transaction went back", || {
        explore("mutant", Some(2), || through(Wrong::PadWithoutTransaction));
    });
}

#[test]
fn a_pad_is_written_before_it_is_published() {
    finds("pad written late", RACE, || {
        explore("mutant", Some(2), || through(Wrong::PadWrittenLate));
    });
}

/// A recall while the worker stands at a pad: what it runs is what the reactor does not have.
fn recalled_at_a_pad(wrong: Wrong, death: u32) -> bool {
    let shared = Shared::new(1, CAPACITY);
    let lane = &shared.lanes[0];
    let (mut reactor, mut worker) = advanced(&shared);
    for id in [8, 9] {
        assert!(reactor.give(lane, id, &[id as u8; 64]));
    }
    reactor.publish(lane);
    let ran = Arc::new(Mutex::new(Vec::new()));
    let thread = {
        let (shared, ran) = (Arc::clone(&shared), Arc::clone(&ran));
        thread::spawn(move || {
            live(death, || {
                let mut mutant = MutantInbox::new(Defect::PadNotAnnounced);
                mutant.position = worker.inboxes[0].position();
                loop {
                    let taken = match wrong {
                        Wrong::PadNotAnnounced => mutant.take(&shared),
                        _ => worker.take(&shared, 0),
                    };
                    let Some((header, position)) = taken else { break };
                    ran.lock().unwrap().push(header.subject);
                    let lane = &shared.lanes[0];
                    let again = lane.packages.read_header(position & (CAPACITY - 1));
                    assert_eq!(again, header);
                    if wrong != Wrong::PadNotAnnounced {
                        worker.free(&shared, 0);
                    }
                }
            })
        })
    };
    // When the pad was announced, its void cannot be jumped before the worker frees it (see
    // `loom_freed`): what does not fit stays with the reactor.
    let mut waiting = reactor.recall(lane);
    while let Some(id) = waiting.first() {
        if !reactor.give(lane, *id, &[*id as u8; 64]) {
            break;
        }
        waiting.remove(0);
    }
    reactor.publish(lane);
    let died = thread.join().unwrap();
    let unstarted = reactor.settle(&shared, 0);
    let ran = ran.lock().unwrap().clone();
    let in_hand: Vec<u64> = reactor.ledger.iter().map(|entry| entry.id).collect();
    assert!(
        in_hand.len() <= ran.len() + usize::from(died) && ran.len() <= in_hand.len(),
        "in hand {in_hand:?}, ran {ran:?}"
    );
    assert_eq!(in_hand[..ran.len()], ran[..]);
    let all: Vec<u64> = in_hand.into_iter().chain(unstarted).chain(waiting).collect();
    assert_eq!(all, [8, 9], "each once, in order");
    died
}

/// Preemption bound 4 for a worker that lives and 3 with deaths.
#[test]
fn a_recall_at_a_pad_loses_and_doubles_nothing() {
    explore("recall at a pad", Some(4), || assert!(!recalled_at_a_pad(Wrong::Nothing, 0)));
    explore_deaths("recall at a pad", Some(3), |death| recalled_at_a_pad(Wrong::Nothing, death));
}

#[test]
fn a_record_behind_a_pad_needs_its_own_announcement() {
    finds("pad not announced", "in hand", || {
        explore("mutant", Some(3), || {
            recalled_at_a_pad(Wrong::PadNotAnnounced, 0);
        });
    });
}
