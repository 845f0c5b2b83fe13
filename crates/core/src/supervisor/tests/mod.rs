//! Rule by rule, with the events spelled out; `properties` drives random events.

mod behind;
mod boot;
mod ends;
mod properties;
mod recycle;
mod reload;
mod renewal;
mod rows;
mod shutdown;
mod single;
mod size;
mod world;

use super::{
    Code, Event, Exit, GroupSettings, KillCause, LeaveReason, Settings, Supervisor,
    SupervisorAction,
};
use crate::Millis;
use crate::ids::{ProcessKey, ProcessKind};

const EVENT: ProcessKind = ProcessKind::Event;

const SIGKILL: Exit = Exit::Signal { signal: 9, core_dumped: false };
const SEGFAULT: Exit = Exit::Signal { signal: 11, core_dumped: true };

fn key(slot: u16, generation: u32) -> ProcessKey {
    ProcessKey::event(slot, generation)
}

fn serve(slot: u16, generation: u32, leave: Option<u32>) -> SupervisorAction {
    let leave = leave.map(|generation| key(slot, generation));
    SupervisorAction::Serve { serve: key(slot, generation), leave }
}

/// A supervisor, a clock that stands still unless told, and what was answered last.
struct Case {
    supervisor: Supervisor,
    now: Millis,
    /// Who got a token, in order. Most rules say nothing of it.
    recycled: Vec<(ProcessKey, LeaveReason)>,
    /// What became of the slots of the reload that ended last.
    reloaded: Vec<(u16, bool)>,
}

impl Case {
    /// Not started.
    fn new(workers: u16) -> Self {
        Self::with(GroupSettings { slots: workers, ..GroupSettings::default() })
    }

    fn with(settings: GroupSettings) -> Self {
        Self::of(Settings { event: settings, ..Settings::default() })
    }

    fn of(settings: Settings) -> Self {
        let supervisor = Supervisor::new(settings);
        Self { supervisor, now: 1_000, recycled: Vec::new(), reloaded: Vec::new() }
    }

    /// All slots serve their first process, long enough ago that the fork interval is over.
    fn serving(workers: u16) -> Self {
        Self::serving_with(GroupSettings { slots: workers, ..GroupSettings::default() })
    }

    fn serving_with(settings: GroupSettings) -> Self {
        let workers = settings.slots;
        let mut case = Self::with(settings);
        case.start();
        for slot in 0..workers {
            case.boot(slot, 1);
        }
        case.pass(1_000);
        case
    }

    fn start(&mut self) -> Vec<SupervisorAction> {
        let mut out = Vec::new();
        self.supervisor.start(self.now, &mut out);
        out
    }

    fn on(&mut self, event: Event) -> Vec<SupervisorAction> {
        let mut out = Vec::new();
        self.supervisor.on(event, self.now, &mut out);
        out.retain(|action| match action {
            SupervisorAction::Recycles(key, reason) => {
                self.recycled.push((*key, *reason));
                false
            }
            SupervisorAction::ReloadSlots(_, slots) => {
                self.reloaded = slots.iter().map(|(slot, is_new)| (slot.0, *is_new)).collect();
                false
            }
            _ => true,
        });
        out
    }

    /// Memory and fork of a start that was asked for.
    fn fork(&mut self, slot: u16, generation: u32) {
        self.fork_of(slot, generation);
    }

    /// The same; returns which code was asked for.
    fn fork_of(&mut self, slot: u16, generation: u32) -> Code {
        let key = key(slot, generation);
        let out = self.on(Event::MemoryReady(key));
        let [SupervisorAction::Fork(forked, code)] = out[..] else { panic!("no fork: {out:?}") };
        assert_eq!(forked, key);
        assert_eq!(self.on(Event::Forked(key)), []);
        code
    }

    /// The same up to ready; returns what ready led to.
    fn boot(&mut self, slot: u16, generation: u32) -> Vec<SupervisorAction> {
        self.fork(slot, generation);
        self.on(Event::Ready(key(slot, generation)))
    }

    /// Time passes without anything to do.
    fn pass(&mut self, millis: Millis) {
        self.now += millis;
        assert_eq!(self.on(Event::Tick), []);
    }

    /// Sleeps until the deadline, which has to be `millis` away.
    fn wake_after(&mut self, millis: Millis) -> Vec<SupervisorAction> {
        assert_eq!(self.supervisor.deadline(), Some(self.now + millis));
        self.now += millis - 1;
        assert_eq!(self.on(Event::Tick), [], "too early");
        self.now += 1;
        self.on(Event::Tick)
    }

    fn exited(&mut self, slot: u16, generation: u32, exit: Exit) -> Vec<SupervisorAction> {
        let mut out = self.on(Event::Exited(key(slot, generation), exit));
        assert!(matches!(out.first(), Some(SupervisorAction::Died { worker, .. })
            if *worker == key(slot, generation)));
        out.remove(0);
        out
    }

    fn leave_requested(&mut self, slot: u16, generation: u32) -> Vec<SupervisorAction> {
        let key = key(slot, generation);
        self.on(Event::LeaveRequested(key, LeaveReason::MaxRequests))
    }

    fn is_settled(&self) -> bool {
        self.supervisor.deadline().is_none()
    }
}

fn need(slot: u16, generation: u32) -> SupervisorAction {
    SupervisorAction::NeedMemory(key(slot, generation))
}

fn kill(slot: u16, generation: u32, cause: KillCause) -> SupervisorAction {
    SupervisorAction::Kill(key(slot, generation), cause)
}
