//! Random events: asks, gifts, ends and deaths in any order, against a plain account of every task.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Ask {
        priority: u8,
        slot: Option<u16>,
        delay_ms: u32,
    },
    /// Gives what can be given; every so many finds no room.
    Give {
        no_room: bool,
    },
    /// A worker starts its next task.
    Start(usize),
    /// A worker finishes its started task, with so many results.
    Finish(usize, u8),
    /// The callback of a worker's started task returns without an end; whether that is heard of at
    /// once.
    Defer(usize, bool),
    /// It is heard of how many callbacks of a worker are over.
    Hear(usize),
    /// A deferred task is over.
    FinishDeferred(usize),
    Expose(usize),
    Recall(usize),
    Leave(usize),
    /// A worker dies, and another begins.
    Die(usize, bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let worker = || 0_usize..4;
    let slot = prop_oneof![3 => Just(None), 1 => (0_u16..5).prop_map(Some)];
    let delay = prop_oneof![4 => Just(0), 1 => 1_u32..5];
    prop_oneof![
        6 => (0_u8..3, slot, delay)
            .prop_map(|(priority, slot, delay_ms)| Step::Ask { priority, slot, delay_ms }),
        4 => prop::bool::weighted(0.1).prop_map(|no_room| Step::Give { no_room }),
        5 => worker().prop_map(Step::Start),
        5 => (worker(), 0_u8..3).prop_map(|(worker, results)| Step::Finish(worker, results)),
        2 => (worker(), any::<bool>()).prop_map(|(worker, heard)| Step::Defer(worker, heard)),
        1 => worker().prop_map(Step::Hear),
        2 => worker().prop_map(Step::FinishDeferred),
        1 => worker().prop_map(Step::Expose),
        1 => worker().prop_map(Step::Recall),
        1 => worker().prop_map(Step::Leave),
        1 => (worker(), prop::bool::weighted(0.2)).prop_map(|(worker, bad)| Step::Die(worker, bad)),
        1 => (0_u64..4_000_000).prop_map(Step::Pass),
    ]
}

/// What a worker was given: number and body, in order; how many of them it has started.
#[derive(Default)]
struct Fake {
    slot: u16,
    given: VecDeque<(u64, u32)>,
    deferred: Vec<(u64, u32)>,
    /// The last whose callback is over, and of which that was heard.
    called: u64,
    heard: u64,
    started: usize,
    /// Starts begin at the first of its numbers.
    positions: u64,
    is_leaving: bool,
}

struct World {
    queue: TaskQueue<u32>,
    most: u16,
    fakes: BTreeMap<u32, Fake>,
    next_lane: u32,
    now: Nanos,
    next_task: u32,
    /// How often each open task was started by a worker that died.
    open: BTreeMap<u32, u16>,
    exposed: BTreeSet<u32>,
    over: BTreeSet<u32>,
}

impl World {
    fn new(most: u16) -> Self {
        let policy =
            if most == 0 { TaskCrashPolicy::Fail } else { TaskCrashPolicy::Redeliver(most) };
        let settings = TaskQueueSettings { tasks_max: 20, ..settings(policy) };
        let mut world = Self {
            queue: TaskQueue::new(settings),
            most,
            fakes: BTreeMap::new(),
            next_lane: 0,
            now: 0,
            next_task: 0,
            open: BTreeMap::new(),
            exposed: BTreeSet::new(),
            over: BTreeSet::new(),
        };
        (0..4).for_each(|slot| world.begin(slot));
        world
    }

    fn begin(&mut self, slot: u16) {
        let number = self.next_lane;
        self.next_lane += 1;
        self.queue.worker_serves(lane(number), Slot(slot));
        self.fakes.insert(number, Fake { slot, ..Fake::default() });
    }

    fn pick(&self, pick: usize) -> u32 {
        *self.fakes.keys().nth(pick % self.fakes.len()).unwrap()
    }

    fn end(&mut self, task: u32) {
        assert!(self.open.remove(&task).is_some(), "{task} was not open");
        assert!(self.over.insert(task), "{task} was over");
    }

    fn ask(&mut self, priority: u8, slot: Option<u16>, delay_ms: u32) {
        let target = slot.map_or(TaskTarget::Any, |slot| TaskTarget::Slot(Slot(slot)));
        let priority = Priority::of_code(priority).unwrap();
        let terms = TaskTerms { target, priority, delay_ms, wants_result: true };
        let number = self.next_task;
        self.next_task += 1;
        let is_full = self.open.len() == 20;
        match self.queue.ask(asked(number.into()), terms, number, self.now) {
            Ok(_) => {
                assert!(!is_full && slot.is_none_or(|slot| slot < 4));
                self.open.insert(number, 0);
            }
            Err(TaskRefusal::QueueFull) => assert!(is_full),
            Err(refusal) => assert!(slot == Some(4), "{refusal:?}"),
        }
    }

    fn give(&mut self, no_room: bool) {
        while let Some(gift) = self.queue.next_gift(self.now) {
            let body = *self.queue.body(gift.task).unwrap();
            assert_eq!(gift.attempt, self.open[&body], "how often it was started before");
            if no_room {
                self.queue.no_room(&gift);
                self.queue.room_freed(gift.lane);
                return;
            }
            let fake = self.fakes.get_mut(&gift.lane.0).unwrap();
            assert!(!fake.is_leaving);
            assert!(fake.given.len() < 4, "more than may be at once");
            assert!(fake.given.iter().all(|(_, other)| *other != body));
            self.queue.written(&gift, gift.seq * 64);
            fake.given.push_back((gift.seq, body));
        }
    }

    fn start(&mut self, number: u32) {
        let fake = self.fakes.get_mut(&number).unwrap();
        if fake.started < fake.given.len() {
            fake.positions = fake.given[fake.started].0 * 64 + 1;
            fake.started += 1;
        }
    }

    fn finish(&mut self, number: u32, results: u8) {
        let fake = self.fakes.get_mut(&number).unwrap();
        let (started, positions) = (fake.started, fake.positions);
        let Some((seq, body)) = fake.given.front().copied() else { return };
        if started == 0 {
            assert!(self.queue.finish(lane(number), seq, positions).is_err(), "not started");
            return;
        }
        fake.given.pop_front();
        fake.started -= 1;
        fake.called = seq;
        for _ in 0..results {
            let result = self.queue.result(lane(number), seq, positions).unwrap();
            assert_eq!(result.asked, asked(body.into()));
        }
        let (given_back, _) = self.queue.finish(lane(number), seq, positions).unwrap();
        assert_eq!(given_back, body);
        self.end(body);
    }

    fn defer(&mut self, number: u32, is_heard: bool) {
        let fake = self.fakes.get_mut(&number).unwrap();
        if fake.started > 0 {
            let (seq, body) = fake.given.pop_front().unwrap();
            fake.started -= 1;
            fake.deferred.push((seq, body));
            fake.called = seq;
            if is_heard {
                self.hear(number);
            }
        }
    }

    fn hear(&mut self, number: u32) {
        let fake = self.fakes.get_mut(&number).unwrap();
        fake.heard = fake.called;
        self.queue.freed(lane(number), fake.called * 64 + 1);
    }

    fn finish_deferred(&mut self, number: u32) {
        let fake = self.fakes.get_mut(&number).unwrap();
        if !fake.deferred.is_empty() {
            let (seq, body) = fake.deferred.remove(fake.deferred.len() / 2);
            let over = self.queue.finish(lane(number), seq, fake.positions);
            assert_eq!(over.unwrap().0, body);
            self.end(body);
        }
    }

    fn expose(&mut self, number: u32) {
        let fake = &self.fakes[&number];
        if fake.started > 0 {
            let (seq, body) = fake.given[0];
            self.queue.expose(lane(number), seq, fake.positions).unwrap();
            self.exposed.insert(body);
        }
    }

    fn recall(&mut self, number: u32, leave: bool) {
        let fake = self.fakes.get_mut(&number).unwrap();
        fake.given.truncate(fake.started);
        if leave {
            fake.is_leaving = true;
            self.queue.leave(lane(number), fake.positions);
        } else {
            self.queue.recalled(lane(number), fake.positions);
        }
    }

    fn die(&mut self, number: u32, is_condemned: bool) {
        let fake = self.fakes.remove(&number).unwrap();
        let mut over = Vec::new();
        self.queue.worker_died(lane(number), fake.positions, is_condemned, &mut over);
        let settled: BTreeSet<u32> = over.iter().map(|settled| settled.body).collect();
        assert_eq!(settled.len(), over.len(), "each once");
        let started = fake.started + fake.deferred.len();
        for (index, (_, body)) in fake.deferred.iter().chain(&fake.given).enumerate() {
            let is_started = index < started;
            let attempts = self.open.get_mut(body).unwrap();
            if is_started && !is_condemned {
                *attempts += 1;
            }
            let is_over = is_condemned
                || (is_started && (*attempts >= self.most || self.exposed.contains(body)));
            assert_eq!(settled.contains(body), is_over, "{body}");
            if is_over {
                self.end(*body);
            }
        }
        self.begin(fake.slot);
    }

    fn check(&self) {
        let counts = self.queue.counts();
        assert_eq!(self.queue.len(), self.open.len());
        assert_eq!(counts.open(), self.open.len() as u64);
        assert_eq!(counts.finished + counts.failed, self.over.len() as u64);
        let has = |fake: &Fake| fake.given.len() + fake.deferred.len();
        let in_hand: usize = self.fakes.values().map(has).sum();
        assert!(in_hand <= self.open.len());
        for (number, fake) in &self.fakes {
            let unheard = fake.deferred.iter().filter(|(seq, _)| *seq > fake.heard).count();
            let is_busy = fake.given.len() + unheard > 0;
            assert_eq!(self.queue.awaits_freed(lane(*number)), is_busy, "{number}");
        }
    }

    /// Whoever is left is run to the end: no task is forgotten.
    fn settle(&mut self) {
        self.now += 10_000_000;
        for number in self.fakes.keys().copied().collect::<Vec<_>>() {
            if self.fakes[&number].is_leaving {
                self.die(number, false);
            }
        }
        for _ in 0..200 {
            self.give(false);
            for number in self.fakes.keys().copied().collect::<Vec<_>>() {
                self.finish_deferred(number);
                self.start(number);
                self.finish(number, 0);
            }
        }
        assert_eq!(self.open, BTreeMap::new(), "every task comes to its end");
        assert!(self.queue.is_empty() && self.queue.is_idle());
    }
}

proptest! {
    /// What a dead worker had in hand is given again or told to have failed, and is counted.
    #[test]
    fn s13_every_task_has_one_end_whoever_dies(most in 0_u16..4, steps in vec(step(), 0..200)) {
        let mut world = World::new(most);
        for step in steps {
            match step {
                Step::Ask { priority, slot, delay_ms } => world.ask(priority, slot, delay_ms),
                Step::Give { no_room } => world.give(no_room),
                Step::Start(pick) => world.start(world.pick(pick)),
                Step::Finish(pick, results) => world.finish(world.pick(pick), results),
                Step::Defer(pick, is_heard) => world.defer(world.pick(pick), is_heard),
                Step::Hear(pick) => world.hear(world.pick(pick)),
                Step::FinishDeferred(pick) => world.finish_deferred(world.pick(pick)),
                Step::Expose(pick) => world.expose(world.pick(pick)),
                Step::Recall(pick) => world.recall(world.pick(pick), false),
                Step::Leave(pick) => world.recall(world.pick(pick), true),
                Step::Die(pick, is_condemned) => world.die(world.pick(pick), is_condemned),
                Step::Pass(time) => world.now += time,
            }
            world.check();
        }
        world.settle();
    }
}
