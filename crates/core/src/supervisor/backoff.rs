//! Pauses that grow with failures in a row (decision 9: only failures to boot pause).

use super::group::Group;
use super::slot::SlotState;
use super::types::SupervisorAction;
use crate::Millis;
use crate::ids::Slot;

/// Failures in a row, and until when to pause after them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BackOff {
    pub(super) failures: u32,
    pub(super) not_before: Millis,
}

impl BackOff {
    /// Counts a failure at `now` and returns the pause after it: between these two.
    pub(super) fn failed(&mut self, now: Millis, (min, max): (Millis, Millis)) -> Millis {
        self.failures = self.failures.saturating_add(1);
        let pause = pause(self.failures, min, max);
        self.not_before = now.saturating_add(pause);
        pause
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// `min * 2^(failures - 1)`, at most `max`.
fn pause(failures: u32, min: Millis, max: Millis) -> Millis {
    let doublings = failures.saturating_sub(1).min(63);
    min.saturating_mul(1 << doublings).min(max)
}

impl Group {
    /// The shortest and the longest pause after a failure.
    pub(super) fn pauses_of(&self, slot: Slot) -> (Millis, Millis) {
        match self.single(slot) {
            Some(single) => (single.back_off_min_ms, single.back_off_max_ms),
            None => (self.settings.back_off_min_ms, self.settings.back_off_max_ms),
        }
    }

    /// A slot without a serving process failed to boot one: the next attempt waits.
    pub(super) fn boot_failed(&mut self, slot: Slot, out: &mut Vec<SupervisorAction>) {
        let pauses = self.pauses_of(slot);
        let Some(state) = self.slots.get_mut(usize::from(slot.0)) else {
            crate::invariant!(false, "a process that failed to boot has a slot");
            return;
        };
        let retry_after_ms = state.boot.failed(self.now, pauses);
        // A successor that is under way already is not stopped by the pause, so there is none.
        if state.starting.is_none() {
            out.push(SupervisorAction::BackOff {
                kind: self.kind,
                slot,
                failures: state.boot.failures,
                retry_after_ms,
            });
        }
        if self.is_of_singles() {
            return;
        }
        let failed = |slot: &SlotState| slot.boot.failures > 0;
        if !self.told_nobody_boots
            && self.wanted_slots().iter().all(failed)
            && !self.slots.iter().any(SlotState::was_ever_ready)
        {
            self.told_nobody_boots = true;
            out.push(SupervisorAction::NobodyBoots(self.kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::pause;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let pauses: Vec<_> = (1..=10).map(|failures| pause(failures, 100, 30_000)).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
        assert_eq!(pause(u32::MAX, 100, 30_000), 30_000);
        assert_eq!(pause(1, 100, 10), 10);
    }
}
