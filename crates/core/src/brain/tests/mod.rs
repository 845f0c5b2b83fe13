//! The brain against a fake world: rule by rule in plain words, and with random events.

mod bodies;
mod buffer_events;
mod close;
mod condemned;
mod counts;
mod crash;
mod datagrams;
mod dispatch;
mod drain;
mod hand_over;
mod lack;
mod lanes;
mod lateness;
mod ledger;
mod ledger_model;
mod modes;
mod order;
mod outage;
mod over_rate;
mod pause;
mod ports;
mod properties;
mod queue;
mod recall;
mod rehash;
mod stream;
mod world;

use super::{BrainSettings, CloseReason, LaneState, Phase, PortSettings};
use crate::per_port::PerPort;
use crate::policy::{CrashPolicy, Dispatch};
use world::{Item, State, World};

fn settings(dispatch: Dispatch, crash_policy: CrashPolicy) -> BrainSettings {
    BrainSettings {
        ports: port(dispatch, crash_policy, 16),
        prefetch_ns: 100_000,
        prefetch_packages: 64,
        slot_down_ns: 1_000_000_000,
        deaths_while_waiting_max: 3,
        sessions_max: 16,
        workers: 2,
        lack_after_ns: 0,
    }
}

fn port_settings(
    dispatch: Dispatch,
    crash_policy: CrashPolicy,
    session_window: u32,
) -> PortSettings {
    PortSettings {
        dispatch,
        crash_policy,
        session_window,
        keeps_unused: false,
        connect_events: true,
        queue_wait_max_ns: 0,
        queue_max: 0,
        answers_refused: false,
        discards_gone: false,
        deferred_max_ns: 0,
    }
}

/// One port, whose workers use all of what they get.
fn port(
    dispatch: Dispatch,
    crash_policy: CrashPolicy,
    session_window: u32,
) -> PerPort<PortSettings> {
    PerPort::new(port_settings(dispatch, crash_policy, session_window), Vec::new())
}

/// All slots serve.
fn serving(dispatch: Dispatch, crash_policy: CrashPolicy) -> World {
    serving_with(settings(dispatch, crash_policy))
}

fn serving_with(settings: BrainSettings) -> World {
    let mut world = World::new(settings);
    world.repair();
    world
}

/// One worker, and a session whose connect event is finished.
fn one(crash_policy: CrashPolicy) -> (World, u64) {
    let mut world =
        serving_with(BrainSettings { workers: 1, ..settings(Dispatch::IdleFirst, crash_policy) });
    let id = world.connected();
    (world, id)
}

impl World {
    /// A session whose connect event is finished.
    fn connected(&mut self) -> u64 {
        let id = self.connect().unwrap();
        self.pump();
        let lane = self.lane_of(id, Item::Connect);
        self.start(lane);
        self.finish(lane, 0);
        id
    }

    /// The lane at which a delivery is.
    fn lane_of(&self, id: u64, item: Item) -> usize {
        let key = match self.state(id, item) {
            State::At(key) | State::Started(key) => key,
            state => panic!("{id} {item:?} is at no lane: {state:?}"),
        };
        self.lanes.iter().position(|lane| lane.key == key).unwrap()
    }

    fn state(&self, id: u64, item: Item) -> State {
        self.sessions[&id].state(item).unwrap()
    }

    /// Sends a small package and lets the brain give what it wants.
    fn request(&mut self, id: u64) -> Item {
        let item = self.send(id, 8);
        self.pump();
        item
    }

    fn closed(&self, id: u64) -> Option<CloseReason> {
        self.sessions[&id].closed
    }

    /// Starts all that waits at a lane.
    fn start_all(&mut self, lane: usize) {
        while self.start(lane) {}
    }

    fn finish_all(&mut self, lane: usize) {
        while !self.lanes[lane].started.is_empty() {
            self.finish(lane, 0);
        }
    }
}
