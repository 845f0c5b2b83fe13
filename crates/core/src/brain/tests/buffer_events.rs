//! Sessions whose unsent output goes above the high mark and back.

use super::super::{Brain, ConnectionSlot, Content, LaneSlot, PortId};
use super::*;
use crate::ids::ProcessKey;
use crate::send_queue::BufferEvent;

/// One session, whose connect event is finished, and one worker.
struct Told {
    brain: Brain,
    slot: ConnectionSlot,
    lane: LaneSlot,
    written: u64,
}

/// What was given, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Got {
    Connect,
    Package,
    Full,
    Empty,
    Closed,
}

impl Told {
    fn new(policy: CrashPolicy, window: u32) -> Self {
        let port = port_settings(Dispatch::IdleFirst, policy, window);
        let settings = BrainSettings {
            workers: 1,
            ports: PerPort::new(port, Vec::new()),
            prefetch_ns: 1_000_000,
            ..settings(Dispatch::IdleFirst, policy)
        };
        let mut brain = Brain::new(settings);
        let slot = brain.accept(PortId::FIRST, 6).unwrap();
        let lane = brain.add_lane(ProcessKey::event(0, 1));
        brain.serve(lane);
        let mut told = Self { brain, slot, lane, written: 0 };
        let connect = told.give();
        assert_eq!(connect.iter().map(|given| given.0).collect::<Vec<_>>(), [Got::Connect]);
        told.finish(connect[0].1);
        told
    }

    /// Gives what there is to give; what, and its number.
    fn give(&mut self) -> Vec<(Got, u64)> {
        let mut given = Vec::new();
        while let Some(assignment) = self.brain.next_give() {
            let event = |event| match event {
                BufferEvent::Full => Got::Full,
                BufferEvent::Empty => Got::Empty,
            };
            let got = match &assignment.content {
                Content::Connect => Got::Connect,
                Content::Read => Got::Package,
                Content::Buffer(what) => event(*what),
                Content::Closed => Got::Closed,
                Content::Returned(returned) => match returned.kind {
                    crate::ids::DeliveryKind::Buffer(what) => event(what),
                    kind => panic!("{kind:?} came back"),
                },
            };
            given.push((got, assignment.seq));
            self.brain.record_written(assignment, self.written, 8, None, false, 0);
            self.written += 128;
        }
        given
    }

    fn kinds(&mut self) -> Vec<Got> {
        self.give().into_iter().map(|given| given.0).collect()
    }

    fn finish(&mut self, seq: u64) {
        self.brain.finish(self.lane, seq, self.written).unwrap();
    }

    fn set(&mut self, is_full: bool) {
        self.brain.output_changed(self.slot, is_full, is_full);
        self.brain.buffer_changed(self.slot, is_full);
    }

    /// The worker dies, having started all or nothing, and has a successor.
    fn replace_worker(&mut self, started: bool) {
        let started_below = if started { self.written } else { 0 };
        self.brain.worker_died(self.lane, started_below, 0, &mut |_| Vec::new());
        self.lane = self.brain.add_lane(ProcessKey::event(0, 2));
        self.brain.serve(self.lane);
    }
}

#[test]
fn events_come_behind_what_was_given_and_before_what_is_read_later() {
    let mut told = Told::new(CrashPolicy::Close, 1);
    told.brain.readable(told.slot);
    let first = told.give();
    assert_eq!(first[0].0, Got::Package);
    told.set(true);
    told.brain.readable(told.slot);
    assert_eq!(told.kinds(), [], "the window is 1");
    told.finish(first[0].1);
    let full = told.give();
    assert_eq!(full.iter().map(|given| given.0).collect::<Vec<_>>(), [Got::Full]);
    told.finish(full[0].1);
    assert_eq!(told.kinds(), [], "a session with too much unsent output is not read");
    told.set(false);
    let empty = told.give();
    assert_eq!(empty.iter().map(|given| given.0).collect::<Vec<_>>(), [Got::Empty]);
    told.finish(empty[0].1);
    assert_eq!(told.kinds(), [Got::Package]);
}

#[test]
fn an_event_that_no_worker_started_comes_again_once_and_in_its_place() {
    let mut told = Told::new(CrashPolicy::Close, 16);
    told.set(true);
    told.set(false);
    assert_eq!(told.kinds(), [Got::Full, Got::Empty]);
    told.replace_worker(false);
    told.set(true);
    assert_eq!(told.kinds(), [Got::Full, Got::Empty, Got::Full]);
    assert_eq!(told.kinds(), []);
}

#[test]
fn a_worker_that_dies_of_an_event_is_settled_by_the_crash_policy() {
    for (policy, phase, again) in [
        (CrashPolicy::Close, Phase::Ended, vec![Got::Closed]),
        (CrashPolicy::Drop, Phase::Open, vec![]),
        (CrashPolicy::Redeliver(2), Phase::Open, vec![Got::Full]),
    ] {
        let mut told = Told::new(policy, 16);
        told.set(true);
        assert_eq!(told.kinds(), [Got::Full]);
        told.replace_worker(true);
        assert_eq!(told.brain.phase(told.slot), Some(phase), "{policy:?}");
        assert_eq!(told.kinds(), again, "{policy:?}");
    }
}

#[test]
fn who_cannot_send_any_more_is_told_nothing() {
    let mut told = Told::new(CrashPolicy::Close, 16);
    told.set(true);
    told.brain.close(told.slot, CloseReason::Worker);
    assert_eq!(told.brain.phase(told.slot), Some(Phase::Flushing(CloseReason::Worker)));
    assert_eq!(told.kinds(), []);
    told.brain.output_changed(told.slot, false, false);
    assert_eq!(told.kinds(), [Got::Closed]);
    // What waits at a worker when the session ends is not given again.
    let mut told = Told::new(CrashPolicy::Close, 16);
    told.set(true);
    assert_eq!(told.kinds(), [Got::Full]);
    told.brain.close(told.slot, CloseReason::SlowReader);
    told.replace_worker(false);
    assert_eq!(told.kinds(), [Got::Closed]);
}

/// An event asks for nothing: without workers its session stays.
#[test]
fn nobody_is_refused_for_an_event() {
    let mut told = Told::new(CrashPolicy::Close, 16);
    told.brain.worker_died(told.lane, told.written, 0, &mut |_| Vec::new());
    told.brain.begin_refusing();
    told.set(true);
    assert_eq!(told.brain.phase(told.slot), Some(Phase::Open));
    told.brain.readable(told.slot);
    told.set(false);
    assert_eq!(told.brain.phase(told.slot), Some(Phase::Ended));
}
