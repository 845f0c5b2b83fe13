//! Connections that have to agree on something before they are sessions: how many there may be, for
//! how long, and whose turn it is.
//!
//! A handshake costs thousands of times what a package costs, and whoever connects can ask for one.
//! So they wait in a line of their own, of which the driver takes as many as a turn has time for.
//! When there are too many, the one that waits the longest makes room: a client that is there
//! finishes within a few round trips, one that only holds a place does not. The same holds for the
//! memory that they take together.

use std::collections::{HashMap, VecDeque};

use crate::Nanos;

/// How handshakes ended. Each that began ends in one of these ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeCounts {
    /// Handshakes that began.
    pub begun: u64,
    /// The session began.
    pub done: u64,
    /// Those of them that took up an earlier session.
    pub resumed: u64,
    /// The client sent what cannot be, refused what it was offered, or left.
    pub failed: u64,
    /// The client did not finish in time.
    pub timed_out: u64,
    /// Too many were there at the same time, and this one had waited the longest.
    pub crowded_out: u64,
    /// The server ended first.
    pub ended: u64,
}

impl HandshakeCounts {
    /// Calls `visit` with each counter, always in the same order.
    pub fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self { begun, done, resumed, failed, timed_out, crowded_out, ended } = self;
        let all = [begun, done, resumed, failed, timed_out, crowded_out, ended];
        all.into_iter().for_each(visit);
    }

    /// Adds another reactor's counters.
    pub const fn add(&mut self, other: &Self) {
        self.begun += other.begun;
        self.done += other.done;
        self.resumed += other.resumed;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.crowded_out += other.crowded_out;
        self.ended += other.ended;
    }

    /// Handshakes that are not over.
    #[must_use]
    pub const fn open(&self) -> u64 {
        let over = self.done + self.failed + self.timed_out + self.crowded_out + self.ended;
        self.begun.saturating_sub(over)
    }
}

/// One of them. Numbers are not used again for a long time: 2^32 handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandshakeId(pub u32);

#[derive(Debug)]
struct Entry<T> {
    of: T,
    due: Nanos,
    /// It stands in the line of those that can go on.
    is_ready: bool,
    /// Bytes of memory that it holds.
    held: usize,
    /// It stands in the line of those that hold some.
    is_holder: bool,
}

/// All handshakes of one driver; `T` is what it keeps of each.
#[derive(Debug)]
pub struct Handshakes<T> {
    entries: HashMap<HandshakeId, Entry<T>>,
    /// In the order in which they began, and so in which they are due; some have ended before.
    order: VecDeque<(Nanos, HandshakeId)>,
    /// Those that can go on; some have ended before.
    ready: VecDeque<HandshakeId>,
    /// Those that hold memory, in the order in which they began to; some hold none any more.
    holders: VecDeque<HandshakeId>,
    /// Bytes that all of them hold.
    held: usize,
    next: u32,
    max: usize,
    held_max: usize,
    timeout: Nanos,
}

impl<T> Handshakes<T> {
    /// At most `max` at the same time (at least one), which hold at most `held_max` bytes together,
    /// each for `timeout` ns.
    #[must_use]
    pub fn new(max: usize, held_max: usize, timeout: Nanos) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            ready: VecDeque::new(),
            holders: VecDeque::new(),
            held: 0,
            next: 0,
            max: max.max(1),
            held_max,
            timeout,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One begins. It does not go on before [`Handshakes::make_ready`]. The answer has its number
    /// and, when there were too many, the one that made room.
    pub fn begin(&mut self, of: T, now: Nanos) -> (HandshakeId, Option<T>) {
        let crowded_out = (self.entries.len() >= self.max).then(|| self.take_oldest()).flatten();
        let id = HandshakeId(self.next);
        self.next = self.next.wrapping_add(1);
        let due = now.saturating_add(self.timeout);
        let entry = Entry { of, due, is_ready: false, held: 0, is_holder: false };
        self.entries.insert(id, entry);
        self.order.push_back((due, id));
        (id, crowded_out)
    }

    /// It holds so many bytes of memory now.
    pub fn holds(&mut self, id: HandshakeId, bytes: usize) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let before = std::mem::replace(&mut entry.held, bytes);
        self.held = self.held.saturating_sub(before).saturating_add(bytes);
        if bytes > 0 && !entry.is_holder {
            entry.is_holder = true;
            self.holders.push_back(id);
            self.forget_first_holders();
        }
    }

    /// When they hold more than they may: takes out the one that began to hold some the longest
    /// ago. To be called until there is none.
    pub fn take_excess(&mut self) -> Option<T> {
        if self.held <= self.held_max {
            return None;
        }
        self.forget_first_holders();
        let first = self.holders.pop_front()?;
        self.remove(first)
    }

    /// Those at the front of the line that hold nothing any more leave it.
    fn forget_first_holders(&mut self) {
        while let Some(first) = self.holders.front() {
            match self.entries.get_mut(first) {
                Some(entry) if entry.held > 0 => return,
                Some(entry) => entry.is_holder = false,
                None => {}
            }
            self.holders.pop_front();
        }
    }

    /// It can go on; said twice it still has one turn.
    pub fn make_ready(&mut self, id: HandshakeId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && !entry.is_ready
        {
            entry.is_ready = true;
            self.ready.push_back(id);
        }
    }

    /// Whether one can go on.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next that can go on, taken out of the line.
    pub fn next_ready(&mut self) -> Option<(HandshakeId, &mut T)> {
        while let Some(id) = self.ready.pop_front() {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.is_ready = false;
                // Looked up once more for the borrow checker's sake.
                return self.entries.get_mut(&id).map(|entry| (id, &mut entry.of));
            }
        }
        None
    }

    /// One that is there.
    pub fn get_mut(&mut self, id: HandshakeId) -> Option<&mut T> {
        self.entries.get_mut(&id).map(|entry| &mut entry.of)
    }

    /// It becomes another one with the same number, which has what is left of its time; `None` ends
    /// it.
    pub fn replace_with(&mut self, id: HandshakeId, change: impl FnOnce(T) -> Option<T>) {
        let Some(entry) = self.entries.remove(&id) else { return };
        let held = entry.held;
        match change(entry.of) {
            Some(of) => {
                self.entries.insert(id, Entry { of, ..entry });
            }
            None => self.held = self.held.saturating_sub(held),
        }
    }

    /// It has ended, in one way or the other.
    pub fn remove(&mut self, id: HandshakeId) -> Option<T> {
        let entry = self.entries.remove(&id)?;
        self.held = self.held.saturating_sub(entry.held);
        if self.entries.is_empty() {
            // What is left in the lines are the numbers of those that have ended.
            self.order.clear();
            self.ready.clear();
            self.holders.clear();
        }
        Some(entry.of)
    }

    /// When the first of them has had its time, if there is one. Exact as long as those that began
    /// before it have not ended; else the driver looks for nothing once.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        self.order.front().map(|(due, _)| *due)
    }

    /// Takes out one that has had its time.
    pub fn take_due(&mut self, now: Nanos) -> Option<T> {
        while let Some((due, id)) = self.order.front().copied() {
            match self.entries.get(&id) {
                // Its number was given anew, which takes 2^32 handshakes.
                Some(entry) if entry.due != due => {}
                Some(_) if due > now => return None,
                Some(_) => {
                    self.order.pop_front();
                    return self.remove(id);
                }
                None => {}
            }
            self.order.pop_front();
        }
        None
    }

    /// Takes out whichever began first.
    pub fn take_oldest(&mut self) -> Option<T> {
        self.take_due(Nanos::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whatever_ends_one_takes_it_from_those_that_are_open() {
        let counts = HandshakeCounts {
            begun: 100,
            done: 1,
            resumed: 1,
            failed: 2,
            timed_out: 4,
            crowded_out: 8,
            ended: 16,
        };
        assert_eq!(counts.open(), 100 - 31);
        assert_eq!(HandshakeCounts { begun: 0, ..counts }.open(), 0);
    }

    #[test]
    fn who_waits_the_longest_makes_room() {
        let mut handshakes = Handshakes::new(2, usize::MAX, 100);
        let (first, none) = handshakes.begin("first", 0);
        assert_eq!(none, None);
        handshakes.begin("second", 1);
        assert_eq!(handshakes.begin("third", 2).1, Some("first"));
        assert_eq!(handshakes.get_mut(first), None);
        assert_eq!(handshakes.len(), 2);
    }

    #[test]
    fn each_has_one_turn_in_the_order_in_which_it_can_go_on() {
        let mut handshakes = Handshakes::new(8, usize::MAX, 100);
        let ids: Vec<_> = (0..4).map(|number| handshakes.begin(number, 0).0).collect();
        for index in [2, 0, 2, 3] {
            handshakes.make_ready(ids[index]);
        }
        handshakes.remove(ids[0]);
        let mut turns = Vec::new();
        while let Some((_, number)) = handshakes.next_ready() {
            turns.push(*number);
        }
        assert_eq!(turns, [2, 3]);
        assert!(!handshakes.has_ready(), "each had its turn");
        handshakes.make_ready(ids[2]);
        assert!(handshakes.has_ready(), "it may go on again");
    }

    #[test]
    fn who_does_not_finish_in_time_is_taken_out_and_nobody_else() {
        let mut handshakes = Handshakes::new(8, usize::MAX, 100);
        let (_, _) = handshakes.begin("silent", 0);
        let (quick, _) = handshakes.begin("quick", 10);
        let (_, _) = handshakes.begin("later", 20);
        assert_eq!(handshakes.next_due(), Some(100));
        assert_eq!(handshakes.take_due(99), None);
        assert_eq!(handshakes.take_due(100), Some("silent"));
        assert_eq!(handshakes.remove(quick), Some("quick"));
        assert_eq!(handshakes.take_due(119), None);
        assert_eq!(handshakes.take_due(120), Some("later"));
        assert_eq!((handshakes.next_due(), handshakes.is_empty()), (None, true));
    }

    #[test]
    fn one_that_becomes_another_keeps_its_number_and_its_time() {
        let mut handshakes = Handshakes::new(8, usize::MAX, 100);
        let (id, _) = handshakes.begin("header", 0);
        handshakes.begin("other", 50);
        handshakes.make_ready(id);
        handshakes.replace_with(id, |before| (before == "header").then_some("handshake"));
        assert_eq!(handshakes.next_ready().map(|(id, of)| (id, *of)), Some((id, "handshake")));
        assert_eq!(handshakes.take_due(100), Some("handshake"));
        let (id, _) = handshakes.begin("gone", 60);
        handshakes.replace_with(id, |_| None);
        assert_eq!(handshakes.get_mut(id), None);
        assert_eq!(handshakes.len(), 1);
        assert_eq!(handshakes.take_due(160), Some("other"));
    }

    proptest! {
        /// Whatever happens: never more than allowed, every one ends once, and none that was not
        /// taken out for its time is older than its time.
        #[test]
        fn each_begins_once_and_ends_once(steps in proptest::collection::vec(0..5_u8, 0..200)) {
            let mut handshakes = Handshakes::new(5, usize::MAX, 7);
            let (mut begun, mut ended, mut ids) = (0_u64, 0_u64, Vec::new());
            for (now, step) in (0..).zip(steps) {
                match step {
                    0 | 1 => {
                        let (id, out) = handshakes.begin(now, now);
                        begun += 1;
                        ended += u64::from(out.is_some());
                        ids.push(id);
                    }
                    2 => ids.iter().for_each(|id| handshakes.make_ready(*id)),
                    3 => {
                        let removed = ids.pop().and_then(|id| handshakes.remove(id));
                        ended += u64::from(removed.is_some());
                    }
                    _ => {
                        while let Some(started) = handshakes.take_due(now) {
                            prop_assert!(started + 7 <= now);
                            ended += 1;
                        }
                        let oldest = handshakes.entries.values().map(|entry| entry.of).min();
                        prop_assert!(oldest.is_none_or(|started| started + 7 > now));
                    }
                }
                prop_assert!(handshakes.len() <= 5);
                prop_assert_eq!(begun - ended, handshakes.len() as u64);
                let ready = handshakes.entries.values().filter(|entry| entry.is_ready).count();
                prop_assert!(handshakes.ready.len() >= ready);
            }
        }
    }

    #[test]
    fn who_holds_memory_the_longest_makes_room_for_that_of_others() {
        let mut handshakes = Handshakes::new(8, 100, 1_000);
        let ids: Vec<_> = (0..5).map(|number| handshakes.begin(number, 0).0).collect();
        for (index, bytes) in [(3, 40), (1, 40), (2, 20)] {
            handshakes.holds(ids[index], bytes);
        }
        assert_eq!(handshakes.take_excess(), None, "as many as may be");
        handshakes.holds(ids[3], 0);
        handshakes.holds(ids[4], 90);
        assert_eq!(handshakes.take_excess(), Some(1), "3 holds nothing any more");
        assert_eq!(handshakes.take_excess(), Some(2));
        assert_eq!(handshakes.take_excess(), None);
        handshakes.holds(ids[3], 20);
        assert_eq!(handshakes.take_excess(), Some(4), "0 has never held any");
        handshakes.replace_with(ids[3], |_| None);
        handshakes.holds(ids[0], 100);
        assert_eq!((handshakes.take_excess(), handshakes.len()), (None, 1));
        handshakes.holds(ids[0], 101);
        assert_eq!(handshakes.take_excess(), Some(0), "also the only one");
    }

    proptest! {
        /// Whatever happens, what is left holds no more than it may, and who makes room held some.
        #[test]
        fn what_all_hold_is_bounded_and_counted(
            steps in proptest::collection::vec((0..4_u8, 0..20_u32, 0..60_usize), 1..300),
        ) {
            let mut handshakes = Handshakes::new(16, 200, 1_000);
            let mut held = std::collections::BTreeMap::new();
            for (kind, number, bytes) in steps {
                let id = HandshakeId(number);
                match kind {
                    0 => {
                        let (new, out) = handshakes.begin(handshakes.next, 0);
                        held.insert(new.0, 0);
                        out.map(|out| held.remove(&out));
                    }
                    1 => {
                        handshakes.remove(id);
                        held.remove(&number);
                    }
                    _ => {
                        handshakes.holds(id, bytes);
                        held.entry(number).and_modify(|held| *held = bytes);
                        while let Some(out) = handshakes.take_excess() {
                            prop_assert!(held.remove(&out).is_some_and(|held| held > 0));
                        }
                    }
                }
                let sum: usize = held.values().sum();
                prop_assert_eq!(handshakes.held, sum);
                prop_assert!(sum <= 200);
                let stale = handshakes.holders.len().saturating_sub(held.len());
                prop_assert!(sum == 0 || stale <= 300, "the line is cleared");
            }
        }
    }
}
