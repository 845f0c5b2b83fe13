//! A small fake world around the supervisor: it carries out actions as the driver, the master and
//! the kernel would, and objects to every action that makes no sense in it. It keeps its own
//! account of every process and never looks into the supervisor.

mod reloads;
mod size;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use super::super::ReloadOutcome;
use super::*;
use crate::ids::Slot;

/// What is true of a key, as the world sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    MemoryAsked,
    /// Memory was made; only while the supervisor answers that.
    MemoryMade,
    ForkAsked,
    /// Only while the supervisor answers that.
    ForkFailed,
    Booting,
    Serving,
    Leaving,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Fake {
    pub(super) state: State,
    pub(super) killed: Option<KillCause>,
    took_delivery: bool,
    /// Told to leave by a shutdown.
    told: bool,
    /// Asked to be replaced.
    leave_asked: bool,
    /// The code that it runs.
    version: u32,
}

impl Fake {
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, State::Booting | State::Serving | State::Leaving)
    }

    fn is_starting(&self) -> bool {
        !matches!(self.state, State::Serving | State::Leaving)
    }
}

pub(super) struct World {
    pub(super) supervisor: Supervisor,
    pub(super) settings: GroupSettings,
    /// How many slots are to be filled.
    wanted: u16,
    resized_ever: bool,
    /// The clock, which may jump, and the latest time it showed.
    pub(super) now: Millis,
    seen: Millis,
    pub(super) fakes: BTreeMap<ProcessKey, Fake>,
    /// Every key that ever was and is no more.
    pub(super) gone: Vec<ProcessKey>,
    newest: BTreeMap<Slot, u32>,
    last_fork: BTreeMap<Slot, Millis>,
    /// When a start was last given up before its fork.
    last_given_up: BTreeMap<Slot, Millis>,
    /// Slots whose process died after it had taken a delivery and has no successor under way.
    owed: BTreeSet<Slot>,
    failed_boots: BTreeSet<Slot>,
    ever_ready: bool,
    told_nobody_boots: bool,
    pub(super) ending: bool,
    pub(super) finished: bool,
    reload_wanted: bool,
    pub(super) reload_runs: bool,
    reload_ever: bool,
    served_since_reload: BTreeSet<Slot>,
    /// What was told of the slots of the reload whose end is told next.
    reload_slots: Option<Vec<(Slot, bool)>>,
    pub(super) outcomes: Vec<ReloadOutcome>,
    pub(super) forks: usize,
    /// Every reload has code of its own. The newest one, and the one that was accepted last.
    newest_version: u32,
    accepted_version: u32,
    /// Everything that was told and what was answered, in order.
    pub(super) history: Vec<Told>,
}

/// An event, when it was told, and what was to be done.
pub(super) struct Told {
    pub(super) at: Millis,
    pub(super) event: Event,
    pub(super) out: Vec<SupervisorAction>,
}

/// How processes of the world behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    /// As they are told, at once.
    Good,
    /// They leave only when they are killed.
    Stays,
    /// The same, and none becomes ready.
    NeitherBootsNorLeaves,
}

impl World {
    pub(super) fn start(settings: GroupSettings) -> Self {
        let mut world = Self::new(settings);
        world.begin();
        world
    }

    /// Nothing has started.
    pub(super) fn new(settings: GroupSettings) -> Self {
        Self {
            supervisor: Supervisor::new(Settings {
                event: settings.clone(),
                ..Settings::default()
            }),
            wanted: settings.slots,
            resized_ever: false,
            settings,
            now: 1_000,
            seen: 1_000,
            fakes: BTreeMap::new(),
            gone: Vec::new(),
            newest: BTreeMap::new(),
            last_fork: BTreeMap::new(),
            last_given_up: BTreeMap::new(),
            owed: BTreeSet::new(),
            failed_boots: BTreeSet::new(),
            ever_ready: false,
            told_nobody_boots: false,
            ending: false,
            finished: false,
            reload_wanted: false,
            reload_runs: false,
            reload_ever: false,
            served_since_reload: BTreeSet::new(),
            reload_slots: None,
            outcomes: Vec::new(),
            forks: 0,
            newest_version: 1,
            accepted_version: 1,
            history: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        let mut out = Vec::new();
        self.supervisor.start(self.now, &mut out);
        self.carry_out(&Event::Tick, out);
    }

    /// An event happens: the world changes first, then the supervisor hears of it.
    pub(super) fn happen(&mut self, event: Event) {
        self.seen = self.seen.max(self.now);
        if let Event::MemoryFailed(key) | Event::ForkFailed(key) = &event {
            self.last_given_up.insert(key.slot, self.seen);
        }
        let mut exited = None;
        let mut answer_due = false;
        match &event {
            Event::MemoryReady(key) => self.set(*key, State::MemoryAsked, State::MemoryMade),
            Event::MemoryFailed(key) => self.remove(*key),
            Event::Forked(key) => self.set(*key, State::ForkAsked, State::Booting),
            Event::ForkFailed(key) => self.set(*key, State::ForkAsked, State::ForkFailed),
            Event::TookDelivery(key) => self.fakes.get_mut(key).unwrap().took_delivery = true,
            Event::LeaveRequested(key, _) => self.fakes.get_mut(key).unwrap().leave_asked = true,
            Event::Exited(key, _) => {
                exited = self.fakes.get(key).copied();
                let at_work = |fake: Fake| fake.state == State::Serving && fake.took_delivery;
                let is_wanted = key.slot.0 < self.wanted;
                if exited.is_some_and(at_work) && is_wanted && !self.has_start(key.slot) {
                    self.owed.insert(key.slot);
                }
                self.remove(*key);
            }
            Event::ReloadRequested => {
                answer_due = self.ending;
                self.reload_wanted = true;
                self.reload_ever = true;
            }
            Event::ShutdownRequested { .. } => self.ending = true,
            _ => {}
        }
        let out = self.tell(event.clone());
        if let Event::Exited(key, exit) = event {
            self.check_death(key, exit, exited.unwrap(), &out);
        } else {
            assert!(!out.iter().any(|action| matches!(action, SupervisorAction::Died { .. })));
        }
        if answer_due {
            assert_eq!(out, [SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::ShuttingDown)]);
        }
        self.carry_out(&event, out);
    }

    /// An event that is not true (any more): nothing but memory may be touched.
    pub(super) fn pretend(&mut self, event: Event) {
        // Time may have made something due; that is not the point here.
        self.happen(Event::Tick);
        let out = self.tell(event);
        assert!(
            out.iter().all(|action| matches!(action, SupervisorAction::ReleaseMemory(key)
                if !self.fakes.contains_key(key))),
            "{out:?}"
        );
    }

    fn tell(&mut self, event: Event) -> Vec<SupervisorAction> {
        self.seen = self.seen.max(self.now);
        let mut out = Vec::new();
        self.supervisor.on(event.clone(), self.now, &mut out);
        self.history.push(Told { at: self.now, event, out: out.clone() });
        out
    }

    fn set(&mut self, key: ProcessKey, from: State, to: State) {
        let fake = self.fakes.get_mut(&key).unwrap();
        assert_eq!(fake.state, from);
        fake.state = to;
    }

    fn remove(&mut self, key: ProcessKey) {
        self.fakes.remove(&key).unwrap();
        self.gone.push(key);
    }

    fn has_start(&self, slot: Slot) -> bool {
        self.fakes.iter().any(|(key, fake)| key.slot == slot && fake.is_starting())
    }

    fn find(&self, slot: Slot, state: State) -> Option<ProcessKey> {
        let mut found =
            self.fakes.iter().filter(|(key, fake)| key.slot == slot && fake.state == state);
        let first = found.next().map(|(key, _)| *key);
        assert!(found.next().is_none(), "two {state:?} in slot {slot}");
        first
    }

    fn carry_out(&mut self, event: &Event, out: Vec<SupervisorAction>) {
        for action in out {
            assert!(
                !self.finished
                    || matches!(action, SupervisorAction::ReloadFinished(..))
                    || matches!(action, SupervisorAction::ReleaseMemory(_)),
                "{action:?} after Finished"
            );
            self.carry_out_one(event, action);
        }
        self.check();
    }

    fn carry_out_one(&mut self, event: &Event, action: SupervisorAction) {
        match action {
            SupervisorAction::NeedMemory(key) => self.need_memory(key),
            SupervisorAction::Fork(key, code) => {
                assert!(!self.ending, "fork after shutdown");
                self.set(key, State::MemoryMade, State::ForkAsked);
                self.fakes.get_mut(&key).unwrap().version = self.version_of(code);
                self.forks += 1;
                if let Some(last) = self.last_fork.insert(key.slot, self.seen) {
                    assert!(self.seen - last >= self.settings.fork_interval_ms, "forks too fast");
                }
            }
            SupervisorAction::ReleaseMemory(key) => {
                let state = self.fakes.get(&key).unwrap().state;
                assert!(matches!(state, State::MemoryMade | State::ForkFailed), "{state:?}");
                self.remove(key);
            }
            SupervisorAction::Serve { serve, leave } => self.serve(event, serve, leave),
            SupervisorAction::Leave(key) if !self.ending => self.retire(key),
            SupervisorAction::Resized(EVENT, wanted) => self.resized(wanted),
            SupervisorAction::Leave(key) => {
                let fake = self.fakes.get_mut(&key).unwrap();
                assert!(fake.state == State::Serving && !fake.told && fake.killed.is_none());
                fake.told = true;
            }
            SupervisorAction::Kill(key, cause) => {
                let fake = self.fakes.get_mut(&key).unwrap();
                assert!(fake.is_alive() && fake.killed.is_none(), "kill of {key}: {fake:?}");
                fake.killed = Some(cause);
            }
            SupervisorAction::Died { .. } | SupervisorAction::IntensityExceeded { .. } => {}
            SupervisorAction::Recycles(key, _) => {
                let fake = self.fakes.get(&key).unwrap();
                assert!(fake.state == State::Serving && fake.killed.is_none(), "{key}: {fake:?}");
            }
            SupervisorAction::NobodyBoots(EVENT) => {
                assert!(!self.ever_ready && !self.told_nobody_boots);
                let failed = self.failed_boots.len() == usize::from(self.wanted);
                assert!(failed || self.resized_ever);
                self.told_nobody_boots = true;
            }
            SupervisorAction::BackOff { kind: EVENT, slot, failures, retry_after_ms } => {
                assert!(!self.ending && failures > 0);
                assert!(retry_after_ms <= self.settings.back_off_max_ms);
                assert!(slot.0 < self.wanted);
                self.failed_boots.insert(slot);
            }
            SupervisorAction::ReloadStarted(EVENT) => {
                assert!(self.reload_wanted && !self.reload_runs);
                self.reload_wanted = false;
                self.reload_runs = true;
                self.served_since_reload.clear();
                self.newest_version += 1;
            }
            SupervisorAction::ReloadSlots(EVENT, slots) => self.reload_slots(slots),
            SupervisorAction::ReloadFinished(EVENT, outcome) => {
                self.reload_finished(event, outcome)
            }
            SupervisorAction::Finished => {
                assert!(self.ending && !self.finished);
                assert!(!self.fakes.values().any(Fake::is_alive));
                self.finished = true;
            }
            action => panic!("{action:?} is not for workers"),
        }
    }

    fn need_memory(&mut self, key: ProcessKey) {
        assert!(!self.ending, "start after shutdown");
        assert!(key.slot.0 < self.wanted);
        let newest = self.newest.insert(key.slot, key.generation.0).unwrap_or(0);
        assert_eq!(key.generation.0, newest + 1);
        self.owed.remove(&key.slot);
        let state = State::MemoryAsked;
        let fake = Fake {
            state,
            killed: None,
            took_delivery: false,
            told: false,
            leave_asked: false,
            version: 0,
        };
        self.fakes.insert(key, fake);
    }

    fn serve(&mut self, event: &Event, serve: ProcessKey, leave: Option<ProcessKey>) {
        assert!(!self.ending);
        assert_eq!(*event, Event::Ready(serve));
        assert_eq!(leave, self.find(serve.slot, State::Serving));
        if let Some(leave) = leave {
            assert_eq!(self.find(serve.slot, State::Leaving), None, "two leaving");
            self.set(leave, State::Serving, State::Leaving);
        }
        assert!(self.fakes.get(&serve).unwrap().killed.is_none());
        self.set(serve, State::Booting, State::Serving);
        self.ever_ready = true;
        self.served_since_reload.insert(serve.slot);
    }

    fn check_death(&self, key: ProcessKey, exit: Exit, fake: Fake, out: &[SupervisorAction]) {
        let Some(SupervisorAction::Died { worker, exit: told, killed, took_delivery, expected }) =
            out.first()
        else {
            panic!("no Died for {key}: {out:?}");
        };
        assert_eq!(
            (*worker, *told, *killed, *took_delivery),
            (key, exit, fake.killed, fake.took_delivery)
        );
        let deaths =
            out.iter().filter(|action| matches!(action, SupervisorAction::Died { .. })).count();
        assert_eq!(deaths, 1);
        if *expected {
            assert!(fake.killed.is_some() || exit == Exit::Code(0));
        }
    }

    /// What holds after every step.
    fn check(&self) {
        for slot in (0..self.settings.slots.max(self.settings.slots_max)).map(Slot) {
            let starting =
                self.fakes.iter().filter(|(key, fake)| key.slot == slot && fake.is_starting());
            assert!(starting.count() <= 1, "two starting in slot {slot}");
            self.find(slot, State::Serving);
            self.find(slot, State::Leaving);
        }
        for (key, fake) in &self.fakes {
            let answered = !matches!(fake.state, State::MemoryMade | State::ForkFailed);
            assert!(answered, "memory of {key} leaked");
        }
        self.check_succession();
        self.check_pace();
        let all_failed = self.failed_boots.len() == usize::from(self.wanted);
        assert!(
            !all_failed || self.resized_ever || self.ever_ready || self.told_nobody_boots,
            "nobody was told"
        );
        if !self.reload_ever && !self.resized_ever {
            let tokens = usize::from(self.settings.recycle_at_once.max(1));
            assert!(self.count_recycling() <= tokens, "more recycle than tokens allow");
        }
        if let Some(deadline) = self.supervisor.deadline() {
            assert!(deadline > self.seen, "a deadline that is over: busy loop");
        }
        let alive =
            self.fakes.values().any(|fake| fake.is_alive() || fake.state == State::ForkAsked);
        assert_eq!(self.finished, self.ending && !alive, "Finished when all are gone");
    }

    /// A slot whose process died at its work is refilled when the fork interval since its last fork
    /// is over, whatever its earlier processes did: so it is never empty for longer than that and
    /// the boot of its successor.
    fn check_succession(&self) {
        if self.ending {
            return;
        }
        for slot in &self.owed {
            let last = self.last_given_up.get(slot).max(self.last_fork.get(slot));
            let due = last.unwrap() + self.settings.fork_interval_ms;
            assert!(due > self.seen, "slot {slot} is empty and could be filled");
            let deadline = self.supervisor.deadline();
            assert!(deadline.is_some_and(|at| at <= due), "{slot}: {deadline:?}, due at {due}");
        }
    }

    /// Slots with a process beyond the serving one; without reloads these are recycling.
    fn count_recycling(&self) -> usize {
        let is_recycling = |slot: &Slot| {
            let starts =
                self.fakes.iter().any(|(key, fake)| key.slot == *slot && fake.is_starting());
            self.find(*slot, State::Leaving).is_some()
                || starts && self.find(*slot, State::Serving).is_some()
        };
        (0..self.settings.slots).map(Slot).filter(is_recycling).count()
    }

    /// Whether every slot has a serving process that was not killed.
    pub(super) fn is_at_capacity(&self) -> bool {
        (0..self.wanted).map(Slot).all(|slot| {
            let serving = self.find(slot, State::Serving);
            serving.and_then(|key| self.fakes.get(&key)).is_some_and(|fake| fake.killed.is_none())
        })
    }

    /// From now on everything works and everybody does what they are told, at once; time passes
    /// only from deadline to deadline. Returns when nothing is left to do.
    pub(super) fn behave(&mut self) {
        self.go_on(Manners::Good, |_| false);
        self.check_settled();
    }

    /// The same until something is so, or nothing is left to do.
    pub(super) fn go_on(&mut self, manners: Manners, is_over: impl Fn(&Self) -> bool) {
        for _ in 0..10_000 {
            if is_over(self) {
                return;
            }
            let next = self.fakes.iter().find_map(|(key, fake)| match fake.state {
                State::MemoryAsked => Some(Event::MemoryReady(*key)),
                State::ForkAsked => Some(Event::Forked(*key)),
                _ if fake.killed.is_some() => Some(Event::Exited(*key, SIGKILL)),
                State::Booting if manners != Manners::NeitherBootsNorLeaves => {
                    Some(Event::Ready(*key))
                }
                _ if manners != Manners::Good => None,
                State::Leaving => Some(Event::Exited(*key, Exit::Code(0))),
                State::Serving if fake.told => Some(Event::Exited(*key, Exit::Code(0))),
                _ => None,
            });
            if let Some(event) = next {
                self.happen(event);
            } else if let Some(deadline) = self.supervisor.deadline() {
                self.now = deadline;
                self.happen(Event::Tick);
            } else {
                return;
            }
        }
        panic!("does not settle: {:?}", self.fakes);
    }

    /// Whether a reload runs, or one that was asked for has not begun.
    pub(super) const fn has_reloads(&self) -> bool {
        self.reload_runs || self.reload_wanted
    }

    fn check_settled(&self) {
        assert!(!self.has_reloads(), "a reload request without an answer");
        if self.ending {
            assert!(self.finished && self.fakes.is_empty());
        } else {
            assert!(self.is_at_capacity());
            assert_eq!(self.fakes.len(), usize::from(self.wanted));
            assert!(!self.fakes.values().any(|fake| fake.leave_asked), "a request forgotten");
        }
    }
}
