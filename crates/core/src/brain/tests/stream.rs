//! Packages of which workers use a part: every byte of a session is seen in its order and used
//! once, whatever happens to the workers.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{
    Assignment, Brain, BrainSettings, CloseReason, Content, Entry, Phase, PortSettings,
};
use super::{port_settings, settings};
use crate::framing::{Frame, Framer, Framing, FramingConfig};
use crate::ids::{ConnectionSlot, LaneSlot, PortId, ProcessKey};
use crate::per_port::PerPort;
use crate::policy::{CrashPolicy, Dispatch};

/// A delivery at the worker.
#[derive(Clone, Debug)]
struct AtWorker {
    seq: u64,
    position: u64,
    bytes: Vec<u8>,
    is_package: bool,
}

/// One session, one worker at a time, and a driver that keeps what is not used.
struct Stream {
    brain: Brain,
    slot: ConnectionSlot,
    lane: LaneSlot,
    generation: u32,
    framer: Framer,
    /// Everything that the client has sent.
    sent: Vec<u8>,
    /// How much of it the kernel has handed over.
    received: usize,
    /// How much of it was used, or dropped with its worker.
    used: usize,
    kept: Vec<u8>,
    ring: BTreeMap<u64, Vec<u8>>,
    written: u64,
    started_below: u64,
    waiting: Option<AtWorker>,
    started: Option<AtWorker>,
}

fn copier(
    ring: &BTreeMap<u64, Vec<u8>>,
    skipped: usize,
) -> impl FnMut(&Entry) -> Vec<u8> + use<'_> {
    move |entry| ring.get(&entry.position).expect("the space is used again")[skipped..].to_vec()
}

impl Stream {
    fn new(policy: CrashPolicy) -> Self {
        let port = port_settings(Dispatch::SessionHash, policy, 1);
        let port = PortSettings { keeps_unused: true, ..port };
        let settings = BrainSettings {
            workers: 1,
            ports: PerPort::new(port, Vec::new()),
            deaths_while_waiting_max: u8::MAX,
            ..settings(Dispatch::SessionHash, policy)
        };
        let mut brain = Brain::new(settings);
        let slot = brain.accept(PortId::FIRST, 64).unwrap();
        let mut stream = Self {
            lane: brain.add_lane(ProcessKey::event(0, 1)),
            brain,
            slot,
            generation: 1,
            framer: Framer::new(&FramingConfig::Stream { max_length: 10_000 }).unwrap(),
            sent: Vec::new(),
            received: 0,
            used: 0,
            kept: Vec::new(),
            ring: BTreeMap::new(),
            written: 0,
            started_below: 0,
            waiting: None,
            started: None,
        };
        stream.brain.serve(stream.lane);
        stream
    }

    fn is_open(&self) -> bool {
        self.brain.phase(self.slot) == Some(Phase::Open)
    }

    fn send(&mut self, len: usize) {
        for _ in 0..len {
            self.sent.push((self.sent.len() % 251) as u8);
        }
        self.brain.readable(self.slot);
    }

    /// Gives until nothing can be given; the kernel hands over `most` bytes at a time.
    fn pump(&mut self, most: usize) {
        while let Some(assignment) = self.brain.next_give() {
            assert!(self.waiting.is_none() && self.started.is_none(), "two at a time");
            match &assignment.content {
                Content::Connect | Content::Closed => self.record(assignment, Vec::new(), false),
                Content::Returned(returned) => {
                    let bytes = returned.body.to_vec();
                    self.record(assignment, bytes, false);
                }
                Content::Buffer(event) => panic!("nothing was unsent, {event:?}"),
                Content::Read => self.read(assignment, most),
            }
        }
        while self.brain.next_action().is_some() {}
    }

    fn read(&mut self, assignment: Assignment, most: usize) {
        if self.brain.takes_fresh_input() {
            let end = (self.received + most).min(self.sent.len());
            self.kept.extend_from_slice(&self.sent[self.received..end]);
            self.received = end;
        }
        match self.framer.next(&self.kept) {
            Frame::Package { len } => {
                let bytes = self.kept.drain(..len).collect();
                let more = self.received < self.sent.len();
                self.record(assignment, bytes, more);
            }
            Frame::NeedMore if self.received < self.sent.len() => self.read(assignment, most),
            Frame::NeedMore => self.brain.input_dry(self.slot),
            Frame::Incomplete { .. } | Frame::Malformed => panic!("a stream has no headers"),
            Frame::TooLong => {
                self.brain.input_dry(self.slot);
                self.brain.end_input(self.slot, CloseReason::PackageTooLong);
            }
        }
    }

    fn record(&mut self, assignment: Assignment, bytes: Vec<u8>, more: bool) {
        let (seq, position, len) = (assignment.seq, self.written, bytes.len());
        let is_package = !matches!(assignment.content, Content::Connect | Content::Closed);
        self.written += 64 + len as u64;
        self.ring.insert(position, bytes.clone());
        self.brain.record_written(assignment, position, len as u32, None, more, 0);
        // A connect event that came back has no bytes either; packages are never empty.
        let is_package = is_package && len > 0;
        self.waiting = Some(AtWorker { seq, position, bytes, is_package });
    }

    fn start(&mut self) {
        let Some(delivery) = self.waiting.take() else { return };
        self.started_below = delivery.position + 1;
        let expected = &self.sent[self.used..self.used + delivery.bytes.len()];
        assert_eq!(delivery.bytes, expected, "other bytes than those that follow");
        self.started = Some(delivery);
    }

    /// The callback is over, the delivery is not: its ring space is used again.
    fn defer(&mut self) {
        if self.started.is_some() {
            let freed = self.written;
            self.brain.keep_bodies(self.lane, freed, &mut copier(&self.ring, 0));
            self.ring.clear();
        }
    }

    fn finish(&mut self, used: usize) {
        let Some(delivery) = self.started.take() else { return };
        let t = self.started_below;
        if !delivery.is_package || used >= delivery.bytes.len() {
            self.brain.finish(self.lane, delivery.seq, t).unwrap();
            self.used += delivery.bytes.len();
            return;
        }
        let rest = &mut copier(&self.ring, used);
        let unused = self.brain.finish_partly(self.lane, delivery.seq, used as u32, t, rest);
        self.used += used;
        if let Some(unused) = unused.unwrap() {
            assert_eq!(unused.bytes, delivery.bytes[used..]);
            self.kept.splice(..0, unused.bytes.iter().copied());
            self.framer.put_back(used, unused.bytes.len());
        }
    }

    fn recall(&mut self) {
        if self.waiting.take().is_some() {
            self.brain.recalled(self.lane, self.started_below, &mut copier(&self.ring, 0));
        }
    }

    fn die(&mut self, policy: CrashPolicy) {
        let t = self.started_below;
        self.brain.worker_died(self.lane, t, 0, &mut copier(&self.ring, 0));
        self.waiting = None;
        if let Some(started) = self.started.take()
            && policy == CrashPolicy::Drop
        {
            self.used += started.bytes.len();
        }
        self.generation += 1;
        self.lane = self.brain.add_lane(ProcessKey::event(0, self.generation));
        self.brain.serve(self.lane);
        (self.written, self.started_below) = (0, 0);
        self.ring.clear();
    }
}

#[test]
fn a_rest_is_given_before_a_drain_ends_its_session_and_a_half_is_not_waited_for() {
    for used in [0, 1] {
        let mut stream = Stream::new(CrashPolicy::Close);
        stream.pump(100);
        stream.start();
        stream.finish(0);
        stream.send(3);
        stream.pump(100);
        stream.start();
        stream.brain.drain();
        stream.finish(used);
        assert_eq!(stream.is_open(), used > 0, "something was used: there may be more in it");
        stream.pump(100);
        stream.start();
        stream.finish(0);
        stream.pump(100);
        assert!(!stream.is_open());
        assert_eq!(stream.brain.books().closed[CloseReason::Shutdown as usize], 1);
        assert_eq!(stream.brain.books().continued, 1 + used as u64);
    }
}

#[test]
fn what_is_not_used_of_the_last_package_is_thrown_away_and_counted() {
    let mut stream = Stream::new(CrashPolicy::Close);
    stream.pump(100);
    stream.start();
    stream.finish(0);
    stream.send(7);
    stream.pump(100);
    stream.start();
    stream.brain.peer_done(stream.slot);
    assert!(stream.is_open(), "a package is out");
    stream.finish(3);
    assert!(stream.kept.is_empty());
    stream.pump(100);
    assert!(!stream.is_open());
    let books = stream.brain.books();
    assert_eq!((books.input_dropped_bytes[CloseReason::Peer as usize], books.finished), (4, 1));
    assert!(books.balance());
}

#[test]
fn input_may_come_back_while_a_worker_has_a_package_or_is_to_have_it_again() {
    let policy = CrashPolicy::Redeliver(1);
    let mut stream = Stream::new(policy);
    let may = |stream: &Stream| stream.brain.input_may_come_back(stream.slot);
    stream.pump(100);
    assert!(!may(&stream), "a connect event has no bytes");
    stream.start();
    stream.finish(0);
    stream.send(7);
    assert!(!may(&stream), "it was not given yet");
    stream.pump(100);
    assert!(may(&stream), "it is at a worker");
    stream.start();
    stream.defer();
    assert!(may(&stream), "it is deferred");
    stream.die(policy);
    assert!(may(&stream), "it came back");
    stream.pump(100);
    stream.start();
    stream.finish(3);
    assert!(!may(&stream), "the rest is input again");
}

#[test]
fn a_part_is_used_only_of_packages_and_only_where_the_rest_is_kept() {
    let mut stream = Stream::new(CrashPolicy::Close);
    stream.pump(100);
    stream.start();
    let nothing: &mut dyn FnMut(&Entry) -> Vec<u8> = &mut |_| panic!("copied");
    let lane = stream.lane;
    // A connect event.
    assert!(stream.brain.finish_partly(lane, 1, 0, 1, nothing).is_err());
    stream.finish(0);
    stream.send(7);
    stream.pump(100);
    let t = stream.started_below;
    let mut try_to = |seq, used, t| stream.brain.finish_partly(lane, seq, used, t, nothing);
    assert!(try_to(2, 3, t).is_err(), "not started");
    assert!(try_to(2, 7, u64::MAX).is_err(), "all of it is no part");
    assert!(try_to(2, u32::MAX, u64::MAX).is_err(), "more than it has");
    assert!(try_to(3, 3, u64::MAX).is_err(), "unknown");
}

proptest! {
    #[test]
    fn every_byte_is_seen_in_its_order_and_used_once(
        policy in prop_oneof![
            Just(CrashPolicy::Close), Just(CrashPolicy::Drop), Just(CrashPolicy::Redeliver(100)),
        ],
        steps in proptest::collection::vec((0_u8..8, 0_usize..60), 1..300),
    ) {
        let mut stream = Stream::new(policy);
        for (step, number) in steps {
            match step {
                0 | 1 => stream.send(number),
                2 => stream.pump(1 + number),
                3 => stream.start(),
                4 => stream.finish(number),
                5 => stream.defer(),
                6 => stream.recall(),
                _ => stream.die(policy),
            }
            prop_assert!(stream.brain.books().balance());
            if !stream.is_open() {
                prop_assert_eq!(policy, CrashPolicy::Close);
                return Ok(());
            }
        }
        // A worker that uses everything: it sees all that is left.
        stream.send(1);
        for _ in 0..1_000 {
            stream.pump(10_000);
            stream.start();
            stream.finish(usize::MAX);
        }
        prop_assert_eq!(stream.used, stream.sent.len());
        prop_assert!(stream.kept.is_empty());
        let books = stream.brain.books();
        prop_assert!(books.balance());
        prop_assert_eq!((books.in_hand, books.recalled, books.closed_total()), (0, 0, 0));
    }
}
