//! Fake peers and workers around a brain. Each datagram is numbered, and the world checks that the
//! workers start those of each peer in their order.

use std::collections::BTreeMap;

use crate::Nanos;
use crate::brain::{Assignment, Brain, BrainSettings, Content, DatagramBooks, LaneSlot, Offer};
use crate::ids::{PortId, ProcessKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits, or is at a worker.
    Here,
    Finished,
    /// It was at a worker that died, or waited, and is here no more.
    Dropped,
}

/// A datagram at a worker.
#[derive(Clone, Debug)]
struct Record {
    seq: u64,
    position: u64,
    peer: u64,
    number: usize,
    started: bool,
}

#[derive(Debug)]
struct Worker {
    slot: LaneSlot,
    records: Vec<Record>,
    written: u64,
    taken: u64,
}

#[derive(Debug)]
pub(super) struct Peers {
    pub(super) brain: Brain,
    pub(super) now: Nanos,
    /// By worker slot.
    workers: Vec<Option<Worker>>,
    generation: u32,
    /// By peer, by number.
    sent: BTreeMap<u64, Vec<Fate>>,
    /// The lane to which each was given last.
    given_to: BTreeMap<(u64, usize), usize>,
    /// The number that each peer's next start must have at least.
    next_start: BTreeMap<u64, usize>,
}

fn body(peer: u64, number: usize) -> Vec<u8> {
    [peer.to_le_bytes(), (number as u64).to_le_bytes()].concat()
}

fn of_body(body: &[u8]) -> (u64, usize) {
    let word = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
    (word(0), word(8) as usize)
}

impl Peers {
    pub(super) fn new(settings: BrainSettings) -> Self {
        let workers = (0..settings.workers).map(|_| None).collect();
        Self {
            brain: Brain::new(settings),
            now: 1_000_000_000,
            workers,
            generation: 0,
            sent: BTreeMap::new(),
            given_to: BTreeMap::new(),
            next_start: BTreeMap::new(),
        }
    }

    pub(super) fn pass(&mut self, ns: Nanos) {
        self.now += ns;
    }

    pub(super) fn serve(&mut self, worker: usize) {
        self.generation += 1;
        let slot = self.brain.add_lane(ProcessKey::event(worker as u16, self.generation));
        self.brain.serve(slot);
        assert!(self.workers[worker].is_none());
        self.workers[worker] = Some(Worker { slot, records: Vec::new(), written: 64, taken: 0 });
        self.pump();
    }

    pub(super) fn serves(&self, worker: usize) -> bool {
        self.workers[worker].is_some()
    }

    // ---- what peers do --------------------------------------------------------------------------

    /// Sends, and lets the brain give.
    pub(super) fn send(&mut self, peer: u64) {
        self.send_unread(peer);
        self.pump();
    }

    /// Sends, and is read whether or not the brain wants more.
    pub(super) fn send_unread(&mut self, peer: u64) {
        let numbers = self.sent.entry(peer).or_default();
        numbers.push(Fate::Here);
        let number = numbers.len() - 1;
        match self.brain.offer_datagram(PortId::FIRST, peer) {
            Offer::Give(assignment) => self.write(assignment, peer, number),
            Offer::Wait(slot) => {
                if !self.brain.keep_datagram(slot, body(peer, number)) {
                    self.settled(peer, number, Fate::Dropped);
                }
            }
        }
        self.check();
    }

    fn settled(&mut self, peer: u64, number: usize, fate: Fate) {
        let place = &mut self.sent.get_mut(&peer).unwrap()[number];
        assert_eq!(*place, Fate::Here, "{peer} {number} is settled once");
        *place = fate;
    }

    // ---- what the driver does -------------------------------------------------------------------

    pub(super) fn pump(&mut self) {
        while let Some(assignment) = self.brain.next_give() {
            let Content::Returned(returned) = &assignment.content else {
                panic!("{assignment:?}");
            };
            let (peer, number) = of_body(&returned.body);
            self.write(assignment, peer, number);
        }
        self.check();
    }

    fn write(&mut self, assignment: Assignment, peer: u64, number: usize) {
        let at = |worker: &Option<Worker>| {
            worker.as_ref().is_some_and(|worker| worker.slot == assignment.lane)
        };
        let index = self.workers.iter().position(at).expect("it serves");
        let elsewhere = self.workers.iter().flatten().any(|worker| {
            worker.slot != assignment.lane && worker.records.iter().any(|r| r.peer == peer)
        });
        assert!(!elsewhere, "datagrams of {peer} are at two workers");
        let worker = self.workers[index].as_mut().unwrap();
        let position = worker.written;
        worker.written += 128;
        let seq = assignment.seq;
        worker.records.push(Record { seq, position, peer, number, started: false });
        self.given_to.insert((peer, number), index);
        self.brain.record_written(assignment, position, 16, None, false, self.now);
    }

    // ---- what workers do ------------------------------------------------------------------------

    /// The worker starts the first that it has not.
    pub(super) fn start(&mut self, worker: usize) -> bool {
        let Some(worker) = self.workers[worker].as_mut() else { return false };
        let Some(record) = worker.records.iter_mut().find(|record| !record.started) else {
            return false;
        };
        record.started = true;
        worker.taken = record.position + 1;
        let next = self.next_start.entry(record.peer).or_insert(0);
        assert!(record.number >= *next, "{record:?} is started behind {next}");
        *next = record.number;
        true
    }

    /// The worker finishes the first that it has.
    pub(super) fn finish_oldest(&mut self, worker: usize) -> bool {
        let has_started = |worker: &Worker| worker.records.first().is_some_and(|r| r.started);
        if !self.workers[worker].as_ref().is_some_and(has_started) && !self.start(worker) {
            return false;
        }
        let worker = self.workers[worker].as_mut().unwrap();
        let record = worker.records.remove(0);
        self.brain.finish(worker.slot, record.seq, worker.taken).unwrap();
        self.settled(record.peer, record.number, Fate::Finished);
        self.check();
        true
    }

    pub(super) fn finish_all(&mut self) {
        loop {
            self.pump();
            let finished: Vec<bool> =
                (0..self.workers.len()).map(|worker| self.finish_oldest(worker)).collect();
            if !finished.contains(&true) {
                return;
            }
        }
    }

    pub(super) fn expose(&mut self, worker: usize) {
        let worker = self.workers[worker].as_ref().unwrap();
        let Some(record) = worker.records.iter().rfind(|record| record.started) else { return };
        self.brain.expose(worker.slot, record.seq, worker.taken).unwrap();
    }

    /// The lane, number and boundary of the worker's first.
    pub(super) fn started(&self, worker: usize) -> (LaneSlot, u64, u64) {
        let worker = self.workers[worker].as_ref().unwrap();
        (worker.slot, worker.records[0].seq, worker.taken)
    }

    pub(super) fn condemn(&mut self, worker: usize) {
        let slot = self.workers[worker].as_ref().unwrap().slot;
        self.brain.condemn(slot, self.now);
    }

    fn bodies(records: &[Record]) -> impl FnMut(&crate::brain::Entry) -> Vec<u8> + use<> {
        let records = records.to_vec();
        move |entry| {
            let record = records.iter().find(|record| record.position == entry.position).unwrap();
            body(record.peer, record.number)
        }
    }

    /// What the worker has not started is taken back.
    pub(super) fn recall(&mut self, worker: usize, leaves: bool) {
        let Some(worker) = self.workers[worker].as_mut() else { return };
        let mut copy = Self::bodies(&worker.records);
        if leaves {
            self.brain.leave(worker.slot, worker.taken, self.now, &mut copy);
        } else {
            self.brain.recalled(worker.slot, worker.taken, &mut copy);
        }
        worker.records.retain(|record| record.started);
        self.check();
    }

    /// The worker dies. Which of its datagrams are dropped, the books say.
    pub(super) fn die(&mut self, worker: usize) {
        let Some(worker) = self.workers[worker].take() else { return };
        let mut copy = Self::bodies(&worker.records);
        self.brain.worker_died(worker.slot, worker.taken, self.now, &mut copy);
        // What was started may be started again.
        for record in &worker.records {
            let next = self.next_start.entry(record.peer).or_insert(0);
            *next = (*next).min(record.number);
        }
        // What is neither at a worker nor waits is dropped.
        let waiting = self.waiting();
        for record in worker.records {
            if !waiting.contains(&(record.peer, record.number)) {
                self.settled(record.peer, record.number, Fate::Dropped);
            }
        }
        self.pump();
    }

    // ---- looks ----------------------------------------------------------------------------------

    fn waiting(&self) -> Vec<(u64, usize)> {
        self.brain.peers.bodies().map(of_body).collect()
    }

    pub(super) fn books(&self) -> &DatagramBooks {
        &self.brain.books().datagrams
    }

    pub(super) fn lane_of(&self, peer: u64, number: usize) -> usize {
        self.given_to[&(peer, number)]
    }

    pub(super) fn newest_lane(&self, peer: u64) -> usize {
        *self.given_to.range((peer, 0)..=(peer, usize::MAX)).next_back().unwrap().1
    }

    pub(super) fn at_lanes(&self) -> usize {
        self.workers.iter().flatten().map(|worker| worker.records.len()).sum()
    }

    pub(super) fn fates(&self, peer: u64) -> &[Fate] {
        &self.sent[&peer]
    }

    pub(super) fn has_no(&self, peer: u64, fate: Fate) -> bool {
        self.sent.get(&peer).is_none_or(|fates| !fates.contains(&fate))
    }

    /// The books say what the world knows.
    pub(super) fn check(&self) {
        let books = self.books();
        assert!(self.brain.books().balance(), "{books:?}");
        let count = |fate: Fate| {
            self.sent.values().flatten().filter(|other| **other == fate).count() as u64
        };
        let waiting = self.waiting();
        assert_eq!(books.in_hand, self.at_lanes() as u64, "{books:?}");
        assert_eq!(books.waiting, waiting.len() as u64, "{books:?}");
        assert_eq!(books.finished, count(Fate::Finished), "{books:?}");
        let bytes = waiting.len() as u64 * 16;
        assert_eq!(self.brain.peers.waiting_bytes(), bytes);
        let out = waiting.iter().map(|(peer, _)| *peer);
        let at_lanes = self.workers.iter().flatten().flat_map(|worker| &worker.records);
        let out: std::collections::BTreeSet<u64> =
            out.chain(at_lanes.map(|record| record.peer)).collect();
        assert_eq!(
            self.brain.peers.len(),
            out.len(),
            "a peer is known while it has something here"
        );
    }
}
