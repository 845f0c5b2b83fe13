//! What a driver does for the brain: it carries out actions, gives what it is told to and checks
//! each choice by the words of the specification.

use super::clients::address_of;
use super::{Delivery, FakeLane, HomeKey, Item, ONE_RECORD, PARTS, PORT, Record, State, World};
use crate::Nanos;
use crate::body::Body;
use crate::brain::run_lists::RunListId;
use crate::brain::{
    Assignment, BrainAction, CloseReason, ConnectionSlot, Content, DeliveryKind, LaneSlot,
    LaneState, Phase, Subject,
};
use crate::policy::Dispatch;
use std::collections::{BTreeMap, BTreeSet, HashSet};

pub(super) fn body(session: u64, item: Item, len: usize) -> Vec<u8> {
    let number = match item {
        Item::Package(number) => number,
        Item::Connect if len > 0 => u32::MAX,
        Item::Connect | Item::Closed => return Vec::new(),
    };
    let mut bytes = session.to_le_bytes().to_vec();
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend((0..len).map(|index| (index as u8) ^ (number as u8)));
    bytes
}

fn number_of(body: &[u8]) -> u32 {
    u32::from_le_bytes(body[8..12].try_into().unwrap())
}

impl World {
    /// From now on this session may be closed for this reason too.
    pub(crate) fn may_close(&mut self, id: u64, reason: CloseReason) {
        self.sessions.get_mut(&id).unwrap().may.insert(reason as u8);
    }

    pub(crate) fn actions(&mut self) {
        while self.action() {}
    }

    pub(crate) fn action(&mut self) -> bool {
        let Some(action) = self.brain.next_action() else { return false };
        match action {
            BrainAction::AnswerRefused { connection } => self.answer_refused(connection),
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
            BrainAction::FreeSession { connection, session } => {
                let id = self.places.remove(&connection).expect("freed twice");
                assert_eq!(session, id, "the place of another session");
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

    /// The next package is answered by the driver, unless its turn has come.
    fn answer_refused(&mut self, place: ConnectionSlot) {
        if !self.brain.take_refusal(place) {
            return;
        }
        assert_eq!(self.sessions[&self.places[&place]].at_lane().count(), 0, "out of order");
        let pulls = self.port().dispatch == Dispatch::Pull;
        let session = self.sessions.get_mut(&self.places[&place]).unwrap();
        let is_back = |(item, one): &(&Item, &Delivery)| {
            matches!(item, Item::Package(_)) && one.state == State::Returned
        };
        let mut back = session.items.iter().find(is_back).map(|(item, _)| *item);
        // Packages that were at several workers come back in the order of their deaths.
        if pulls && back.is_some() {
            let returned = self.brain.sessions.get(place).unwrap().returned();
            let mut packages = returned.filter(|one| one.kind == DeliveryKind::Package);
            back = packages.next().map(|one| Item::Package(number_of(&one.body)));
            assert_eq!(session.state(back.unwrap()), Some(State::Returned));
        }
        assert_eq!(self.brain.refuse_returned(place), back.is_some(), "{session:?}");
        let fresh = session.unread().filter(|_| back.is_none());
        if let Some(item) = back.or(fresh) {
            session.items.get_mut(&item).unwrap().state = State::Gone;
            if fresh.is_some() {
                self.brain.refuse_package(place);
                self.held_message_gone(self.places[&place], place);
            }
            self.readable(self.places[&place]);
        } else {
            self.nothing_read(self.places[&place]);
        }
        self.brain.refusal_answered(place);
    }

    /// The driver tells that there may be input of a session.
    pub(super) fn readable(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id).unwrap();
        session.may_have_input = true;
        self.brain.readable(session.place);
    }

    /// The driver has looked, and there is no package.
    fn nothing_read(&mut self, id: u64) {
        let session = self.sessions.get_mut(&id).unwrap();
        session.may_have_input = false;
        if session.eof && !session.lost {
            self.brain.peer_done(session.place);
        } else {
            self.brain.input_dry(session.place);
        }
    }

    /// While the server drains: the driver may hold another whole message.
    fn held_message_gone(&mut self, id: u64, place: ConnectionSlot) {
        if let Some(messages) = self.held_whole.get_mut(&id) {
            *messages = messages.saturating_sub(1);
            if *messages > 0 {
                self.brain.hold_message(place);
            }
        }
    }

    pub(crate) fn pump(&mut self) {
        loop {
            self.actions();
            if !self.give() {
                break;
            }
            while self.give() {}
        }
    }

    /// Gives one delivery.
    pub(crate) fn give(&mut self) -> bool {
        let credit = self.lanes_with_credit();
        let Some(assignment) = self.brain.next_give() else { return false };
        let Subject::Session(place) = assignment.subject else {
            panic!("nobody sends datagrams: {assignment:?}");
        };
        let id = self.places[&place];
        assert_eq!((assignment.subject_number, assignment.port), (id, PORT));
        let lane = self.lanes.iter().position(|lane| lane.slot == assignment.lane).unwrap();
        self.check_choice(id, lane, &credit);
        let Some(item) = self.item_of(id, &assignment) else {
            let session = &self.sessions[&id];
            assert!(self.brain.phase(session.place).is_some_and(Phase::is_served));
            self.nothing_read(id);
            self.check();
            return true;
        };
        let is_fresh = matches!(assignment.content, Content::Read);
        if is_fresh && self.phase(id) == Some(Phase::Open) && self.over_rate.remove(&id) {
            self.may_close(id, CloseReason::Overloaded);
            self.brain.over_rate(assignment);
            self.check();
            return true;
        }
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
        check_moment(delivery, &assignment, &mut self.moments);
        let bytes = body(id, item, delivery.len);
        // Of what comes in pieces the driver knows only by looking.
        let more = session.unread().is_some() || session.eof || session.comes_in_pieces();
        if is_fresh {
            session.may_have_input = more;
        }
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
        if self.port().dispatch == Dispatch::Sticky {
            self.homes.insert(HomeKey::Session(id), self.lanes[lane].key.slot.0);
        }
        let fake = &mut self.lanes[lane];
        fake.waiting.push(Record { seq, position, session: id, item, exposed });
        self.brain.record_written(assignment, position, len, kept.map(Body::from), more, self.now);
        if is_fresh {
            self.held_message_gone(id, place);
        }
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
            Content::Buffer(event) => panic!("{id}: nothing was unsent, {event:?}"),
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
                    DeliveryKind::Buffer(event) => panic!("{id}: nothing was unsent, {event:?}"),
                    DeliveryKind::Package => Item::Package(number_of(&returned.body)),
                    DeliveryKind::Datagram => panic!("nobody sends datagrams: {returned:?}"),
                };
                let delivery = &session.items[&item];
                assert_eq!(delivery.state, State::Returned, "{id} {item:?}");
                assert_eq!(returned.body.to_vec(), body(id, item, delivery.len), "{id} {item:?}");
                assert_eq!(returned.attempt, delivery.attempt);
                assert_eq!(returned.deaths_while_waiting, delivery.deaths_while_waiting);
                Some(item)
            }
        }
    }

    /// Serving lanes that may get something, by worker slot.
    pub(super) fn lanes_with_credit(&self) -> BTreeMap<u16, LaneSlot> {
        let serving = self.lanes.iter().filter(|lane| lane.state == LaneState::Serving);
        let credit = self.brain.credit();
        let pulls = self.port().dispatch == Dispatch::Pull;
        serving
            .filter(|lane| self.brain.lanes.get(lane.slot).unwrap().has_credit(credit))
            .filter(|lane| !pulls || lane.in_hand() == 0)
            .map(|lane| (lane.key.slot.0, lane.slot))
            .collect()
    }

    fn check_choice(&mut self, id: u64, lane: usize, credit: &BTreeMap<u16, LaneSlot>) {
        let lane = &self.lanes[lane];
        let worker = lane.key.slot.0;
        assert!(credit.contains_key(&worker), "given without credit");
        let bound: BTreeSet<_> = self.sessions[&id].at_lane().collect();
        if let Some(at) = bound.first()
            && self.port().dispatch != Dispatch::Pull
        {
            assert_eq!((at, bound.len()), (&lane.key, 1), "at two lanes");
            return;
        }
        match self.port().dispatch {
            Dispatch::SessionHash
            | Dispatch::AddressHash
            | Dispatch::UserId
            | Dispatch::UserFunction => {
                let moved = self.moved.remove(&id);
                assert!(moved || self.home(id) == worker, "not at its worker");
                let key = self.home_key(id);
                if !moved {
                    assert_eq!(*self.homes.entry(key).or_insert(worker), worker, "{key:?}");
                }
            }
            Dispatch::Sticky => match self.homes.get(&HomeKey::Session(id)) {
                Some(home) => assert_eq!(*home, worker, "{id} left its worker"),
                None => self.check_least(lane, credit, FakeLane::unfinished),
            },
            Dispatch::LeastInHand => self.check_least(lane, credit, FakeLane::unfinished),
            Dispatch::IdleFirst => self.check_least(lane, credit, FakeLane::in_hand),
            Dispatch::Pull => {
                assert_eq!(lane.in_hand(), 0, "it has not finished the one before");
                self.check_least(lane, credit, |_| 0);
            }
            Dispatch::RoundRobin => {
                let slots = self.slots;
                let turn = (0..slots).map(|step| ((self.next_in_turn + step) % slots) as u16);
                let next = turn.into_iter().find(|slot| credit.contains_key(slot));
                assert_eq!(next, Some(worker), "not its turn");
            }
        }
        self.next_in_turn = usize::from(worker) + 1;
    }

    /// Nobody who could get it too has less.
    fn check_least(
        &self,
        lane: &FakeLane,
        credit: &BTreeMap<u16, LaneSlot>,
        load: impl Fn(&FakeLane) -> usize,
    ) {
        let load = |lane: &FakeLane| {
            load(lane) + self.brain.lanes.get(lane.slot).unwrap().suspicion() as usize
        };
        for other in self.lanes.iter().filter(|other| credit.values().any(|s| *s == other.slot)) {
            assert!(load(lane) <= load(other), "not the least loaded: {lane:?} {other:?}");
        }
    }

    /// The worker slot of a session that is at home somewhere.
    pub(crate) fn home(&self, id: u64) -> u16 {
        let connection = self.brain.sessions.get(self.sessions[&id].place).unwrap();
        self.brain.home_of(connection).expect("it is at home somewhere")
    }

    /// By what that is chosen, in the words of the specification.
    fn home_key(&self, id: u64) -> HomeKey {
        let user = self.users.get(&id).copied().map(HomeKey::User);
        let address = address_of(id).map(HomeKey::Address);
        let key = match self.port().dispatch {
            Dispatch::UserId | Dispatch::UserFunction => user,
            Dispatch::AddressHash => address,
            _ => None,
        };
        key.unwrap_or(HomeKey::Session(id))
    }

    /// Writes a part of the delivery that the lane is sent in parts.
    pub(crate) fn part(&mut self, lane: usize) {
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

    pub(crate) fn set_room(&mut self, lane: usize, room: usize) {
        let lane = &mut self.lanes[lane];
        lane.room = room;
        self.brain.room_freed(lane.slot);
        self.check();
    }

    pub(crate) fn rehash(&mut self) {
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
            if due && any && self.is_sticky() {
                let anew = matches!(queued, RunListId::Free(_) | RunListId::No);
                assert!(anew, "{id} chooses anew");
                self.homes.remove(&HomeKey::Session(id));
            } else if due && any {
                assert!(matches!(queued, RunListId::Lane(_)), "{id} was not moved");
                self.moved.insert(id);
            } else {
                assert_eq!(queued, RunListId::Slot(worker), "{id} was moved too early");
            }
        }
        self.check();
    }

    pub(super) fn is_sticky(&self) -> bool {
        self.port().dispatch == Dispatch::Sticky
    }

    /// Who has waited for too long is refused.
    pub(crate) fn refuse_overdue(&mut self) {
        for _ in 0..=self.lanes.len() {
            let lanes: Vec<_> = self.lanes.iter().map(|lane| (lane.slot, lane.t)).collect();
            let taken = |slot| lanes.iter().find(|(lane, _)| *lane == slot).unwrap().1;
            let Some(slot) = self.brain.refuse_overdue(self.now, taken) else {
                self.check();
                assert!(self.brain.queue_due().is_none_or(|due| due > self.now), "not refused");
                return;
            };
            let lane = self.lanes.iter().position(|lane| lane.slot == slot).unwrap();
            self.recall(lane);
        }
        panic!("a lane is recalled again and again");
    }

    /// Whether workers are lacking.
    pub(crate) fn lacks_workers(&mut self) -> bool {
        let taken: Vec<_> = self.lanes.iter().map(|lane| (lane.slot, lane.t)).collect();
        let taken = |slot| taken.iter().find(|(lane, _)| *lane == slot).unwrap().1;
        let lacks = self.brain.lacks_workers(self.now, taken);
        self.check();
        assert!(self.brain.lack_due().is_none_or(|due| due > self.now), "it is asked in a loop");
        lacks
    }

    /// Who is more than may wait is refused, when all is given.
    pub(crate) fn refuse_beyond(&mut self) {
        self.pump();
        self.brain.refuse_beyond();
        self.check();
    }

    /// Memory is lacking, or there is enough again.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.brain.pause_reading(paused);
        self.check();
    }

    /// The server drains, and the driver holds so many whole messages of these sessions.
    pub(crate) fn drain_holding(&mut self, sessions: &[(u64, usize)]) {
        for (id, messages) in sessions {
            self.held_whole.insert(*id, *messages);
            self.brain.hold_message(self.sessions[id].place);
        }
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        self.draining = true;
        for session in self.sessions.values_mut() {
            session.may.insert(CloseReason::Shutdown as u8);
        }
        self.brain.drain();
        self.check();
    }
}

/// A delivery is known by its moment, which is nobody else's.
fn check_moment(delivery: &mut Delivery, assignment: &Assignment, moments: &mut HashSet<Nanos>) {
    let now = assignment.received_at;
    match delivery.received_at.replace(now) {
        Some(before) => assert_eq!(now, before, "it was received once"),
        None => assert!(moments.insert(now), "no two at the same moment"),
    }
}
