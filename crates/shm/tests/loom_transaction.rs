//! One transaction over two lanes (protocol §5 publish, §6): two reactors see all of it or nothing,
//! whenever the worker dies.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{Reactor, Shared, Worker, explore, explore_deaths, finds, live};
use ostler_shm::outbox::Committer;
use ostler_shm::record::RecordKind;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// `commit` is stored before the second lane's `out_written`.
    CommitFirst,
    /// The lanes have a commit word each.
    WordPerLane,
    /// The home reactor settles without consuming to the final commit.
    SettledUnread,
}

const PACKAGES: u64 = 2;

/// Takes `PACKAGES` of lane 0; each answers on both lanes, alternating which one comes first.
fn run(shared: &Shared, other: &Shared, wrong: Wrong) {
    let mut worker = Worker::new(2);
    for _ in 0..PACKAGES {
        let (header, _) = worker.take(shared, 0).unwrap();
        let subject = header.subject;
        worker.append(shared, 1, RecordKind::Out, subject, header.seq).unwrap();
        worker.append(shared, 0, RecordKind::Out, subject, header.seq).unwrap();
        worker.append(shared, 0, RecordKind::Fin, subject, header.seq).unwrap();
        let [home, away] = &mut worker.outboxes[..] else { panic!() };
        match wrong {
            Wrong::CommitFirst => {
                Committer::store_written(home, &shared.lanes[0].up);
                worker.committer.commit(&shared.process);
                Committer::store_written(away, &shared.lanes[1].up);
            }
            Wrong::WordPerLane => {
                Committer::store_written(home, &shared.lanes[0].up);
                Committer::store_written(away, &shared.lanes[1].up);
                worker.committer.commit(&shared.process);
                other.process.commit.commit.store(subject, ostler_shm::sync::Ordering::Release);
            }
            _ => worker.commit(shared),
        }
        worker.free(shared, 0);
    }
}

fn model(wrong: Wrong, death: u32, live_looks: bool) -> bool {
    let shared = Shared::new(2, 512);
    let other = Shared::new(1, 64); // only its commit word, for a mutant
    let mut home = Reactor::default();
    for id in 1..=PACKAGES {
        assert!(home.give(&shared.lanes[0], id, &[]));
    }
    home.publish(&shared.lanes[0]);
    let worker = {
        let (shared, other) = (Arc::clone(&shared), Arc::clone(&other));
        thread::spawn(move || live(death, || run(&shared, &other, wrong)))
    };
    // The away reactor looks while the worker lives; the home reactor, too, if the state space
    // allows it.
    let mut away = Reactor::default();
    let commit = if wrong == Wrong::WordPerLane { Arc::clone(&other) } else { Arc::clone(&shared) };
    let look = move |shared: &Shared, away: &mut Reactor| {
        let (lane, process) = (&shared.lanes[1], &commit.process);
        away.consumer.look(process, &lane.up, 512).unwrap();
        while let Some(record) = away.consumer.next(&lane.outputs).unwrap() {
            away.outputs.push(record.header);
        }
    };
    look(&shared, &mut away);
    if live_looks {
        home.consume(&shared, 0);
    }
    let died = worker.join().unwrap();
    if wrong != Wrong::SettledUnread {
        home.settle(&shared, 0);
    }
    look(&shared, &mut away);
    for id in 1..=PACKAGES {
        let done = home.ledger.iter().any(|entry| entry.id == id && entry.done);
        assert_eq!(home.outs_of(id), usize::from(done), "home outputs of {id}, FIN {done}");
        assert_eq!(away.outs_of(id), usize::from(done), "away outputs of {id}, FIN {done}");
    }
    assert!(died || home.ledger.iter().all(|entry| entry.done));
    died
}

#[test]
fn all_or_nothing_on_two_lanes() {
    explore_deaths("transaction", None, |death| model(Wrong::Nothing, death, true));
}

/// Two reactors at once as threads of their own; preemption bound 3.
#[test]
fn two_reactors_and_a_worker_at_once() {
    explore("transaction, three threads", Some(3), || {
        let shared = Shared::new(2, 512);
        let mut home = Reactor::default();
        for id in 1..=PACKAGES {
            assert!(home.give(&shared.lanes[0], id, &[]));
        }
        home.publish(&shared.lanes[0]);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || run(&shared, &shared, Wrong::Nothing))
        };
        let away = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut away = Reactor::default();
                away.consume(&shared, 1);
                away.consume(&shared, 1);
                away
            })
        };
        home.consume(&shared, 0);
        worker.join().unwrap();
        let mut away = away.join().unwrap();
        home.consume(&shared, 0);
        away.consume(&shared, 1);
        for id in 1..=PACKAGES {
            assert_eq!((home.outs_of(id), away.outs_of(id)), (1, 1));
        }
    });
}

/// A reactor that has seen `commit` must find the records: the order of its two looks. A local copy
/// of the looks.
fn order_of_looks(written_first: bool) {
    explore("order of looks", None, move || {
        let shared = Shared::new(1, 256);
        let worker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let mut worker = Worker::new(1);
                worker.append(&shared, 0, RecordKind::Out, 1, 0).unwrap();
                worker.commit(&shared);
            })
        };
        let commit = || shared.process.commit.commit.load(ostler_shm::sync::Ordering::Acquire);
        let written =
            || shared.lanes[0].up.out.out_written.load(ostler_shm::sync::Ordering::Acquire);
        let (c, w) = if written_first {
            let w = written();
            (commit(), w)
        } else {
            (commit(), written())
        };
        assert!(c == 0 || w == 64, "committed and not found");
        worker.join().unwrap();
    });
}

#[test]
fn commit_is_looked_at_before_out_written() {
    order_of_looks(false);
    finds("out_written looked at first", "committed and not found", || order_of_looks(true));
}

fn mutant(name: &str, wrong: Wrong) {
    finds(name, "away outputs of 1", || {
        explore_deaths("mutant", Some(2), move |death| model(wrong, death, false));
    });
}

#[test]
fn commit_before_out_written_is_half_a_transaction() {
    mutant("commit before an out_written", Wrong::CommitFirst);
}

#[test]
fn a_commit_word_per_lane_is_half_a_transaction() {
    mutant("commit word per lane", Wrong::WordPerLane);
}

#[test]
fn a_lane_settled_before_its_final_commit_is_read_is_half_a_transaction() {
    mutant("settled unread", Wrong::SettledUnread);
}
