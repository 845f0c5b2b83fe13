//! How many slots are filled: more or fewer than at the start, within the room there is.
//!
//! A slot that is taken away drains as if it were reloaded, without a successor. Its number is free
//! for when there are to be more again.

use super::group::Group;
use super::process::Stage;
use super::slot::SlotState;
use super::types::{KillCause, SupervisorAction};
use crate::Millis;
use crate::ids::{ProcessKey, Slot};

impl Group {
    /// There are to be so many, at least one and at most as many as there is room for.
    pub(super) fn resize(&mut self, wanted: u16) {
        if self.draining {
            // The end is near, and who is there is needed for it.
            return;
        }
        let room = u16::try_from(self.slots.len()).unwrap_or(u16::MAX);
        self.resize_wanted = Some(wanted.clamp(1, room.max(1)));
    }

    /// Whether a slot is to have a process.
    pub(super) fn is_wanted(&self, slot: Slot) -> bool {
        slot.0 < self.wanted
    }

    /// The slots that are to have a process.
    pub(super) fn wanted_slots(&self) -> &[SlotState] {
        self.slots.get(..usize::from(self.wanted)).unwrap_or(&self.slots)
    }

    /// Begins what was asked for. A reload is waited for: its slots stay the same.
    pub(super) fn advance_resize(&mut self, out: &mut Vec<SupervisorAction>) {
        if self.reload.is_none()
            && let Some(wanted) = self.resize_wanted.take()
            && wanted != self.wanted
        {
            self.wanted = wanted;
            out.push(SupervisorAction::Resized(self.kind, wanted));
        }
        self.retire_surplus(out);
    }

    /// Lets go whoever lives in a slot that was taken away.
    fn retire_surplus(&mut self, out: &mut Vec<SupervisorAction>) {
        let gone_by = self.now.saturating_add(self.settings.drain_timeout_ms);
        for slot in self.slots.iter_mut().skip(usize::from(self.wanted)) {
            slot.retire(gone_by, out);
        }
    }
}

impl SlotState {
    /// Ends what starts and lets leave who serves; one after another, if somebody leaves already.
    fn retire(&mut self, gone_by: Millis, out: &mut Vec<SupervisorAction>) {
        self.recycling = None;
        // One that waits for memory is given up when that comes.
        if let Some(starting) = &mut self.starting {
            starting.end(KillCause::Surplus, out);
        }
        if self.leaving.is_none()
            && let Some(mut serving) = self.serving.take_if(|serving| serving.killed.is_none())
        {
            serving.gone_by = Some(gone_by);
            out.push(SupervisorAction::Leave(serving.key));
            self.leaving = Some(serving);
        }
    }

    /// The memory has come for a start in a slot that was taken away meanwhile.
    pub(super) fn want_no_memory(&mut self, key: ProcessKey) {
        self.starting.take_if(|starting| starting.key == key && starting.stage == Stage::Memory);
    }
}
