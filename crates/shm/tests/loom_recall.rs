//! Recall while the worker takes (protocol §5 T1-T4, §7): every delivery is either in hand at the
//! worker or the reactor's again, never both, never neither; void space is used again at once.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use model::mutants::{Defect, MutantInbox};
use model::{Lane, RACE, Reactor, Shared, Worker, explore, explore_deaths, finds, live};
use ostler_shm::record::Header;
use ostler_shm::ring::RingBytes;
use std::sync::{Arc, Mutex};

const CAPACITY: u64 = 256;

/// A taking side: the real one or a mutant.
trait Taker {
    fn take(&mut self, shared: &Shared) -> Option<(Header, u64)>;
    fn free(&mut self, shared: &Shared);
}

impl Taker for Worker {
    fn take(&mut self, shared: &Shared) -> Option<(Header, u64)> {
        self.take(shared, 0)
    }

    fn free(&mut self, shared: &Shared) {
        self.free(shared, 0);
    }
}

impl Taker for MutantInbox {
    fn take(&mut self, shared: &Shared) -> Option<(Header, u64)> {
        self.take(shared)
    }

    fn free(&mut self, shared: &Shared) {
        (*self).free(shared);
    }
}

/// What the worker ran: (package, position).
type Ran = Arc<Mutex<Vec<(u64, u64)>>>;

/// Takes up to `attempts` records and runs them.
fn run(taker: &mut impl Taker, shared: &Shared, ran: &Ran, attempts: usize) {
    for _ in 0..attempts {
        if let Some((header, position)) = taker.take(shared) {
            ran.lock().unwrap().push((header.subject, position));
            // The handler reads the record: loom fails if the reactor can be writing there.
            let again = shared.lanes[0].packages.read_header(position & (CAPACITY - 1));
            assert_eq!(again, header, "the record changed while it was in hand");
            taker.free(shared);
        }
    }
}

/// After the worker's end: what it ran is what the ledger says it had in hand.
fn check(reactor: &mut Reactor, shared: &Shared, ran: &Ran, mut waiting: Vec<u64>, died: bool) {
    let unstarted = reactor.settle(shared, 0);
    waiting.splice(0..0, unstarted);
    let ran = ran.lock().unwrap();
    let in_hand: Vec<_> = reactor.ledger.iter().map(|entry| (entry.id, entry.position)).collect();
    // A worker that died between the announcement and its handler has one more in hand than it ran.
    let slack = usize::from(died);
    assert!(
        ran.len() <= in_hand.len() && in_hand.len() <= ran.len() + slack,
        "in hand {in_hand:?}, ran {ran:?}"
    );
    assert_eq!(in_hand[..ran.len()], ran[..], "other records were run than were in hand");
    let mut ids: Vec<_> = in_hand.iter().map(|(id, _)| *id).chain(waiting).collect();
    let given = ids.clone();
    ids.sort_unstable();
    assert_eq!(given, ids, "the order of packages changed");
    ids.dedup();
    assert_eq!(given, ids, "a package was doubled");
}

/// `recalls` times: recall, then give all that came back again, and one package more, into the
/// void's memory.
fn recall_model(
    defect: Option<Defect>,
    death: u32,
    first: u64,
    recalls: usize,
    attempts: usize,
) -> bool {
    let shared = Shared::new(1, CAPACITY);
    let ran = Ran::default();
    let mut reactor = Reactor::default();
    let lane = &shared.lanes[0];
    let mut next = 0;
    for _ in 0..first {
        next += 1;
        assert!(reactor.give(lane, next, &[]));
    }
    reactor.publish(lane);
    let worker = {
        let (shared, ran) = (Arc::clone(&shared), Arc::clone(&ran));
        loom::thread::spawn(move || {
            live(death, || match defect {
                None => run(&mut Worker::new(1), &shared, &ran, attempts),
                Some(defect) => run(&mut MutantInbox::new(defect), &shared, &ran, attempts),
            })
        })
    };
    let mut waiting: Vec<u64> = Vec::new();
    for _ in 0..recalls {
        let back = reactor.recall(lane);
        waiting.splice(0..0, back);
        next += 1;
        waiting.push(next);
        give_all(&mut reactor, lane, &mut waiting);
        reactor.publish(lane);
    }
    let died = worker.join().unwrap();
    let given: usize = reactor.ledger.len() + waiting.len();
    assert_eq!(given as u64, next, "a package was lost");
    check(&mut reactor, &shared, &ran, waiting, died);
    died
}

fn give_all(reactor: &mut Reactor, lane: &Lane, waiting: &mut Vec<u64>) {
    while let Some(id) = waiting.first() {
        if !reactor.give(lane, *id, &[]) {
            return;
        }
        waiting.remove(0);
    }
}

#[test]
fn one_recall() {
    explore_deaths("one recall", None, |death| recall_model(None, death, 3, 1, 3));
}

/// Preemption bound 3 for a worker that lives, and 2 with deaths.
#[test]
fn two_recalls() {
    explore("two recalls", Some(3), || assert!(!recall_model(None, 0, 2, 2, 3)));
    explore_deaths("two recalls", Some(2), |death| recall_model(None, death, 2, 2, 3));
}

/// `check` of a mutant: only what it did matters, so nothing dies.
fn mutant(defect: Defect, recalls: usize) {
    explore("mutant", Some(3), move || {
        recall_model(Some(defect), 0, 2, recalls, 3);
    });
}

#[test]
fn the_copy_without_a_defect_passes() {
    mutant(Defect::Faithful, 2);
}

#[test]
fn without_the_fence_a_record_is_read_while_it_is_written() {
    finds("take without a fence", RACE, || mutant(Defect::NoFence, 1));
}

#[test]
fn without_the_gate_check_a_record_is_read_while_it_is_written() {
    finds("take without the gate", RACE, || mutant(Defect::NoGateCheck, 1));
}

#[test]
fn a_void_tested_only_when_the_gate_moves_is_run() {
    finds("void only when the gate moved", "in hand", || mutant(Defect::VoidOnlyWhenGateMoved, 2));
}

#[test]
fn a_record_read_before_its_announcement_is_a_race() {
    finds("read first", RACE, || mutant(Defect::ReadFirst, 1));
}

#[test]
fn a_jump_beyond_the_last_look_reads_what_is_not_given() {
    finds("stale written", RACE, || mutant(Defect::StaleWritten, 2));
}

#[test]
fn an_odd_gate_must_be_waited_for() {
    finds("odd gate ignored", RACE, || mutant(Defect::OddGateIgnored, 1));
}
