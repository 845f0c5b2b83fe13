//! What workers do: they serve, start, finish, expose, leave, tell nonsense and die.

use super::{FakeLane, Item, PORT, ROOM, Record, State, World};
use crate::Nanos;
use crate::brain::{CloseReason, Entry, LaneState, Phase};
use crate::ids::ProcessKey;
use crate::policy::CrashPolicy;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

fn copier(ring: &BTreeMap<u64, Vec<u8>>) -> impl FnMut(&Entry) -> Vec<u8> {
    |entry| ring.get(&entry.position).expect("the ring space is used already").clone()
}

impl FakeLane {
    /// Deliveries that take credit: not those that were deferred.
    pub(super) fn in_hand(&self) -> usize {
        let deferred = self.started.iter().filter(|record| record.position < self.reused).count();
        self.unfinished() - deferred
    }

    /// Deliveries that are not finished. A leaving worker without any is drained.
    pub(crate) fn unfinished(&self) -> usize {
        self.waiting.len() + self.started.len()
    }
}

impl World {
    /// Starts a worker and lets it serve; its predecessor leaves.
    pub(crate) fn serving(&mut self, worker: u16) -> usize {
        let lane = self.boot(worker);
        self.serve(lane);
        lane
    }

    pub(crate) fn boot(&mut self, worker: u16) -> usize {
        self.generation += 1;
        let key = ProcessKey::event(worker, self.generation);
        let slot = self.brain.add_lane(key);
        self.lanes.push(FakeLane {
            late: None,
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

    pub(crate) fn serve(&mut self, lane: usize) {
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

    pub(crate) fn leave(&mut self, lane: usize) {
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

    pub(crate) fn recall(&mut self, lane: usize) {
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
    pub(crate) fn recall_if_due(&mut self) -> Option<usize> {
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

    pub(crate) fn candidate(&self) -> Option<(usize, Nanos)> {
        let taken = |slot| self.lanes.iter().find(|lane| lane.slot == slot).unwrap().t;
        let (slot, due) = self.brain.recall_candidate(self.now, taken)?;
        let index = self.lanes.iter().position(|lane| lane.slot == slot).unwrap();
        let lane = &self.lanes[index];
        // Where a session may be at several workers nothing of it is pinned.
        let pinned = lane.started.iter().filter(|_| !self.spreads());
        let pinned: HashSet<_> = pinned.map(|record| record.session).collect();
        let movable = lane.waiting.iter().any(|record| !pinned.contains(&record.session));
        assert!(movable, "all that waits is pinned: {lane:?}");
        let mut serving = self.lanes.iter().filter(|lane| lane.state == LaneState::Serving);
        assert!(serving.any(|lane| lane.in_hand() == 0), "nobody idles");
        Some((index, due))
    }

    /// The worker starts its next record.
    pub(crate) fn start(&mut self, lane: usize) -> bool {
        let (alone, spreads) = (self.gives_events_alone(), self.spreads());
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
            let is_package = |item| matches!(item, Item::Package(_));
            if spreads && is_package(*item) && is_package(record.item) {
                continue; // it may be anywhere
            }
            let skipped = match before.state {
                State::Started(_) if alone && !(is_package(*item) && is_package(record.item)) => {
                    true
                }
                State::At(_) | State::Returned => true,
                State::Unread => record.item != Item::Closed || session.owes(*item),
                _ => false,
            };
            assert!(!skipped, "{item:?} skipped by {record:?}");
        }
        let most = match self.settings.ports.get(PORT).crash_policy {
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
    pub(crate) fn finish(&mut self, lane: usize, which: usize) {
        self.end(lane, which, State::Finished);
    }

    /// The worker ends one of those without a handler.
    pub(crate) fn skip(&mut self, lane: usize, which: usize) {
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

    pub(crate) fn expose(&mut self, lane: usize, which: usize) {
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
    pub(crate) fn nonsense(&mut self, lane: usize, number: u64) {
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
    pub(crate) fn free(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        let unstarted = lane.waiting.first().map_or(lane.written, |record| record.position);
        let freed = if unstarted == u64::MAX { lane.t } else { unstarted };
        self.brain.keep_bodies(lane.slot, freed, &mut copier(&lane.ring));
        lane.ring = lane.ring.split_off(&freed);
        lane.reused = freed;
        self.check();
    }

    /// The worker is about to be killed because it is late with something of this session.
    pub(crate) fn set_late(&mut self, lane: usize, id: Option<u64>) {
        let place = id.map(|id| self.sessions[&id].place);
        self.brain.set_late(self.lanes[lane].slot, place);
        self.lanes[lane].late = id;
    }

    /// Sessions whose deferred packages are overdue are closed.
    pub(crate) fn close_overdue_deferred(&mut self) {
        self.brain.close_overdue_deferred();
        assert!(self.brain.deferred_due().is_none_or(|due| due > self.now), "not closed");
        self.actions();
    }

    pub(crate) fn condemn(&mut self, lane: usize) {
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
    pub(crate) fn die(&mut self, lane: usize) {
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
                if condemned { None } else { self.ends_by_death(id, &fake, before[&id], next) };
            if let Some(reason) = ends {
                self.ended(id, before[&id], reason);
            }
            let told = started.iter().any(|record| record.item == Item::Closed);
            let open = before[&id].is_served() && ends.is_none() && !told;
            let again = matches!(self.port().crash_policy, CrashPolicy::Redeliver(_)) && open;
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
        fake: &FakeLane,
        phase: Phase,
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
        let is_own = |record: &&Record| record.session == id && record.item != Item::Closed;
        let mut started = fake.started.iter().filter(is_own);
        let fatal = match self.port().crash_policy {
            CrashPolicy::Close => started.next().is_some(),
            CrashPolicy::Drop => false,
            CrashPolicy::Redeliver(most) => {
                started.any(|record| record.exposed || session.items[&record.item].attempt >= most)
            }
        };
        let reason = match fake.late {
            Some(late) if late == id => CloseReason::RequestDeadline,
            _ => CloseReason::WorkerDied,
        };
        (fatal && phase != Phase::Ended).then_some(reason)
    }

    /// Something that ends sessions happened to one that stood here before.
    pub(super) fn ended(&mut self, id: u64, before: Phase, reason: CloseReason) {
        if before.has_socket() {
            self.must_end(id, reason);
        }
        let session = self.sessions.get_mut(&id).unwrap();
        session.may.insert(reason as u8);
        session.unserved |= before == Phase::PeerGone;
        assert_eq!(self.brain.phase(session.place), Some(Phase::Ended), "{id}: {reason:?}");
    }

    /// Every slot without a serving worker gets one.
    pub(crate) fn repair(&mut self) {
        for worker in 0..self.settings.workers {
            let serves =
                |lane: &FakeLane| lane.key.slot.0 == worker && lane.state == LaneState::Serving;
            if !self.lanes.iter().any(serves) {
                self.serving(worker);
            }
        }
    }

    /// From now on there are so many worker slots. In those that are new the last one serves first;
    /// in those that are taken away nobody serves any more.
    pub(crate) fn set_workers(&mut self, workers: u16) {
        let before = std::mem::replace(&mut self.settings.workers, workers);
        if workers != before {
            self.moved.clear();
            let keeps = self.is_sticky();
            self.homes.retain(|_, home| keeps && *home < workers);
        }
        if workers > before {
            self.slots = self.slots.max(usize::from(workers));
            self.down_since.resize(self.slots, None);
            self.serving(workers - 1);
            return;
        }
        self.brain.reduce_workers(workers);
        let beyond = |lane: &FakeLane| lane.key.slot.0 >= workers;
        while let Some(lane) =
            self.lanes.iter().position(|lane| beyond(lane) && lane.state == LaneState::Booting)
        {
            self.die(lane);
        }
        for lane in 0..self.lanes.len() {
            if beyond(&self.lanes[lane]) && self.lanes[lane].state == LaneState::Serving {
                self.leave(lane);
            }
        }
        self.check();
    }
}
