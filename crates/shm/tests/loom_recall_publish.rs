//! Publish and recall together (protocol §5-§7, §10): the worker finishes packages while the
//! reactor recalls, gives again and consumes; then the worker is dead, its lane is settled, and a
//! successor runs what is left. Every package has its output exactly once.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use model::mutants::{Defect, MutantInbox};
use model::{RACE, Reactor, Shared, Worker, explore, explore_deaths, finds, live};
use ostler_shm::record::{Header, RecordKind};
use std::sync::Arc;

const CAPACITY: u64 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The worker takes without looking at the gate.
    NoGateCheck,
    /// FIN is published in a transaction of its own, after the output.
    FinApart,
}

fn run(shared: &Shared, wrong: Wrong) {
    let mut worker = Worker::new(1);
    let mut mutant = MutantInbox::new(Defect::NoGateCheck);
    for _ in 0..2 {
        let taken = match wrong {
            Wrong::NoGateCheck => mutant.take(shared),
            _ => worker.take(shared, 0),
        };
        let Some((header, _)) = taken else { continue };
        answer(&mut worker, shared, header, wrong);
        worker.free(shared, 0);
    }
}

fn answer(worker: &mut Worker, shared: &Shared, header: Header, wrong: Wrong) {
    worker.append(shared, 0, RecordKind::Out, header.subject, header.seq).unwrap();
    if wrong == Wrong::FinApart {
        worker.commit(shared);
    }
    worker.append(shared, 0, RecordKind::Fin, header.subject, header.seq).unwrap();
    worker.commit(shared);
}

fn model(wrong: Wrong, death: u32) -> bool {
    let shared = Shared::new(1, CAPACITY);
    let lane = &shared.lanes[0];
    let mut reactor = Reactor::default();
    for id in [1, 2] {
        assert!(reactor.give(lane, id, &[]));
    }
    reactor.publish(lane);
    let worker = {
        let shared = Arc::clone(&shared);
        loom::thread::spawn(move || live(death, || run(&shared, wrong)))
    };
    let mut waiting = reactor.recall(lane);
    waiting.push(3);
    while let Some(id) = waiting.first() {
        if !reactor.give(lane, *id, &[]) {
            break;
        }
        waiting.remove(0);
    }
    reactor.publish(lane);
    reactor.consume(&shared, 0);
    let died = worker.join().unwrap();

    let unstarted = reactor.settle(&shared, 0);
    // Started and unfinished: given again (`redeliver`). Then what was not started, then what was
    // not given.
    let mut left: Vec<u64> =
        reactor.ledger.iter().filter(|entry| !entry.done).map(|entry| entry.id).collect();
    assert!(left.len() <= usize::from(died), "a living worker leaves nothing half done: {left:?}");
    for id in &left {
        assert_eq!(reactor.outs_of(*id), 0, "package {id} has an output and is redelivered");
    }
    left.extend(unstarted);
    left.extend(waiting);
    for id in 1..=3 {
        let successor = left.iter().filter(|left| **left == id).count();
        assert_eq!(reactor.outs_of(id) + successor, 1, "outputs of package {id} in the end");
    }
    died
}

/// Preemption bound 4 for a worker that lives, 3 with deaths.
#[test]
fn every_package_has_its_output_once() {
    explore("publish and recall", Some(4), || assert!(!model(Wrong::Nothing, 0)));
    explore_deaths("publish and recall", Some(3), |death| model(Wrong::Nothing, death));
}

fn mutant(name: &str, expected: &str, wrong: Wrong) {
    finds(name, expected, || {
        explore_deaths("mutant", Some(2), move |death| model(wrong, death));
    });
}

#[test]
fn without_the_gate_check_a_record_is_read_while_it_is_written() {
    mutant("publish without the gate check", RACE, Wrong::NoGateCheck);
}

#[test]
fn a_fin_in_a_transaction_of_its_own_doubles_an_output() {
    mutant("FIN apart", "redelivered", Wrong::FinApart);
}
