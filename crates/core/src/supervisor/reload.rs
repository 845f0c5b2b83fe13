//! Reload: every slot gets a new generation, successor first (S8 to S11, S17): the canary alone,
//! then the others one after another, or some at a time.

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
    /// All that take part.
    slots: Vec<Slot>,
    /// What is left: the canary first, as long as it does not serve.
    targets: VecDeque<Target>,
    /// How many of them have their turn at once.
    at_once: usize,
}

impl Reload {
    /// Plans a reload of all slots. The canary is the first slot that serves, if there is one:
    /// there a failure says most and costs nothing. One that can be replaced without waiting is
    /// preferred.
    fn plan(slots: &[SlotState], at_once: u16) -> Self {
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
        let slots = slots.iter().map(|slot| slot.slot).collect();
        Self { canary, slots, targets, at_once: usize::from(at_once.max(1)) }
    }

    /// Whether the canary serves.
    fn is_proved(&self) -> bool {
        self.targets.front().is_none_or(|target| target.slot != self.canary)
    }

    /// Those whose turn it is.
    fn current(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().take(if self.is_proved() { self.at_once } else { 1 })
    }

    /// Whether it is this slot's turn.
    pub(super) fn is_at(&self, slot: Slot) -> bool {
        self.current().any(|target| target.slot == slot)
    }

    /// Which code this start runs. Until the canary has served nobody but the canary runs the new
    /// one: a process that dies meanwhile would be replaced by code that nobody has proved. A slot
    /// whose start runs the old code is through only when a later one serves.
    pub(super) fn code_for(&mut self, key: ProcessKey) -> Code {
        let may_be_new = self.is_proved() || key.slot == self.canary;
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
        self.current().any(|target| target.slot == key.slot && key.generation > target.mark)
    }

    /// Forgets the slots that have been replaced; `false` when none is left.
    fn advance(&mut self, slots: &[SlotState]) -> bool {
        self.targets.retain(|target| {
            let slot = slots.get(usize::from(target.slot.0));
            slot.is_some_and(|slot| !slot.has_served_since(target.mark))
        });
        !self.targets.is_empty()
    }

    /// Each slot that takes part, and whether it has been replaced.
    pub(super) fn results(&self) -> Vec<(Slot, bool)> {
        let is_left = |slot: Slot| self.targets.iter().any(|target| target.slot == slot);
        self.slots.iter().map(|slot| (*slot, !is_left(*slot))).collect()
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
                let at_once = self.settings.reload_at_once;
                self.reload = Some(Reload::plan(self.wanted_slots(), at_once));
                out.push(SupervisorAction::ReloadStarted(self.kind));
            }
            let Some(reload) = &mut self.reload else { return };
            if reload.advance(&self.slots) {
                return;
            }
            out.push(SupervisorAction::ReloadSlots(self.kind, reload.results()));
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
        // Whoever starts beside it has nobody to replace any more.
        for slot in &mut self.slots {
            if slot.serving.is_some()
                && let Some(starting) = &mut slot.starting
                && reload.waits_for(starting.key)
            {
                starting.abort(out);
            }
        }
        out.push(SupervisorAction::ReloadSlots(self.kind, reload.results()));
        out.push(SupervisorAction::ReloadFinished(self.kind, outcome));
    }
}
