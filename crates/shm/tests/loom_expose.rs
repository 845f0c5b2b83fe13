//! EXPOSE (protocol §5 send, §6, §10): an exposed delivery is never redelivered; one that is not
//! exposed and not finished has no visible output on any lane, whenever its worker dies.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{Reactor, Shared, Worker, explore_deaths, finds, live};
use ostler_shm::record::RecordKind;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// EXPOSE is published in the transaction after the outputs that it exposes.
    ExposedLate,
    /// EXPOSE goes to the lane of the output, not to the home lane of the delivery.
    ExposedAway,
    /// The outputs are published without EXPOSE.
    NotExposed,
}

/// Delivery 1 outgrows the ring and is exposed; delivery 2 stays whole.
fn run(shared: &Shared, wrong: Wrong) {
    let mut worker = Worker::new(2);
    let (first, _) = worker.take(shared, 0).unwrap();
    let k = first.seq;
    worker.append(shared, 1, RecordKind::Out, 1, k).unwrap();
    worker.append(shared, 0, RecordKind::Out, 1, k).unwrap();
    match wrong {
        Wrong::Nothing => worker.append(shared, 0, RecordKind::Expose, 1, k).unwrap(),
        Wrong::ExposedAway => worker.append(shared, 1, RecordKind::Expose, 1, k).unwrap(),
        Wrong::ExposedLate | Wrong::NotExposed => {}
    }
    worker.commit(shared);
    if wrong == Wrong::ExposedLate {
        worker.append(shared, 0, RecordKind::Expose, 1, k).unwrap();
    }
    worker.append(shared, 1, RecordKind::Out, 1, k).unwrap();
    worker.commit(shared);
    worker.append(shared, 0, RecordKind::Fin, 1, k).unwrap();
    worker.commit(shared);
    worker.free(shared, 0);

    let (second, _) = worker.take(shared, 0).unwrap();
    worker.append(shared, 1, RecordKind::Out, 2, second.seq).unwrap();
    worker.append(shared, 0, RecordKind::Fin, 2, second.seq).unwrap();
    worker.commit(shared);
    worker.free(shared, 0);
}

fn model(wrong: Wrong, death: u32) -> bool {
    let shared = Shared::new(2, 512);
    let mut home = Reactor::default();
    for id in [1, 2] {
        assert!(home.give(&shared.lanes[0], id, &[]));
    }
    home.publish(&shared.lanes[0]);
    let worker = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || live(death, || run(&shared, wrong)))
    };
    // The away reactor knows nothing of the ledger: it only counts outputs.
    let mut away_outs = [0; 3];
    let mut away = Reactor::default();
    let mut look = |shared: &Shared| {
        let lane = &shared.lanes[1];
        away.consumer.look(&shared.process, &lane.up, 512).unwrap();
        while let Some(record) = away.consumer.next(&lane.outputs).unwrap() {
            if record.kind == RecordKind::Out {
                away_outs[record.header.subject as usize] += 1;
            }
        }
    };
    look(&shared);
    home.consume(&shared, 0);
    let died = worker.join().unwrap();
    look(&shared);
    let unstarted = home.settle(&shared, 0);
    for entry in &home.ledger {
        let (near, far) = (home.outs_of(entry.id), away_outs[entry.id as usize]);
        let all = if entry.id == 1 { (1, 2) } else { (0, 1) };
        if entry.done {
            assert_eq!((near, far), all, "outputs of the finished delivery {}", entry.id);
        } else if entry.exposed {
            // closed, not redelivered
            assert!((near, far) >= (1, 1), "exposed with its first transaction");
        } else {
            assert_eq!((near, far), (0, 0), "delivery {} is redelivered", entry.id);
        }
    }
    for id in unstarted {
        assert_eq!((home.outs_of(id), away_outs[id as usize]), (0, 0), "never started");
    }
    assert!(died || home.ledger.iter().all(|entry| entry.done));
    died
}

/// Preemption bound 4.
#[test]
fn what_is_redelivered_was_never_seen() {
    explore_deaths("expose", Some(4), |death| model(Wrong::Nothing, death));
}

fn mutant(name: &str, wrong: Wrong) {
    finds(name, "is redelivered", || {
        explore_deaths("mutant", Some(2), move |death| model(wrong, death));
    });
}

#[test]
fn expose_after_its_outputs_is_a_double_output() {
    mutant("EXPOSE late", Wrong::ExposedLate);
}

#[test]
fn expose_on_another_lane_is_a_double_output() {
    mutant("EXPOSE on another lane", Wrong::ExposedAway);
}

#[test]
fn outputs_published_without_expose_are_a_double_output() {
    mutant("no EXPOSE", Wrong::NotExposed);
}
