//! Reload: every slot gets a new generation, one after another, successor first (S8 to S11, S17).

use std::collections::VecDeque;

use super::group::Group;
use super::slot::SlotState;
use super::types::{Code, ReloadOutcome, SupervisorAction};
use crate::ids::{Generation, ProcessKey, Slot};

/// A slot that the reload has not been through.
#[derive(Debug)]
struct Target {
    slot: Slot,
    /// The slot is through when a generation newer than this serves, whoever started it: a process
    /// that a crash has replaced since the reload began runs the new code already.
    mark: Generation,
}

/// A reload under way.
#[derive(Debug)]
pub(super) struct Reload {
    canary: Slot,
    /// What is left, the current slot first.
    targets: VecDeque<Target>,
}

impl Reload {
    /// Plans a reload of all slots. The canary is the first slot that serves, if there is one:
    /// there a failure says most and costs nothing. One that can be replaced without waiting is
    /// preferred.
    fn plan(slots: &[SlotState]) -> Self {
        let canary = slots
            .iter()
            .min_by_key(|slot| {
                let busy = slot.starting.is_some() || slot.leaving.is_some();
                (slot.serving.is_none(), busy)
            })
            .map_or(Slot(0), |slot| slot.slot);
        let mut targets: VecDeque<_> =
            slots.iter().map(|slot| Target { slot: slot.slot, mark: slot.mark() }).collect();
        let place = targets.iter().position(|target| target.slot == canary);
        if let Some(target) = place.and_then(|place| targets.remove(place)) {
            targets.push_front(target);
        }
        Self { canary, targets }
    }

    /// Whether it is this slot's turn.
    pub(super) fn is_at(&self, slot: Slot) -> bool {
        self.targets.front().is_some_and(|target| target.slot == slot)
    }

    /// Which code this start runs. Until the canary has served nobody but the canary runs the new
    /// one: a process that dies meanwhile would be replaced by code that nobody has proved. A slot
    /// whose start runs the old code is through only when a later one serves.
    pub(super) fn code_for(&mut self, key: ProcessKey) -> Code {
        let is_proved = !self.is_at(self.canary);
        let may_be_new = is_proved || key.slot == self.canary;
        match self.targets.iter_mut().find(|target| target.slot == key.slot) {
            // Begun before the reload: its fate says nothing, and so it must not be the new code's.
            Some(target) if key.generation <= target.mark => Code::Accepted,
            Some(target) if !may_be_new => {
                target.mark = key.generation;
                Code::Accepted
            }
            _ => Code::Candidate,
        }
    }

    /// Whether this process is a start that the reload waits for. One begun before the reload may
    /// run the old code: its fate says nothing.
    pub(super) fn waits_for(&self, key: ProcessKey) -> bool {
        let current = self.targets.front();
        current.is_some_and(|target| target.slot == key.slot && key.generation > target.mark)
    }

    /// Goes on to the first slot that has not been replaced; `false` when there is none.
    fn advance(&mut self, slots: &[SlotState]) -> bool {
        while let Some(target) = self.targets.front() {
            let slot = slots.get(usize::from(target.slot.0));
            if slot.is_some_and(|slot| !slot.has_served_since(target.mark)) {
                return true;
            }
            self.targets.pop_front();
        }
        false
    }
}

impl Group {
    /// A user asked. During a reload this is remembered as one follow-up (S3: never dropped).
    pub(super) fn reload_requested(&mut self) {
        self.reload_wanted = true;
    }

    /// Whether a reload begins here.
    pub(super) const fn leads_reloads(&self) -> bool {
        !self.is_of_singles() && !self.settings.reloads_behind
    }

    /// The reload of those who lead is done: these follow.
    pub(super) fn reload_behind(&mut self) {
        if self.settings.reloads_behind && !self.stopping {
            self.reload_requested();
        }
    }

    /// Begins, continues and ends reloads. The starts themselves come from the comparison of
    /// wanted with actual.
    pub(super) fn advance_reload(&mut self, out: &mut Vec<SupervisorAction>) {
        loop {
            if self.reload.is_none() && self.reload_wanted {
                self.reload_wanted = false;
                self.reload = Some(Reload::plan(self.wanted_slots()));
                out.push(SupervisorAction::ReloadStarted(self.kind));
            }
            let Some(reload) = &mut self.reload else { return };
            if reload.advance(&self.slots) {
                return;
            }
            self.reload = None;
            self.has_reloaded = true;
            out.push(SupervisorAction::ReloadFinished(self.kind, ReloadOutcome::Done));
        }
    }

    /// Ends the reload if `key`, which failed to become ready, was the process it waited for.
    pub(super) fn reload_failed_by(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let Some(reload) = self.reload.take_if(|reload| reload.waits_for(key)) else { return };
        let outcome = if key.slot == reload.canary {
            ReloadOutcome::CanaryFailed(key.slot)
        } else {
            ReloadOutcome::Partial(key.slot)
        };
        out.push(SupervisorAction::ReloadFinished(self.kind, outcome));
    }
}
