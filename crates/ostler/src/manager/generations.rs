//! Keys of a manager that is not the first.
//!
//! Every supervisor counts generations from 1. The master still knows the processes of a manager
//! that died, so a later manager adds a base to all its generations: towards the master, the log
//! and its own tables. Only this file knows both.

use ostler_core::Millis;
use ostler_core::ids::{Generation, ProcessKey};
use ostler_core::supervisor::{Event, Supervisor, SupervisorAction};

/// A supervisor whose keys are all above a base.
#[derive(Debug)]
pub(super) struct BasedSupervisor {
    supervisor: Supervisor,
    base: u32,
}

impl BasedSupervisor {
    pub(super) fn new(supervisor: Supervisor, base: u32) -> Self {
        Self { supervisor, base }
    }

    pub(super) fn start(&mut self, now: Millis) -> Vec<SupervisorAction> {
        let mut actions = Vec::new();
        self.supervisor.start(now, &mut actions);
        self.outward(actions)
    }

    /// Events about processes of an earlier manager are dropped.
    pub(super) fn on(&mut self, event: Event, now: Millis) -> Vec<SupervisorAction> {
        let mut actions = Vec::new();
        if let Some(event) = self.inward(event) {
            self.supervisor.on(event, now, &mut actions);
        }
        self.outward(actions)
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.supervisor.deadline()
    }

    fn inward(&self, event: Event) -> Option<Event> {
        let key = |key: ProcessKey| {
            let generation = key.generation.0.checked_sub(self.base)?;
            Some(ProcessKey { generation: Generation(generation), ..key })
        };
        Some(match event {
            Event::MemoryReady(worker) => Event::MemoryReady(key(worker)?),
            Event::MemoryFailed(worker) => Event::MemoryFailed(key(worker)?),
            Event::Forked(worker) => Event::Forked(key(worker)?),
            Event::ForkFailed(worker) => Event::ForkFailed(key(worker)?),
            Event::Ready(worker) => Event::Ready(key(worker)?),
            Event::TookDelivery(worker) => Event::TookDelivery(key(worker)?),
            Event::LeaveRequested(worker, reason) => Event::LeaveRequested(key(worker)?, reason),
            Event::Condemned(worker) => Event::Condemned(key(worker)?),
            Event::TooLarge(worker) => Event::TooLarge(key(worker)?),
            Event::RequestLate(worker) => Event::RequestLate(key(worker)?),
            Event::StandsStill(worker) => Event::StandsStill(key(worker)?),
            Event::Exited(worker, exit) => Event::Exited(key(worker)?, exit),
            Event::Retired(worker) => Event::Retired(key(worker)?),
            Event::Tick
            | Event::ReloadRequested
            | Event::RenewalRequested(..)
            | Event::Resize(..)
            | Event::Draining
            | Event::ShutdownRequested { .. } => event,
        })
    }

    fn outward(&self, mut actions: Vec<SupervisorAction>) -> Vec<SupervisorAction> {
        let base = self.base;
        let raise = |key: &mut ProcessKey| {
            key.generation = Generation(key.generation.0.saturating_add(base));
        };
        for action in &mut actions {
            match action {
                SupervisorAction::NeedMemory(worker)
                | SupervisorAction::Fork(worker, _)
                | SupervisorAction::ReleaseMemory(worker)
                | SupervisorAction::Leave(worker)
                | SupervisorAction::Kill(worker, _)
                | SupervisorAction::Recycles(worker, _)
                | SupervisorAction::Retired(worker)
                | SupervisorAction::Died { worker, .. } => raise(worker),
                SupervisorAction::Serve { serve, leave } => {
                    raise(serve);
                    leave.as_mut().map(raise);
                }
                SupervisorAction::BackOff { .. }
                | SupervisorAction::NobodyBoots(_)
                | SupervisorAction::IntensityExceeded { .. }
                | SupervisorAction::Resized(..)
                | SupervisorAction::ReloadStarted(_)
                | SupervisorAction::ReloadSlots(..)
                | SupervisorAction::ReloadFinished(..)
                | SupervisorAction::Finished => {}
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::supervisor::{Code, Settings};

    #[test]
    fn keys_are_above_the_base_both_ways() {
        let settings = Settings::default();
        let mut supervisor = BasedSupervisor::new(Supervisor::new(settings), 70);
        let key = ProcessKey::event(0, 71);
        assert_eq!(supervisor.start(1), [SupervisorAction::NeedMemory(key)]);
        assert_eq!(supervisor.on(Event::MemoryReady(ProcessKey::event(0, 1)), 2), []);
        assert_eq!(
            supervisor.on(Event::MemoryReady(key), 3),
            [SupervisorAction::Fork(key, Code::Accepted)]
        );
        assert_eq!(supervisor.on(Event::Forked(key), 4), []);
        let serve = SupervisorAction::Serve { serve: key, leave: None };
        assert_eq!(supervisor.on(Event::Ready(key), 5), [serve]);
    }
}
