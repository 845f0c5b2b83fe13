//! The account that the world keeps, compared with the brain's own.

use super::{Delivery, FakeLane, Item, ROOM, Record, State, World};
use crate::brain::dispatch::Pick;
use crate::brain::run_lists::RunListId;
use crate::brain::sessions::Connection;
use crate::brain::{ConnectionSlot, DeliveryKind, LaneSlot, LaneState, Phase, Subject};
use crate::policy::Dispatch;
use std::collections::{BTreeSet, HashMap, HashSet};

impl World {
    /// All behave well until nothing moves any more: workers serve everywhere and finish, clients
    /// read their output.
    pub(crate) fn calm_down(&mut self) {
        self.repair();
        self.pause(false);
        while let Some(lane) = self.lanes.iter().position(|lane| lane.state == LaneState::Condemned)
        {
            self.die(lane);
        }
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.output_changed(id, false, false);
            self.hold_back(id, false);
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

    /// A session that ends takes along what waited for it.
    fn sync(&mut self) {
        for session in self.sessions.values_mut().filter(|session| !session.freed) {
            let phase = self.brain.phase(session.place).unwrap();
            // Of a client that left without a word before a worker was told of it.
            let waits = |(item, d): (&Item, &Delivery)| {
                matches!(item, Item::Package(_)) && d.state == State::Returned
            };
            let is_forgotten = phase == Phase::PeerGone
                && !session.may_have_input
                && !session.items.iter().any(waits);
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

    pub(crate) fn check(&mut self) {
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
        let ended = books.dropped_total() + books.closed_by_total() + books.refused;
        assert_eq!(ended, count(|state| state == State::Gone));
        for session in self.sessions.values() {
            let bound: BTreeSet<_> = session.at_lane().collect();
            assert!(bound.len() <= 1 || self.spreads(), "at two lanes: {session:?}");
            let outstanding = session.at_lane().count();
            assert!(outstanding <= self.port().session_window as usize, "{session:?}");
        }
        self.check_inside();
    }

    /// Who waits for a worker, where that has limits.
    fn check_who_waits(&self) {
        let brain = &self.brain;
        let waiting = |connection: &&Connection| connection.waiting.is_some();
        let waits = brain.sessions.iter().filter(waiting).count();
        let in_master =
            brain.sessions.iter().filter(waiting).filter(|one| one.outstanding == 0).count();
        let counted: Vec<_> = brain.queues.iter().map(|queue| queue.counted()).collect();
        if counted.is_empty() {
            assert_eq!(waits, 0, "nobody limits who waits");
        } else {
            assert_eq!(counted, [(waits, in_master)], "who waits is counted");
        }
        for one in brain.sessions.iter().filter(waiting) {
            let asks = one.has_package_out() || one.wants(!brain.paused);
            assert!(one.phase == Phase::Open && asks, "waits for nothing: {one:?}");
        }
    }

    /// The brain's own bookkeeping.
    fn check_inside(&self) {
        let brain = &self.brain;
        let present = brain.sessions.iter();
        let waiting = brain.sessions.iter().flat_map(|connection| connection.returned());
        let bytes: usize = waiting.map(|returned| returned.body.len()).sum();
        assert_eq!(brain.returned_bytes(), bytes as u64);
        let kept = brain.lanes.iter().flat_map(|(_, lane)| lane.ledger.iter());
        let kept: usize = kept.filter_map(|entry| entry.body.as_ref()).map(|body| body.len()).sum();
        assert_eq!(brain.held_bytes(), (bytes + kept) as u64);
        let by_session = brain.held_by_session();
        let entries = brain.lanes.iter().flat_map(|(_, lane)| lane.ledger.iter());
        for entry in entries.filter(|entry| entry.body.is_some()) {
            let Subject::Session(slot) = entry.subject else { panic!("{entry:?}") };
            let is_served = brain.phase(slot).is_some_and(Phase::is_served);
            // Whoever flushes may still have to be told of: then the end is told as well.
            let is_over = brain.phase(slot).is_none_or(|phase| phase == Phase::Ended);
            let is_owed = entry.kind == DeliveryKind::Connect && !is_over;
            let is_needed = is_served || is_owed || self.is_being_written(slot);
            assert!(is_needed, "held for nobody: {entry:?}");
            assert_eq!(by_session.contains_key(&slot), is_served);
        }
        assert!(by_session.values().sum::<u64>() <= brain.held_bytes());
        assert_eq!(brain.sessions.len(), present.count());
        self.check_who_waits();
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
                let Subject::Session(connection) = entry.subject else { panic!("{entry:?}") };
                let (count, _) = outstanding.entry(connection).or_insert((0, slot));
                *count += 1;
            }
            assert!(lane.ledger.iter().is_sorted_by_key(|entry| (entry.position, entry.seq)));
        }
        let free = |pick| self.walk(RunListId::Free(pick));
        let mut listed: Vec<_> = Pick::ALL.into_iter().flat_map(free).collect();
        listed.extend(brain.lanes.iter().flat_map(|(slot, _)| self.walk(RunListId::Lane(slot))));
        listed.extend((0..self.settings.workers).flat_map(|i| self.walk(RunListId::Slot(i))));
        let unique: HashSet<_> = listed.iter().copied().collect();
        assert_eq!(unique.len(), listed.len(), "listed twice");
        for slot in brain.sessions.places() {
            let Some(connection) = brain.sessions.get(slot) else { continue };
            let at = outstanding.get(&slot);
            assert_eq!(connection.outstanding, at.map_or(0, |(count, _)| *count));
            let bound = at.filter(|_| !self.spreads()).map(|(_, lane)| *lane);
            assert_eq!(connection.bound, bound);
            assert_eq!(connection.link.list() != RunListId::No, unique.contains(&slot));
            let next = connection.next_kind(brain.takes_fresh_input());
            let has_event_out = self.has_event_out(slot);
            let may_join = next == Some(DeliveryKind::Package) && !has_event_out;
            let may_go = next.is_some()
                && connection.outstanding < self.port().session_window
                && (connection.outstanding == 0 || may_join || !self.gives_events_alone());
            assert!(!may_go || connection.link.list() != RunListId::No, "stuck: {connection:?}");
        }
    }

    /// Whether packages of one session may be at several workers.
    pub(super) fn spreads(&self) -> bool {
        self.port().dispatch == Dispatch::Pull
    }

    pub(super) fn gives_events_alone(&self) -> bool {
        self.spreads() || self.port().dispatch == Dispatch::UserFunction
    }

    /// Whether a connect or close event of the session is at a lane.
    fn has_event_out(&self, slot: ConnectionSlot) -> bool {
        let entries = self.brain.lanes.iter().flat_map(|(_, lane)| lane.ledger.iter());
        let mut own = entries.filter(|e| !e.done && e.subject == Subject::Session(slot));
        own.any(|entry| entry.kind != DeliveryKind::Package)
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
