//! Renewal: single processes are replaced because somebody asked for it, or because they follow a
//! reload of the workers. Each leaves before its successor begins, all of them at once; whoever was
//! over begins again. It is through when each has a process that became ready, or failed to.

use super::group::Group;
use super::slot::SlotState;
use super::types::{ReloadOutcome, SupervisorAction};
use crate::ids::{Generation, Slot};

/// A slot, and its newest generation when the renewal began.
#[derive(Debug)]
struct Target {
    slot: Slot,
    mark: Generation,
}

/// Single processes that are being replaced.
#[derive(Debug)]
pub(super) struct Renewal {
    targets: Vec<Target>,
    /// Those that are through, and whether they have a new process.
    results: Vec<(Slot, bool)>,
}

impl Renewal {
    /// Takes the slots out that are through; true when none is left.
    fn is_over(&mut self, slots: &[SlotState]) -> bool {
        self.targets.retain(|target| {
            let Some(slot) = slots.get(usize::from(target.slot.0)) else { return false };
            let is_new = slot.has_served_since(target.mark);
            let is_through = is_new || slot.has_failed_since(target.mark);
            if is_through {
                self.results.push((target.slot, is_new));
            }
            !is_through
        });
        self.targets.is_empty()
    }

    /// How it ended.
    fn outcome(&self) -> ReloadOutcome {
        let failed = self.results.iter().find(|(_, is_new)| !is_new);
        failed.map_or(ReloadOutcome::Done, |(slot, _)| ReloadOutcome::Partial(*slot))
    }
}

impl Group {
    /// The process of this slot shall be replaced, or all of them. While others are being replaced
    /// this is remembered (S3: never dropped). False: there is no such process.
    pub(super) fn want_renewal(&mut self, slot: Option<Slot>) -> bool {
        if !self.is_of_singles() {
            self.reload_requested();
            return true;
        }
        let singles = self.singles().filter(|it| slot.is_none_or(|slot| slot == *it));
        let wanted: Vec<_> = singles.collect();
        self.renewal_wanted.extend(&wanted);
        !wanted.is_empty()
    }

    /// A reload of the workers is done: those who take part shall be replaced.
    pub(super) fn follow_reload(&mut self) {
        let follows = |slot: &Slot| self.single(*slot).is_some_and(|single| single.is_reloaded);
        let wanted: Vec<_> = self.singles().filter(follows).collect();
        self.renewal_wanted.extend(wanted);
    }

    fn singles(&self) -> impl Iterator<Item = Slot> {
        let is_single = |slot: &Slot| self.single(*slot).is_some();
        self.slots.iter().map(|slot| slot.slot).filter(is_single)
    }

    /// Begins and ends renewals. What is between comes from the comparison of wanted with actual.
    pub(super) fn advance_renewal(&mut self, out: &mut Vec<SupervisorAction>) {
        loop {
            if self.renewal.is_none() && !self.renewal_wanted.is_empty() {
                self.begin_renewal();
                out.push(SupervisorAction::ReloadStarted(self.kind));
            }
            let Some(renewal) = &mut self.renewal else { return };
            if !renewal.is_over(&self.slots) {
                return;
            }
            let outcome = renewal.outcome();
            let mut results = std::mem::take(&mut renewal.results);
            results.sort_by_key(|(slot, _)| *slot);
            self.renewal = None;
            out.push(SupervisorAction::ReloadSlots(self.kind, results));
            out.push(SupervisorAction::ReloadFinished(self.kind, outcome));
        }
    }

    fn begin_renewal(&mut self) {
        let mut targets = Vec::new();
        for wanted in std::mem::take(&mut self.renewal_wanted) {
            let Some(slot) = self.slots.get_mut(usize::from(wanted.0)) else { continue };
            let mark = slot.mark();
            targets.push(Target { slot: wanted, mark });
            slot.renewed_up_to = mark;
            slot.is_over = false;
            slot.boot.reset();
        }
        self.renewal = Some(Renewal { targets, results: Vec::new() });
    }
}
