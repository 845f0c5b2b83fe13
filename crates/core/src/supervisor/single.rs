//! Groups of single processes: each slot has a task of its own, and never two processes at a time.
//!
//! Nothing is given to such a process, so that nothing is lost by a gap: it is not replaced before
//! it has ended, and its end may be what it was made for ([`Restart`]). It pauses before each new
//! life, unless it has been replaced on purpose; one that has lived for as long as the longest
//! pause begins with the shortest again.

use super::group::Group;
use super::process::Stage;
use super::types::{Exit, Restart, SingleSettings, SupervisorAction};
use crate::Millis;
use crate::ids::{ProcessKey, Slot};

impl Group {
    /// Whether each process is one of its own.
    pub(super) const fn is_of_singles(&self) -> bool {
        !self.settings.singles.is_empty()
    }

    /// How the process of a slot lives, if it is a single one.
    pub(super) fn single(&self, slot: Slot) -> Option<&SingleSettings> {
        self.settings.singles.get(usize::from(slot.0))
    }

    /// Tells those to leave who asked for it, or whom a reload replaces.
    pub(super) fn let_singles_go(&mut self, out: &mut Vec<SupervisorAction>) {
        if !self.is_of_singles() {
            return;
        }
        let gone_by = self.now.saturating_add(self.settings.drain_timeout_ms);
        for slot in &mut self.slots {
            let renewed_up_to = slot.renewed_up_to;
            let Some(serving) = slot.serving.as_mut() else { continue };
            let has_to_go = serving.leave_asked || serving.key.generation <= renewed_up_to;
            if has_to_go && serving.gone_by.is_none() && serving.killed.is_none() {
                serving.gone_by = Some(gone_by);
                out.push(SupervisorAction::Leave(serving.key));
            }
        }
    }

    /// A process ended that was ready since `ready_at`, or never. Whether there will be another one
    /// is settled here, when is not.
    pub(super) fn single_ended(
        &mut self,
        key: ProcessKey,
        exit: Exit,
        ready_at: Option<Millis>,
        out: &mut Vec<SupervisorAction>,
    ) {
        let now = self.now;
        if self.stopping {
            return;
        }
        let (Some(single), Some(slot)) = (self.single(key.slot).copied(), self.slot_mut(key))
        else {
            return crate::invariant!(false, "each slot of single processes has its settings");
        };
        if key.generation <= slot.renewed_up_to {
            slot.boot.reset();
            return;
        }
        let is_wanted = match single.restart {
            Restart::Always => true,
            Restart::OnFailure => exit != Exit::Code(0),
            Restart::Never => false,
        };
        if !is_wanted {
            slot.is_over = true;
            out.push(SupervisorAction::Retired(key));
            return;
        }
        let lived_ms = ready_at.map_or(0, |at| now.saturating_sub(at));
        if lived_ms >= single.back_off_max_ms {
            slot.boot.reset();
        }
        self.boot_failed(key.slot, out);
    }

    /// An earlier manager has seen the end of this process.
    pub(super) fn retired(&mut self, key: ProcessKey) {
        let Some(slot) = self.slot_mut(key) else { return };
        let waits =
            slot.starting.take_if(|it| it.key == key && it.stage == Stage::Memory).is_some();
        if waits {
            slot.is_over = true;
            slot.failed(key.generation);
        }
    }
}
