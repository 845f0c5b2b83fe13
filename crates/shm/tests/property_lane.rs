//! Any interleaving of give, take, finish, recall, publish, consume on one lane, against a plain
//! queue: nothing is lost, doubled or reordered, no byte changes while somebody needs it, and room
//! always comes back.
#![cfg(not(loom))]
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod plain;

use ostler_shm::consumer::Consumer;
use ostler_shm::giver::Giver;
use ostler_shm::inbox::{Inbox, Take};
use ostler_shm::outbox::{Committer, Outbox};
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::{RingBytes, max_record};
use ostler_shm::words::{DownWords, ProcessWords, UpWords};
use plain::Plain;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::VecDeque;

const CAPACITY: u64 = 4096;
const LONGEST: usize = max_record(CAPACITY) as usize - HEADER_SIZE;

#[derive(Clone, Debug)]
enum Op {
    /// Give the next waiting package.
    Give,
    /// A new package arrives.
    Arrive(usize),
    Publish,
    Take,
    /// Finish the n-th of the held packages, with outputs of these sizes.
    Finish(usize, Vec<usize>),
    Recall,
    Consume,
}

fn op() -> impl Strategy<Value = Op> {
    let size = 0..=LONGEST;
    prop_oneof![
        3 => Just(Op::Give),
        2 => size.clone().prop_map(Op::Arrive),
        3 => Just(Op::Publish),
        4 => Just(Op::Take),
        4 => (0usize..4, proptest::collection::vec(size, 0..3))
            .prop_map(|(nth, sizes)| Op::Finish(nth, sizes)),
        1 => Just(Op::Recall),
        3 => Just(Op::Consume),
    ]
}

fn payload(id: u64, size: usize) -> Vec<u8> {
    (0..size).map(|index| (id as usize * 31 + index * 7) as u8).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Package {
    id: u64,
    size: usize,
}

struct Given {
    package: Package,
    seq: u64,
    position: u64,
    done: bool,
}

struct Held {
    package: Package,
    seq: u64,
    position: u64,
}

struct World {
    process: ProcessWords,
    down: DownWords,
    up: UpWords,
    packages: Plain,
    outputs: Plain,
    giver: Giver,
    consumer: Consumer,
    inbox: Inbox,
    outbox: Outbox,
    committer: Committer,
    /// The session's FIFO.
    waiting: VecDeque<Package>,
    ledger: VecDeque<Given>,
    held: Vec<Held>,
    /// Published outputs that the reactor has to find, in order: (cause, size); `None` for a FIN.
    expected: VecDeque<(u64, Option<usize>)>,
    next_id: u64,
    next_seq: u64,
    last_taken: u64,
}

impl World {
    fn new() -> Self {
        Self {
            process: ProcessWords::new(),
            down: DownWords::new(),
            up: UpWords::new(),
            packages: Plain::new(CAPACITY),
            outputs: Plain::new(CAPACITY),
            giver: Giver::default(),
            consumer: Consumer::default(),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            committer: Committer::default(),
            waiting: VecDeque::new(),
            ledger: VecDeque::new(),
            held: Vec::new(),
            expected: VecDeque::new(),
            next_id: 0,
            next_seq: 0,
            last_taken: 0,
        }
    }

    fn play(&mut self, op: Op) {
        match op {
            Op::Arrive(size) => {
                self.next_id += 1;
                self.waiting.push_back(Package { id: self.next_id, size });
            }
            Op::Give => {
                self.give();
            }
            Op::Publish => self.giver.publish(&self.down),
            Op::Take => {
                self.take();
            }
            Op::Finish(nth, sizes) => {
                if !self.held.is_empty() {
                    self.finish(nth % self.held.len(), &sizes);
                }
            }
            Op::Recall => self.recall(),
            Op::Consume => self.consume(),
        }
        assert!(self.giver.in_use() <= CAPACITY);
    }

    fn give(&mut self) -> bool {
        let Some(package) = self.waiting.front().copied() else { return false };
        let len = package.size as u64;
        let Some(opening) = self.giver.open(CAPACITY, len, len) else { return false };
        assert!(opening.payload_max >= len);
        self.packages.write_bytes(opening.payload_offset, &payload(package.id, package.size));
        self.next_seq += 1;
        let header = Header {
            kind: RecordKind::Data as u8,
            seq: self.next_seq,
            subject: package.id,
            ..Header::default()
        };
        let given = self.giver.complete(&self.packages, opening, header, len);
        assert_eq!(given.position, opening.position);
        let (seq, position) = (self.next_seq, given.position);
        self.ledger.push_back(Given { package, seq, position, done: false });
        self.waiting.pop_front();
        true
    }

    fn take(&mut self) -> bool {
        match self.inbox.take(&self.down, &self.up, &self.packages) {
            Take::Empty => {
                assert!(!self.inbox.has_news(&self.down), "nothing to take, and news");
                self.free();
                false
            }
            Take::Record { header, position } => {
                let given = self.ledger.iter().find(|given| given.seq == header.seq);
                let given = given.expect("a package that the reactor has taken back");
                assert_eq!((given.position, given.package.id), (position, header.subject));
                assert_eq!(header.payload_len(), given.package.size);
                assert!(header.subject > self.last_taken, "reordered or run twice");
                self.last_taken = header.subject;
                self.held.push(Held { package: given.package, seq: header.seq, position });
                self.check_held();
                true
            }
            other => panic!("{other:?}"),
        }
    }

    /// What the worker holds is as it was given.
    fn check_held(&self) {
        for held in &self.held {
            let offset = (held.position & (CAPACITY - 1)) + HEADER_SIZE as u64;
            let bytes = self.packages.bytes(offset, held.package.size);
            assert_eq!(
                bytes,
                payload(held.package.id, held.package.size),
                "a held package changed"
            );
        }
    }

    fn free(&mut self) {
        let first_held = self.held.iter().map(|held| held.position).min();
        let position = first_held.unwrap_or(self.inbox.position());
        self.inbox.free_up_to(position, &self.up);
    }

    fn append(&mut self, kind: RecordKind, cause: u64, payload: &[u8]) -> bool {
        let stamp = self.committer.open_transaction();
        let header = Header { kind: kind as u8, cause, stamp, ..Header::default() };
        self.outbox.append(&self.down, &self.outputs, header, &[payload]).is_ok()
    }

    /// Finishes a held package; gives up what does not fit (its outputs so far stay, published with
    /// the FIN).
    fn finish(&mut self, nth: usize, sizes: &[usize]) {
        self.check_held();
        let cause = self.held[nth].seq;
        let mut fitted = Vec::new();
        for size in sizes {
            // Room for the FIN is kept.
            let fits =
                self.outbox.has_room(&self.down, CAPACITY, *size as u64 + 2 * HEADER_SIZE as u64);
            if fits && self.append(RecordKind::Out, cause, &payload(cause, *size)) {
                fitted.push((cause, Some(*size)));
            }
        }
        if !self.append(RecordKind::Fin, cause, &[]) {
            // Only possible when nothing of this transaction is in the ring.
            assert!(fitted.is_empty() || self.outbox.staged() > 0);
            self.consume();
            assert!(self.append(RecordKind::Fin, cause, &[]), "a drained ring has room for a FIN");
        }
        self.held.remove(nth);
        Committer::store_written(&mut self.outbox, &self.up);
        self.committer.commit(&self.process);
        self.expected.extend(fitted);
        self.expected.push_back((cause, None));
        self.free();
    }

    fn recall(&mut self) {
        let t = self.giver.recall(&self.down, &self.up).unwrap();
        while self.ledger.back().is_some_and(|given| given.position >= t) {
            let given = self.ledger.pop_back().unwrap();
            assert!(
                !self.held.iter().any(|held| held.seq == given.seq),
                "both in hand and recalled"
            );
            assert!(!given.done);
            self.waiting.push_front(given.package);
        }
        for given in &self.ledger {
            let held = self.held.iter().any(|held| held.seq == given.seq);
            let finished = given.done || self.expected.iter().any(|(cause, _)| *cause == given.seq);
            assert!(held || finished, "neither in hand nor recalled");
        }
    }

    fn consume(&mut self) {
        let freed = self.giver.peek_freed(&self.up);
        self.consumer.look(&self.process, &self.up, CAPACITY).unwrap();
        while let Some(record) = self.consumer.next(&self.outputs).unwrap() {
            let (cause, size) =
                self.expected.pop_front().expect("an output that was never committed");
            assert_eq!(record.header.cause, cause, "outputs are reordered");
            match size {
                Some(size) => {
                    assert_eq!(record.kind, RecordKind::Out);
                    assert_eq!(record.header.payload_len(), size);
                    let bytes = self.outputs.bytes(record.payload_offset, size);
                    assert_eq!(bytes, payload(cause, size), "an output changed");
                }
                None => {
                    assert_eq!(record.kind, RecordKind::Fin);
                    self.ledger.iter_mut().find(|given| given.seq == cause).unwrap().done = true;
                }
            }
        }
        assert!(self.expected.is_empty(), "a committed output was not found");
        assert!(!self.consumer.has_news(&self.process, &self.up));
        self.consumer.release(&self.down);
        self.giver.reclaim(freed).unwrap();
        while self.ledger.front().is_some_and(|given| given.done) {
            self.ledger.pop_front();
        }
    }

    /// Everything that waits gets through.
    fn drain(&mut self) {
        for _ in 0..10_000 {
            while self.give() {}
            self.giver.publish(&self.down);
            while self.take() {}
            while !self.held.is_empty() {
                self.finish(0, &[]);
            }
            self.consume();
            if self.waiting.is_empty() && self.ledger.is_empty() {
                assert_eq!(self.last_taken, self.next_id, "every package was run");
                self.take();
                self.consume();
                assert_eq!(self.giver.in_use(), 0, "all room came back");
                return;
            }
        }
        panic!("the lane is stuck: {} wait", self.waiting.len());
    }
}

#[test]
fn a_lane_is_a_queue() {
    let mut runner =
        TestRunner::new(Config { cases: 4_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&proptest::collection::vec(op(), 0..200), |ops| {
            let mut world = World::new();
            for op in ops {
                world.play(op);
            }
            world.drain();
            Ok(())
        })
        .unwrap();
}

/// A record of any allowed size fits into an empty ring, wherever its cursor stands.
#[test]
fn an_empty_ring_takes_every_record() {
    for steps in 0..CAPACITY / HEADER_SIZE as u64 {
        for size in [0, 1, 64, LONGEST / 2, LONGEST - 1, LONGEST] {
            let mut world = World::new();
            for _ in 0..steps {
                world.play(Op::Arrive(0));
                world.drain();
            }
            world.play(Op::Arrive(size));
            world.drain();
            assert!(world.append(RecordKind::Out, 0, &payload(1, size)));
        }
    }
}
