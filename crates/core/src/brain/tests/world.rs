//! A fake driver with fake clients and workers around a brain: it keeps its own account of every
//! delivery, by the words of the specification, and compares after every step.

use super::super::run_lists::RunListId;
use super::super::{
    Assignment, Brain, BrainAction, BrainSettings, CloseReason, ConnectionSlot, Content,
    DeliveryKind, Entry, LaneSlot, LaneState, Phase,
};
use crate::Nanos;
use crate::ids::WorkerKey;
use crate::policy::{CrashPolicy, Dispatch};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
    At(WorkerKey),
    Started(WorkerKey),
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
    pub(super) key: WorkerKey,
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
    pub(super) room: usize,
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
    generation: u32,
    /// When a slot lost its serving lane, or was first seen without one.
    down_since: Vec<Option<Nanos>>,
    /// Hashed sessions that were allowed to go elsewhere.
    moved: HashSet<u64>,
    /// Worker slot after the one that got the last free session.
    next_in_turn: usize,
    /// What was started, in order: for tests that spell it out.
    pub(super) log: Vec<(u64, Item, u16)>,
}

fn body(session: u64, item: Item, len: usize) -> Vec<u8> {
    let Item::Package(number) = item else { return Vec::new() };
    let mut bytes = session.to_le_bytes().to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend((0..len).map(|index| (index as u8) ^ (number as u8)));
    bytes
}

fn number_of(body: &[u8]) -> u32 {
    u32::from_le_bytes(body[8..12].try_into().unwrap())
}

fn copier(ring: &BTreeMap<u64, Vec<u8>>) -> impl FnMut(&Entry) -> Vec<u8> {
    |entry| ring.get(&entry.position).expect("the ring space is used already").clone()
}

impl FakeSession {
    /// Deliveries at a lane, with their lane.
    fn at_lane(&self) -> impl Iterator<Item = WorkerKey> {
        self.items.values().filter_map(|delivery| match delivery.state {
            State::At(key) | State::Started(key) => Some(key),
            _ => None,
        })
    }

    pub(super) fn state(&self, item: Item) -> Option<State> {
        self.items.get(&item).map(|delivery| delivery.state)
    }

    fn unread(&self) -> Option<Item> {
        let packages = self.items.iter().filter(|(item, _)| matches!(item, Item::Package(_)));
        packages.filter(|(_, d)| d.state == State::Unread).map(|(item, _)| *item).next()
    }

    /// Whether a package that nobody was given must still be given: its client is gone, and nothing
    /// ended the session since.
    fn owes(&self, item: Item) -> bool {
        self.lost && !self.unserved && matches!(item, Item::Package(_))
    }

    fn delivery(&mut self, item: Item) -> &mut Delivery {
        self.items.get_mut(&item).unwrap()
    }
}

impl FakeLane {
    /// Deliveries that take credit: not those that were deferred.
    fn in_hand(&self) -> usize {
        let deferred = self.started.iter().filter(|record| record.position < self.reused).count();
        self.unfinished() - deferred
    }

    /// Deliveries that are not finished. A leaving worker without any is drained.
    pub(super) fn unfinished(&self) -> usize {
        self.waiting.len() + self.started.len()
    }
}

impl World {
    pub(super) fn new(settings: BrainSettings) -> Self {
        let slots = usize::from(settings.workers);
        Self {
            brain: Brain::new(settings.clone(), 5),
            settings,
            now: 1_000_000_000,
            lanes: Vec::new(),
            sessions: BTreeMap::new(),
            places: HashMap::new(),
            draining: false,
            generation: 0,
            down_since: vec![None; slots],
            moved: HashSet::new(),
            next_in_turn: 0,
            log: Vec::new(),
        }
    }

    // ---- clients
    // ---------------------------------------------------------------------------------------------

    pub(super) fn connect(&mut self) -> Option<u64> {
        let (place, id) = self.brain.accept(|counter| counter << 6)?;
        assert!(self.places.insert(place, id).is_none(), "the place was not free");
        let mut session = FakeSession {
            id,
            place,
            items: BTreeMap::new(),
            eof: false,
            lost: false,
            unserved: false,
            input_dropped: None,
            closed: None,
            freed: false,
            must: None,
            may: HashSet::new(),
        };
        session.add(Item::Connect, 0);
        session.add(Item::Closed, 0);
        if self.draining {
            session.may.insert(CloseReason::Shutdown as u8);
        }
        self.sessions.insert(id, session);
        self.check();
        Some(id)
    }

    pub(super) fn send(&mut self, id: u64, len: usize) -> Item {
        let session = self.sessions.get_mut(&id).unwrap();
        let number = session.items.len() as u32 - 2;
        let item = Item::Package(number);
        if session.closed.is_none() && !session.eof && !session.lost {
            session.add(item, len);
            let place = session.place;
            self.brain.readable(place);
            self.check();
        }
        item
    }

    pub(super) fn eof(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id).unwrap();
        if session.closed.is_none() && !session.lost {
            session.eof = true;
            session.may.insert(CloseReason::Peer as u8);
            let place = session.place;
            self.brain.readable(place);
            self.check();
        }
    }

    pub(super) fn output_changed(&mut self, id: u64, pending: bool, high: bool) {
        let session = &self.sessions[&id];
        if session.closed.is_none() && !session.freed && !session.lost {
            self.brain.output_changed(session.place, pending, high);
            self.check();
        }
    }

    pub(super) fn close(&mut self, id: u64, reason: CloseReason) {
        let session = self.sessions.get_mut(&id).unwrap();
        if session.freed {
            return;
        }
        session.may.insert(reason as u8);
        let place = session.place;
        let before = self.brain.phase(place).unwrap();
        self.brain.close(place, reason);
        if before.has_socket() && reason.is_abrupt() {
            self.must_end(id, reason);
        }
        if before == Phase::PeerGone && reason != CloseReason::PeerError {
            assert_eq!(self.brain.phase(place), Some(Phase::Ended), "nothing more is served");
            self.sessions.get_mut(&id).unwrap().unserved = true;
        }
        self.check();
    }

    /// The connection fails; the driver holds what was not given.
    pub(super) fn lose(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id).unwrap();
        if session.freed {
            return;
        }
        session.may.insert(CloseReason::PeerError as u8);
        let place = session.place;
        let before = self.brain.phase(place).unwrap();
        let has_input = session.unread().is_some();
        if before == Phase::Open {
            session.lost = true;
            session.must = Some(CloseReason::PeerError);
        }
        self.brain.peer_lost(place, has_input);
        match before {
            Phase::Open => {
                let after = self.brain.phase(place).unwrap();
                assert!(!after.has_socket());
                assert!(!has_input || after == Phase::PeerGone, "its input is served");
            }
            Phase::Flushing(_) => self.must_end(id, CloseReason::PeerError),
            Phase::PeerGone | Phase::Ended => {}
        }
        self.check();
    }

    pub(super) fn phase(&self, id: u64) -> Option<Phase> {
        let session = &self.sessions[&id];
        if session.freed { None } else { self.brain.phase(session.place) }
    }

    fn must_end(&mut self, id: u64, reason: CloseReason) {
        let session = self.sessions.get_mut(&id).unwrap();
        assert_eq!(session.must, None, "{id} ended before");
        session.must = Some(reason);
        session.may.insert(reason as u8);
        assert_eq!(
            self.brain.phase(session.place),
            Some(Phase::Ended),
            "{id} must end: {reason:?}"
        );
    }

    // ---- the driver
    // --------------------------------------------------------------------------------------------

    /// From now on this session may be closed for this reason too.
    pub(super) fn may_close(&mut self, id: u64, reason: CloseReason) {
        self.sessions.get_mut(&id).unwrap().may.insert(reason as u8);
    }

    pub(super) fn actions(&mut self) {
        while self.action() {}
    }

    pub(super) fn action(&mut self) -> bool {
        let Some(action) = self.brain.next_action() else { return false };
        match action {
            BrainAction::CloseSocket { connection, reason } => {
                let id = self.places[&connection];
                let session = self.sessions.get_mut(&id).unwrap();
                assert_eq!(session.closed, None, "closed twice");
                assert!(session.may.contains(&(reason as u8)), "{id} closed for {reason:?}");
                assert!(session.must.is_none_or(|must| must == reason), "{session:?} {reason:?}");
                if reason == CloseReason::Peer {
                    assert!(session.eof && session.unread().is_none(), "not all was served");
                    let served = |d: &Delivery| matches!(d.state, State::Finished | State::Gone);
                    let mut before = session.items.range(..Item::Closed);
                    assert!(before.all(|(_, delivery)| served(delivery)), "{session:?}");
                }
                session.closed = Some(reason);
            }
            BrainAction::DropInput { connection, reason } => {
                let session = self.sessions.get_mut(&self.places[&connection]).unwrap();
                assert!(session.unserved && session.input_dropped.is_none(), "{session:?}");
                assert!(session.may.contains(&(reason as u8)), "dropped for {reason:?}");
                session.input_dropped = Some(reason);
            }
            BrainAction::FreeSession(connection) => {
                let id = self.places.remove(&connection).expect("freed twice");
                let session = self.sessions.get_mut(&id).unwrap();
                assert!(session.closed.is_some(), "freed with an open socket");
                assert_eq!(session.at_lane().count(), 0, "freed with deliveries at a lane");
                let never_seen = session.items[&Item::Connect].starts == 0;
                let told = session.state(Item::Closed) == Some(State::Finished);
                assert!(told != never_seen, "told of its end iff it was seen: {session:?}");
                session.freed = true;
            }
        }
        self.check();
        true
    }

    pub(super) fn pump(&mut self) {
        self.actions();
        while self.give() {}
        self.actions();
    }

    /// Gives one delivery.
    pub(super) fn give(&mut self) -> bool {
        let credit = self.lanes_with_credit();
        let Some(assignment) = self.brain.next_give() else { return false };
        let id = self.places[&assignment.connection];
        assert_eq!(id, assignment.session);
        let lane = self.lanes.iter().position(|lane| lane.slot == assignment.lane).unwrap();
        self.check_choice(id, lane, &credit);
        let Some(item) = self.item_of(id, &assignment) else {
            let session = &self.sessions[&id];
            assert!(self.brain.phase(session.place).is_some_and(Phase::is_served));
            if session.eof && !session.lost {
                self.brain.peer_done(session.place);
            } else {
                self.brain.input_dry(&assignment);
            }
            self.check();
            return true;
        };
        let fake = &mut self.lanes[lane];
        if fake.waiting.len() >= fake.room {
            self.brain.no_room(assignment);
            assert!(self.brain.is_full(fake.slot));
            self.check();
            return true;
        }
        let session = self.sessions.get_mut(&id).unwrap();
        let delivery = session.delivery(item);
        delivery.state = State::At(fake.key);
        let bytes = body(id, item, delivery.len);
        let more = session.unread().is_some() || session.eof;
        let last = fake.started.iter().chain(&fake.waiting).map(|record| record.seq).max();
        assert!(last.is_none_or(|last| assignment.seq > last), "numbers grow");
        let len = bytes.len() as u32;
        let (seq, exposed) = (assignment.seq, false);
        let (position, kept) = if bytes.len() > ONE_RECORD {
            fake.parts_left = PARTS;
            fake.written += 64 + ONE_RECORD as u64;
            (u64::MAX, Some(bytes))
        } else {
            let position = fake.written;
            fake.written += 64 + u64::from(len.next_multiple_of(8));
            fake.ring.insert(position, bytes);
            (position, None)
        };
        fake.waiting.push(Record { seq, position, session: id, item, exposed });
        self.brain.record_written(assignment, position, len, kept, more, self.now);
        self.check();
        true
    }

    /// What is to be given; `None`: there is nothing to read.
    fn item_of(&self, id: u64, assignment: &Assignment) -> Option<Item> {
        let session = &self.sessions[&id];
        match &assignment.content {
            Content::Connect => {
                assert_eq!(session.state(Item::Connect), Some(State::Unread));
                Some(Item::Connect)
            }
            Content::Closed => {
                assert_eq!(session.state(Item::Closed), Some(State::Unread));
                assert_ne!(session.state(Item::Connect), Some(State::Unread));
                Some(Item::Closed)
            }
            Content::Read => session.unread(),
            Content::Returned(returned) => {
                let item = match returned.kind {
                    DeliveryKind::Connect => Item::Connect,
                    DeliveryKind::Closed => Item::Closed,
                    DeliveryKind::Package => Item::Package(number_of(&returned.body)),
                };
                let delivery = &session.items[&item];
                assert_eq!(delivery.state, State::Returned, "{id} {item:?}");
                assert_eq!(returned.body, body(id, item, delivery.len), "{id} {item:?}");
                assert_eq!(returned.attempt, delivery.attempt);
                assert_eq!(returned.deaths_while_waiting, delivery.deaths_while_waiting);
                Some(item)
            }
        }
    }

    /// Serving lanes that may get something, by worker slot, with what they have in hand.
    fn lanes_with_credit(&self) -> BTreeMap<u16, usize> {
        let serving = self.lanes.iter().filter(|lane| lane.state == LaneState::Serving);
        let credit = self.brain.credit();
        serving
            .filter(|lane| self.brain.lanes.get(lane.slot).unwrap().has_credit(credit))
            .map(|lane| {
                let suspicion = self.brain.lanes.get(lane.slot).unwrap().suspicion() as usize;
                (lane.key.slot.0, lane.in_hand() + suspicion)
            })
            .collect()
    }

    fn check_choice(&mut self, id: u64, lane: usize, credit: &BTreeMap<u16, usize>) {
        let lane = &self.lanes[lane];
        let worker = lane.key.slot.0;
        assert!(credit.contains_key(&worker), "given without credit");
        let bound: BTreeSet<_> = self.sessions[&id].at_lane().collect();
        if let Some(at) = bound.first() {
            assert_eq!((at, bound.len()), (&lane.key, 1), "at two lanes");
            return;
        }
        match self.settings.dispatch {
            Dispatch::SessionHash => {
                let moved = self.moved.remove(&id);
                assert!(moved || self.home(id) == worker, "not at its worker");
            }
            Dispatch::IdleFirst => {
                let least = credit.values().min();
                assert_eq!(credit.get(&worker), least, "not the least loaded");
            }
            Dispatch::RoundRobin => {
                let slots = usize::from(self.settings.workers);
                let turn = (0..slots).map(|step| ((self.next_in_turn + step) % slots) as u16);
                let next = turn.into_iter().find(|slot| credit.contains_key(slot));
                assert_eq!(next, Some(worker), "not its turn");
            }
        }
        self.next_in_turn = usize::from(worker) + 1;
    }

    /// The worker slot of a hashed session: where it went while all slots served.
    pub(super) fn home(&self, id: u64) -> u16 {
        super::super::dispatch::session_hash::home(id, self.settings.workers)
    }

    /// Writes a part of the delivery that the lane is sent in parts.
    pub(super) fn part(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        if lane.parts_left == 0 || lane.state == LaneState::Condemned {
            return;
        }
        lane.parts_left -= 1;
        let position = lane.written;
        lane.written += 64 + ONE_RECORD as u64;
        if lane.parts_left == 0 {
            let record = lane.waiting.last_mut().unwrap();
            record.position = position;
            self.brain.set_position(lane.slot, record.seq, position);
        }
        self.check();
    }

    pub(super) fn set_room(&mut self, lane: usize, room: usize) {
        let lane = &mut self.lanes[lane];
        lane.room = room;
        self.brain.room_freed(lane.slot);
        self.check();
    }

    // ---- workers
    // ---------------------------------------------------------------------------------------------

    /// Starts a worker and lets it serve; its predecessor leaves.
    pub(super) fn serving(&mut self, worker: u16) -> usize {
        let lane = self.boot(worker);
        self.serve(lane);
        lane
    }

    pub(super) fn boot(&mut self, worker: u16) -> usize {
        self.generation += 1;
        let key = WorkerKey::new(worker, self.generation);
        let slot = self.brain.add_lane(key);
        self.lanes.push(FakeLane {
            slot,
            key,
            state: LaneState::Booting,
            waiting: Vec::new(),
            started: Vec::new(),
            ring: BTreeMap::new(),
            written: 0,
            t: 0,
            reused: 0,
            parts_left: 0,
            room: ROOM,
        });
        self.check();
        self.lanes.len() - 1
    }

    pub(super) fn serve(&mut self, lane: usize) {
        if self.lanes[lane].state != LaneState::Booting {
            return;
        }
        let worker = self.lanes[lane].key.slot;
        let old = self
            .lanes
            .iter()
            .position(|old| old.key.slot == worker && old.state == LaneState::Serving);
        if let Some(old) = old {
            self.leave(old);
        }
        self.lanes[lane].state = LaneState::Serving;
        self.down_since[usize::from(worker.0)] = None;
        self.brain.serve(self.lanes[lane].slot);
        self.check();
    }

    fn stops_serving(&mut self, lane: usize) {
        let lane = &self.lanes[lane];
        if lane.state == LaneState::Serving {
            self.down_since[usize::from(lane.key.slot.0)] = Some(self.now);
        }
    }

    pub(super) fn leave(&mut self, lane: usize) {
        if self.lanes[lane].state == LaneState::Condemned {
            return;
        }
        self.stops_serving(lane);
        let fake = &mut self.lanes[lane];
        fake.state = LaneState::Leaving;
        let unstarted = std::mem::take(&mut fake.waiting);
        fake.parts_left = 0;
        self.brain.leave(fake.slot, fake.t, self.now, &mut copier(&fake.ring));
        self.came_back(&unstarted, 0);
        self.check();
    }

    pub(super) fn recall(&mut self, lane: usize) {
        let fake = &mut self.lanes[lane];
        if matches!(fake.state, LaneState::Condemned) {
            return;
        }
        let unstarted = std::mem::take(&mut fake.waiting);
        fake.parts_left = 0;
        self.brain.recalled(fake.slot, fake.t, &mut copier(&fake.ring));
        self.came_back(&unstarted, 0);
        self.check();
    }

    /// Unstarted deliveries are the brain's again, unless their session is over.
    fn came_back(&mut self, records: &[Record], deaths_while_waiting: u8) {
        for record in records {
            let session = self.sessions.get_mut(&record.session).unwrap();
            let delivery = session.delivery(record.item);
            delivery.state = State::Returned;
            delivery.deaths_while_waiting += deaths_while_waiting;
        }
    }

    /// Recalls what the brain wants recalled, if it is due.
    pub(super) fn recall_if_due(&mut self) -> Option<usize> {
        let (lane, due) = self.candidate()?;
        if due > self.now {
            return None;
        }
        self.recall(lane);
        let key = self.lanes[lane].key;
        let free = self.lanes_with_credit();
        while self.give() {}
        if !free.is_empty() {
            let again = self.candidate().filter(|(again, due)| *again == lane && *due <= self.now);
            assert_eq!(again, None, "recalled in vain");
        }
        assert!(self.lanes[lane].key == key);
        Some(lane)
    }

    pub(super) fn candidate(&self) -> Option<(usize, Nanos)> {
        let taken = |slot| self.lanes.iter().find(|lane| lane.slot == slot).unwrap().t;
        let (slot, due) = self.brain.recall_candidate(self.now, taken)?;
        let index = self.lanes.iter().position(|lane| lane.slot == slot).unwrap();
        let lane = &self.lanes[index];
        let pinned: HashSet<_> = lane.started.iter().map(|record| record.session).collect();
        let movable = lane.waiting.iter().any(|record| !pinned.contains(&record.session));
        assert!(movable, "all that waits is pinned: {lane:?}");
        let mut serving = self.lanes.iter().filter(|lane| lane.state == LaneState::Serving);
        assert!(serving.any(|lane| lane.in_hand() == 0), "nobody idles");
        Some((index, due))
    }

    /// The worker starts its next record.
    pub(super) fn start(&mut self, lane: usize) -> bool {
        let lane = &mut self.lanes[lane];
        let ready = lane.waiting.first().is_some_and(|record| record.position != u64::MAX);
        if !ready || lane.state == LaneState::Condemned {
            return false;
        }
        let record = lane.waiting.remove(0);
        lane.t = record.position + 1;
        if lane.waiting.len() < lane.room {
            self.brain.room_freed(lane.slot);
        }
        let session = self.sessions.get_mut(&record.session).unwrap();
        for (item, before) in session.items.range(..record.item) {
            let skipped = match before.state {
                State::At(_) | State::Returned => true,
                State::Unread => record.item != Item::Closed || session.owes(*item),
                _ => false,
            };
            assert!(!skipped, "{item:?} skipped by {record:?}");
        }
        let most = match self.settings.crash_policy {
            CrashPolicy::Redeliver(most) => u32::from(most) + 1,
            _ => 1,
        };
        let delivery = session.delivery(record.item);
        assert_eq!(delivery.state, State::At(lane.key));
        delivery.state = State::Started(lane.key);
        delivery.starts += 1;
        assert!(delivery.starts <= most, "started too often");
        assert!(!delivery.exposed, "outputs seen, started again");
        self.log.push((record.session, record.item, lane.key.slot.0));
        lane.started.push(record);
        self.check();
        true
    }

    /// The worker finishes one of those that it has started.
    pub(super) fn finish(&mut self, lane: usize, which: usize) {
        self.end(lane, which, State::Finished);
    }

    /// The worker ends one of those without a handler.
    pub(super) fn skip(&mut self, lane: usize, which: usize) {
        self.end(lane, which, State::Gone);
    }

    fn end(&mut self, lane: usize, which: usize, state: State) {
        let lane = &mut self.lanes[lane];
        if lane.state == LaneState::Condemned || lane.started.is_empty() {
            return;
        }
        let record = lane.started.remove(which % lane.started.len());
        match state {
            State::Gone => self.brain.skip(lane.slot, record.seq, lane.t).unwrap(),
            _ => self.brain.finish(lane.slot, record.seq, lane.t).unwrap(),
        }
        assert!(self.brain.finish(lane.slot, record.seq, lane.t).is_err(), "finished twice");
        let session = self.sessions.get_mut(&record.session).unwrap();
        session.delivery(record.item).state = state;
        self.check();
    }

    pub(super) fn expose(&mut self, lane: usize, which: usize) {
        let lane = &mut self.lanes[lane];
        if lane.state == LaneState::Condemned || lane.started.is_empty() {
            return;
        }
        let which = which % lane.started.len();
        let record = &mut lane.started[which];
        record.exposed = true;
        self.brain.expose(lane.slot, record.seq, lane.t).unwrap();
        let session = self.sessions.get_mut(&record.session).unwrap();
        session.delivery(record.item).exposed = true;
        self.check();
    }

    /// The worker claims what cannot be.
    pub(super) fn nonsense(&mut self, lane: usize, number: u64) {
        let lane = &self.lanes[lane];
        let known = |record: &&Record| record.seq == number;
        if lane.started.iter().any(|record| known(&record)) {
            return;
        }
        assert!(self.brain.finish(lane.slot, number, lane.t).is_err());
        assert!(self.brain.skip(lane.slot, number, lane.t).is_err());
        assert!(self.brain.expose(lane.slot, number, lane.t).is_err());
        self.check();
    }

    /// The worker frees the ring below its first record that is not started; the driver uses it
    /// again.
    pub(super) fn free(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        let unstarted = lane.waiting.first().map_or(lane.written, |record| record.position);
        let freed = if unstarted == u64::MAX { lane.t } else { unstarted };
        self.brain.keep_bodies(lane.slot, freed, &mut copier(&lane.ring));
        lane.ring = lane.ring.split_off(&freed);
        lane.reused = freed;
        self.check();
    }

    pub(super) fn condemn(&mut self, lane: usize) {
        if self.lanes[lane].state == LaneState::Condemned {
            return;
        }
        self.stops_serving(lane);
        let fake = &mut self.lanes[lane];
        fake.state = LaneState::Condemned;
        fake.parts_left = 0;
        let hit: BTreeSet<_> =
            fake.waiting.iter().chain(&fake.started).map(|record| record.session).collect();
        let slot = fake.slot;
        let before: Vec<_> = hit.into_iter().filter_map(|id| Some((id, self.phase(id)?))).collect();
        self.brain.condemn(slot, self.now);
        for (id, before) in before {
            self.ended(id, before, CloseReason::WorkerCondemned);
        }
        self.check();
    }

    /// The process is gone: the settlement, in the words of the specification.
    pub(super) fn die(&mut self, lane: usize) {
        self.stops_serving(lane);
        let fake = self.lanes.remove(lane);
        let condemned = fake.state == LaneState::Condemned;
        let mut hit: BTreeSet<u64> = BTreeSet::new();
        hit.extend(fake.waiting.iter().chain(&fake.started).map(|record| record.session));
        let before: HashMap<u64, Phase> =
            hit.iter().map(|id| (*id, self.phase(*id).unwrap())).collect();
        // Nobody else can have killed it without having been announced.
        let next = fake.waiting.first().filter(|_| fake.started.is_empty());
        let next = next.map(|record| (record.session, record.item));
        self.brain.worker_died(fake.slot, fake.t, self.now, &mut copier(&fake.ring));
        for id in hit {
            let started: Vec<_> = fake.started.iter().filter(|r| r.session == id).collect();
            let waiting: Vec<_> = fake.waiting.iter().filter(|r| r.session == id).collect();
            let ends =
                if condemned { None } else { self.ends_by_death(id, before[&id], &started, next) };
            if let Some(reason) = ends {
                self.ended(id, before[&id], reason);
            }
            let told = started.iter().any(|record| record.item == Item::Closed);
            let open = before[&id].is_served() && ends.is_none() && !told;
            let again = matches!(self.settings.crash_policy, CrashPolicy::Redeliver(_)) && open;
            let session = self.sessions.get_mut(&id).unwrap();
            for record in started {
                let delivery = session.delivery(record.item);
                delivery.state = match record.item {
                    Item::Closed => State::Finished,
                    _ if again && !condemned => State::Returned,
                    _ => State::Gone,
                };
                delivery.attempt += u8::from(delivery.state == State::Returned);
            }
            for record in waiting {
                let delivery = session.delivery(record.item);
                let was_next = next == Some((id, record.item));
                delivery.deaths_while_waiting += u8::from(was_next && !condemned);
                // Nothing that a condemned worker says about it is believed: it may have started.
                delivery.starts += u32::from(condemned);
                delivery.state = match record.item {
                    Item::Closed if condemned => State::Finished,
                    Item::Closed => State::Returned,
                    Item::Connect if !condemned => State::Returned,
                    _ if open && !condemned => State::Returned,
                    _ => State::Gone,
                };
            }
        }
        self.check();
    }

    fn ends_by_death(
        &self,
        id: u64,
        phase: Phase,
        started: &[&Record],
        next: Option<(u64, Item)>,
    ) -> Option<CloseReason> {
        let session = &self.sessions[&id];
        let most = self.settings.deaths_while_waiting_max;
        if let Some((_, item @ Item::Package(_))) = next.filter(|(session, _)| *session == id)
            && phase.is_served()
            && session.items[&item].deaths_while_waiting >= most
        {
            return Some(CloseReason::Unservable);
        }
        let mut started = started.iter().filter(|record| record.item != Item::Closed);
        let fatal = match self.settings.crash_policy {
            CrashPolicy::Close => started.next().is_some(),
            CrashPolicy::Drop => false,
            CrashPolicy::Redeliver(most) => {
                started.any(|record| record.exposed || session.items[&record.item].attempt >= most)
            }
        };
        (fatal && phase != Phase::Ended).then_some(CloseReason::WorkerDied)
    }

    /// Something that ends sessions happened to one that stood here before.
    fn ended(&mut self, id: u64, before: Phase, reason: CloseReason) {
        if before.has_socket() {
            self.must_end(id, reason);
        }
        let session = self.sessions.get_mut(&id).unwrap();
        session.may.insert(reason as u8);
        session.unserved |= before == Phase::PeerGone;
        assert_eq!(self.brain.phase(session.place), Some(Phase::Ended), "{id}: {reason:?}");
    }

    // ---- time
    // ---------------------------------------------------------------------------------------------

    pub(super) fn pass(&mut self, ns: Nanos) {
        self.now = self.now.saturating_add(ns);
    }

    /// The worker tells what one delivery takes it.
    pub(super) fn set_work(&mut self, lane: usize, work_ns: Nanos) {
        self.brain.set_work(self.lanes[lane].slot, work_ns);
        self.check();
    }

    pub(super) fn rehash(&mut self) {
        let waiting: Vec<(u64, u16)> = self
            .places
            .iter()
            .filter_map(|(place, id)| match self.brain.sessions.get(*place)?.link.list() {
                RunListId::Slot(worker) => Some((*id, worker)),
                _ => None,
            })
            .collect();
        let serving = |worker: u16| {
            let mut serving = self.lanes.iter().filter(|lane| lane.state == LaneState::Serving);
            serving.any(|lane| lane.key.slot.0 == worker)
        };
        let any = (0..self.settings.workers).any(serving);
        for worker in 0..self.settings.workers {
            if any && !serving(worker) {
                self.down_since[usize::from(worker)].get_or_insert(self.now);
            }
        }
        self.brain.rehash(self.now);
        for (id, worker) in waiting {
            let place = self.sessions[&id].place;
            let queued = self.brain.sessions.get(place).unwrap().link.list();
            let since = self.down_since[usize::from(worker)];
            let due = since.is_some_and(|since| self.now - since >= self.settings.slot_down_ns);
            if due && any {
                assert!(matches!(queued, RunListId::Lane(_)), "{id} was not moved");
                self.moved.insert(id);
            } else {
                assert_eq!(queued, RunListId::Slot(worker), "{id} was moved too early");
            }
        }
        self.check();
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
        for session in self.sessions.values_mut() {
            session.may.insert(CloseReason::Shutdown as u8);
        }
        self.brain.drain();
        self.check();
    }

    /// Every slot without a serving worker gets one.
    pub(super) fn repair(&mut self) {
        for worker in 0..self.settings.workers {
            let serves =
                |lane: &FakeLane| lane.key.slot.0 == worker && lane.state == LaneState::Serving;
            if !self.lanes.iter().any(serves) {
                self.serving(worker);
            }
        }
    }

    /// All behave well until nothing moves any more: workers serve everywhere and finish, clients
    /// read their output.
    pub(super) fn calm_down(&mut self) {
        self.repair();
        while let Some(lane) = self.lanes.iter().position(|lane| lane.state == LaneState::Condemned)
        {
            self.die(lane);
        }
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.output_changed(id, false, false);
        }
        for _ in 0..10_000 {
            self.pump();
            let mut moved = false;
            for lane in 0..self.lanes.len() {
                while self.lanes[lane].parts_left > 0 {
                    self.part(lane);
                }
                moved |= self.brain.is_full(self.lanes[lane].slot);
                self.set_room(lane, ROOM);
                while self.start(lane) {
                    moved = true;
                }
                self.free(lane);
                while !self.lanes[lane].started.is_empty() {
                    self.finish(lane, 0);
                    moved = true;
                }
                self.pass(1_000);
            }
            if !moved && self.brain.actions.is_empty() {
                break;
            }
        }
        assert_eq!(self.brain.books().in_hand, 0);
        assert_eq!(self.brain.books().recalled, 0);
        for session in self.sessions.values().filter(|session| session.lost) {
            let is_served = session.unread().is_none() || session.input_dropped.is_some();
            assert!(is_served, "neither given nor counted: {session:?}");
        }
        for session in self.sessions.values().filter(|session| !session.freed) {
            assert!(session.closed.is_none(), "closed, never freed: {session:?}");
            assert!(!session.eof || self.draining, "never ended: {session:?}");
            let left = |d: &&Delivery| !matches!(d.state, State::Finished | State::Gone);
            let left = session.items.values().filter(left).count();
            assert_eq!(left, 1, "only the close event is left: {session:?}");
        }
        for lane in self.lanes.iter().filter(|lane| lane.state == LaneState::Leaving) {
            assert_eq!(lane.unfinished(), 0, "never drained: {lane:?}");
        }
        if self.draining {
            assert!(self.brain.is_empty());
            assert_eq!(self.brain.held_sessions(), 0);
        }
        assert!(self.brain.rehash_due().is_none());
        assert!(self.candidate().is_none());
    }

    // ---- the account
    // -------------------------------------------------------------------------------------------

    /// A session that ends takes along what waited for it.
    fn sync(&mut self) {
        for session in self.sessions.values_mut().filter(|session| !session.freed) {
            let phase = self.brain.phase(session.place).unwrap();
            // Of a client that left without a word before a worker was told of it.
            let package = |item: &Item| matches!(item, Item::Package(_));
            let waits = |d: &Delivery| matches!(d.state, State::Unread | State::Returned);
            let is_forgotten = phase == Phase::PeerGone
                && !session.items.iter().any(|(item, d)| package(item) && waits(d));
            for (item, delivery) in &mut session.items {
                let goes = match item {
                    Item::Package(_) => !phase.is_served(),
                    Item::Connect => phase == Phase::Ended || is_forgotten,
                    Item::Closed => false,
                };
                if goes && delivery.state == State::Returned {
                    delivery.state = State::Gone;
                }
            }
        }
    }

    pub(super) fn check(&mut self) {
        self.sync();
        let books = self.brain.books();
        assert!(books.balance(), "{books:?}");
        let count = |wanted: fn(State) -> bool| {
            let items = self.sessions.values().flat_map(|session| &session.items);
            let packages = items.filter(|(item, _)| matches!(item, Item::Package(_)));
            packages.filter(|(_, delivery)| wanted(delivery.state)).count() as u64
        };
        assert_eq!(books.in_hand, count(|s| matches!(s, State::At(_) | State::Started(_))));
        assert_eq!(books.recalled, count(|state| state == State::Returned));
        assert_eq!(books.finished, count(|state| state == State::Finished));
        let ended = books.dropped_total() + books.closed_by_total();
        assert_eq!(ended, count(|state| state == State::Gone));
        for session in self.sessions.values() {
            let bound: BTreeSet<_> = session.at_lane().collect();
            assert!(bound.len() <= 1, "at two lanes: {session:?}");
            let outstanding = session.at_lane().count();
            assert!(outstanding <= self.settings.session_window as usize, "{session:?}");
        }
        self.check_inside();
    }

    /// The brain's own bookkeeping.
    fn check_inside(&self) {
        let brain = &self.brain;
        let present = brain.sessions.iter();
        let waiting = brain.sessions.iter().flat_map(|connection| connection.returned());
        let bytes: usize = waiting.map(|returned| returned.body.len()).sum();
        assert_eq!(brain.returned_bytes(), bytes as u64);
        let kept = brain.lanes.iter().flat_map(|(_, lane)| lane.ledger.iter());
        let kept: usize = kept.filter_map(|entry| entry.body.as_ref()).map(Vec::len).sum();
        assert_eq!(brain.held_bytes(), (bytes + kept) as u64);
        let by_session = brain.held_by_session();
        let entries = brain.lanes.iter().flat_map(|(_, lane)| lane.ledger.iter());
        for entry in entries.filter(|entry| entry.body.is_some()) {
            let slot = entry.connection;
            let is_served = brain.phase(slot).is_some_and(Phase::is_served);
            assert!(is_served || self.is_being_written(slot), "held for nobody: {entry:?}");
            assert_eq!(by_session.contains_key(&slot), is_served);
        }
        assert!(by_session.values().sum::<u64>() <= brain.held_bytes());
        assert_eq!(brain.sessions.len(), present.count());
        let mut outstanding: HashMap<ConnectionSlot, (u32, LaneSlot)> = HashMap::new();
        for (slot, lane) in brain.lanes.iter() {
            let undone: Vec<_> = lane.ledger.iter().filter(|entry| !entry.done).collect();
            let fake = self.lanes.iter().find(|fake| fake.slot == slot);
            assert_eq!(lane.in_hand() as usize, fake.map_or(0, FakeLane::in_hand));
            assert!(lane.in_hand() <= self.settings.prefetch_packages.max(1), "too much ahead");
            assert_eq!(brain.in_hand(slot) as usize, undone.len());
            assert_eq!(undone.len(), fake.map_or(0, FakeLane::unfinished), "drained in time");
            assert_eq!(lane.ledger.is_empty(), undone.is_empty());
            for entry in undone {
                let (count, _) = outstanding.entry(entry.connection).or_insert((0, slot));
                *count += 1;
            }
            assert!(lane.ledger.iter().is_sorted_by_key(|entry| (entry.position, entry.seq)));
        }
        let mut listed = self.walk(RunListId::Global);
        listed.extend(brain.lanes.iter().flat_map(|(slot, _)| self.walk(RunListId::Lane(slot))));
        listed.extend((0..self.settings.workers).flat_map(|i| self.walk(RunListId::Slot(i))));
        let unique: HashSet<_> = listed.iter().copied().collect();
        assert_eq!(unique.len(), listed.len(), "listed twice");
        for slot in brain.sessions.places() {
            let Some(connection) = brain.sessions.get(slot) else { continue };
            let at = outstanding.get(&slot);
            assert_eq!(connection.outstanding, at.map_or(0, |(count, _)| *count));
            assert_eq!(connection.bound, at.map(|(_, lane)| *lane));
            assert_eq!(connection.link.list() != RunListId::No, unique.contains(&slot));
            let may_go = connection.has_work(brain.reading)
                && connection.outstanding < self.settings.session_window;
            assert!(!may_go || connection.link.list() != RunListId::No, "stuck: {connection:?}");
        }
    }

    /// Whether a delivery of the session is in the middle of its parts.
    fn is_being_written(&self, slot: ConnectionSlot) -> bool {
        let unwritten = |record: &Record| {
            record.position == u64::MAX && self.sessions[&record.session].place == slot
        };
        self.lanes.iter().any(|lane| lane.waiting.iter().any(unwritten))
    }

    fn walk(&self, id: RunListId) -> Vec<ConnectionSlot> {
        self.brain.lists.walk(&self.brain.sessions, id)
    }
}

impl FakeSession {
    fn add(&mut self, item: Item, len: usize) {
        let delivery = Delivery {
            state: State::Unread,
            attempt: 0,
            deaths_while_waiting: 0,
            starts: 0,
            exposed: false,
            len,
        };
        self.items.insert(item, delivery);
    }
}
