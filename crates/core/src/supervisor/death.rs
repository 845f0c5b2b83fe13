//! What an exit, or a start that failed, means for the slot.

use super::group::Group;
use super::process::{Process, Stage, Starting};
use super::types::{Exit, KillCause, SupervisorAction};
use crate::ids::ProcessKey;

impl Group {
    /// A process was reaped (S12, S15, S21). The slot is refilled by the comparison that
    /// follows every event, not from here.
    pub(super) fn exited(&mut self, key: ProcessKey, exit: Exit, out: &mut Vec<SupervisorAction>) {
        let Some(slot) = self.slot_mut(key) else { return };
        if let Some(starting) =
            slot.starting.take_if(|starting| starting.key == key && starting.stage != Stage::Memory)
        {
            slot.failed(key.generation);
            self.report(died_starting(&starting, exit), out);
            if self.is_of_singles() {
                self.single_ended(key, exit, None, out);
            } else if !starting.was_not_wanted() {
                self.start_failed(key, out);
            }
        } else if let Some(process) = slot.serving.take_if(|process| process.key == key) {
            slot.recycling.take_if(|recycling| recycling.old == key);
            let is_single = self.is_of_singles();
            self.report(died(&process, exit, is_single), out);
            if is_single {
                self.single_ended(key, exit, Some(process.ready_at), out);
                return;
            }
            // Exit 0 of a process that was ready is its own wish and not a failure to boot.
            let is_wanted = self.is_wanted(key.slot) && !self.stopping;
            if !process.took_delivery && exit != Exit::Code(0) && is_wanted {
                self.boot_failed(key.slot, out);
            }
        } else if let Some(process) = slot.leaving.take_if(|process| process.key == key) {
            slot.recycling.take_if(|recycling| recycling.old == key);
            self.report(died(&process, exit, false), out);
        }
    }

    /// The master had no memory for it: nothing to release.
    pub(super) fn memory_failed(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        self.give_up(key, Stage::Memory, out);
    }

    /// The fork failed: the memory made for it is of no use.
    pub(super) fn fork_failed(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        self.give_up(key, Stage::Forking, out);
    }

    fn give_up(&mut self, key: ProcessKey, stage: Stage, out: &mut Vec<SupervisorAction>) {
        let now = self.now;
        let Some(slot) = self.slot_mut(key) else { return };
        let failed =
            slot.starting.take_if(|starting| starting.key == key && starting.stage == stage);
        let Some(failed) = failed else { return };
        slot.gave_up(now);
        slot.failed(key.generation);
        if stage == Stage::Forking {
            out.push(SupervisorAction::ReleaseMemory(key));
        }
        if !failed.was_not_wanted() {
            self.start_failed(key, out);
        }
    }

    /// A start ended before it was ready. Whom it was for decides: a reload ends, a recycling is
    /// tried again later, an empty slot backs off.
    fn start_failed(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        if self.stopping || !self.is_wanted(key.slot) {
            return;
        }
        let Some(slot) = self.slot_mut(key) else { return };
        if slot.serving.is_none() {
            self.boot_failed(key.slot, out);
        } else if slot.is_recycling() {
            self.recycling_failed(key.slot, out);
        }
        self.reload_failed_by(key, out);
    }

    fn report(&mut self, died: SupervisorAction, out: &mut Vec<SupervisorAction>) {
        let unexpected = matches!(died, SupervisorAction::Died { expected: false, .. });
        out.push(died);
        if unexpected && let Some(deaths) = self.intensity.record(self.now) {
            out.push(SupervisorAction::IntensityExceeded { kind: self.kind, deaths });
        }
    }
}

fn died_starting(starting: &Starting, exit: Exit) -> SupervisorAction {
    SupervisorAction::Died {
        worker: starting.key,
        exit,
        killed: starting.killed(),
        took_delivery: false,
        expected: matches!(
            starting.end,
            Some(KillCause::Shutdown | KillCause::ReloadAborted | KillCause::Surplus)
        ),
    }
}

/// A process that serves ends when it is asked to; a single one (`is_single`) when it is done.
fn died(process: &Process, exit: Exit, is_single: bool) -> SupervisorAction {
    let asked = is_single || process.gone_by.is_some() || process.leave_asked;
    SupervisorAction::Died {
        worker: process.key,
        exit,
        killed: process.killed,
        took_delivery: process.took_delivery,
        expected: match process.killed {
            Some(
                KillCause::BootTimeout
                | KillCause::Condemned
                | KillCause::Memory
                | KillCause::RequestDeadline
                | KillCause::Stopped,
            ) => false,
            Some(
                KillCause::DrainTimeout
                | KillCause::Shutdown
                | KillCause::ReloadAborted
                | KillCause::Surplus,
            ) => true,
            // A crash on the way out is still a crash.
            None => asked && exit == Exit::Code(0),
        },
    }
}
