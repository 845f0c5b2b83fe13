//! A fake driver with fake clients and workers around a brain: it keeps its own account of every
//! delivery, by the words of the specification, and compares after every step.

mod checks;
mod clients;
mod driver;
mod workers;

use crate::Nanos;
use crate::brain::{
    Brain, BrainSettings, CloseReason, ConnectionSlot, LaneSlot, LaneState, PortSettings,
};
use crate::ids::{PortId, ProcessKey};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The port on which all clients come.
const PORT: PortId = PortId::FIRST;
/// Packages longer than this are sent in parts.
pub(super) const ONE_RECORD: usize = 1_000;
const PARTS: u32 = 3;
/// Room for records that are not started.
pub(super) const ROOM: usize = 32;

/// The deliveries of a session in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Item {
    Connect,
    Package(u32),
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not given yet: at the client, or an event that is owed.
    Unread,
    /// Taken back, in the brain.
    Returned,
    At(ProcessKey),
    Started(ProcessKey),
    Finished,
    /// Dropped, or ended with its session.
    Gone,
}

#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) state: State,
    pub(super) attempt: u8,
    pub(super) deaths_while_waiting: u8,
    pub(super) starts: u32,
    pub(super) exposed: bool,
    len: usize,
    /// By which moment it is known.
    received_at: Option<Nanos>,
}

#[derive(Debug)]
pub(super) struct FakeSession {
    pub(super) id: u64,
    pub(super) place: ConnectionSlot,
    pub(super) items: BTreeMap<Item, Delivery>,
    eof: bool,
    /// Its client was lost while it was open: all that it had sent is the driver's.
    lost: bool,
    /// Something has ended its service since.
    unserved: bool,
    /// Whether the driver told last that there may be more of its input.
    may_have_input: bool,
    /// Why the rest of that input was thrown away.
    pub(super) input_dropped: Option<CloseReason>,
    pub(super) closed: Option<CloseReason>,
    pub(super) freed: bool,
    /// Why it had to end, once something happened that ends it.
    must: Option<CloseReason>,
    /// Why it may have ended.
    may: HashSet<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) seq: u64,
    position: u64,
    pub(super) session: u64,
    pub(super) item: Item,
    exposed: bool,
}

#[derive(Debug)]
pub(super) struct FakeLane {
    pub(super) slot: LaneSlot,
    pub(super) key: ProcessKey,
    pub(super) state: LaneState,
    pub(super) waiting: Vec<Record>,
    pub(super) started: Vec<Record>,
    /// The package ring, by positions.
    ring: BTreeMap<u64, Vec<u8>>,
    written: u64,
    pub(super) t: u64,
    /// Below this the ring was used again: started deliveries there were deferred.
    reused: u64,
    parts_left: u32,
    /// The session for whose sake its worker is killed.
    late: Option<u64>,
    pub(super) room: usize,
}

/// By what a session belongs to a worker slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum HomeKey {
    Session(u64),
    Address(u8),
    User(u32),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) brain: Brain,
    pub(super) settings: BrainSettings,
    pub(super) now: Nanos,
    pub(super) lanes: Vec<FakeLane>,
    pub(super) sessions: BTreeMap<u64, FakeSession>,
    places: HashMap<ConnectionSlot, u64>,
    draining: bool,
    /// Sessions whose next package the driver refuses by the rate of their address.
    over_rate: HashSet<u64>,
    /// Whole messages that the driver holds of sessions while the server drains.
    held_whole: HashMap<u64, usize>,
    generation: u32,
    newest_session: u64,
    /// When a slot lost its serving lane, or was first seen without one.
    down_since: Vec<Option<Nanos>>,
    /// Hashed sessions that were allowed to go elsewhere.
    moved: HashSet<u64>,
    /// The worker slots of those that are at home somewhere, by what decides it.
    homes: HashMap<HomeKey, u16>,
    /// The numbers to which sessions are bound.
    users: HashMap<u64, u32>,
    /// Worker slot after the one that got the last free session.
    next_in_turn: usize,
    /// Worker slots that there ever were.
    slots: usize,
    /// The moments by which deliveries are known.
    moments: HashSet<Nanos>,
    /// What was started, in order: for tests that spell it out.
    pub(super) log: Vec<(u64, Item, u16)>,
}

impl World {
    /// How all its sessions are served.
    fn port(&self) -> &PortSettings {
        self.settings.ports.get(PORT)
    }

    pub(super) fn new(settings: BrainSettings) -> Self {
        let slots = usize::from(settings.workers);
        let mut brain = Brain::new(settings.clone());
        brain.begin_turn(1_000_000_000);
        Self {
            brain,
            settings,
            now: 1_000_000_000,
            lanes: Vec::new(),
            sessions: BTreeMap::new(),
            places: HashMap::new(),
            draining: false,
            over_rate: HashSet::new(),
            held_whole: HashMap::new(),
            generation: 0,
            newest_session: 5,
            down_since: vec![None; slots],
            moved: HashSet::new(),
            homes: HashMap::new(),
            users: HashMap::new(),
            next_in_turn: 0,
            slots,
            moments: HashSet::new(),
            log: Vec::new(),
        }
    }

    pub(super) fn pass(&mut self, ns: Nanos) {
        self.now = self.now.saturating_add(ns);
        self.brain.begin_turn(self.now);
    }

    /// The worker tells what one delivery takes it.
    pub(super) fn set_work(&mut self, lane: usize, work_ns: Nanos) {
        self.brain.set_work(self.lanes[lane].slot, work_ns);
        self.check();
    }
}
