//! The end: processes leave, then are killed; nothing starts any more (S18).

use super::Supervisor;
use super::process::Stage;
use super::types::{KillCause, ReloadOutcome, SupervisorAction};

/// How far the server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Not at all.
    Running,
    /// A shutdown was requested.
    Asked,
    /// All processes are gone and that was told.
    Finished,
}

impl Supervisor {
    /// Whether a shutdown was requested. There is no way back.
    pub(super) fn is_ending(&self) -> bool {
        self.ending != Ending::Running
    }

    /// First request: gives up reload and recycling, ends what is starting, lets the rest leave.
    /// With `at_once`, the first time or later: kills all.
    pub(super) fn shutdown_requested(&mut self, at_once: bool, out: &mut Vec<SupervisorAction>) {
        if self.ending == Ending::Running {
            self.ending = Ending::Asked;
            self.begin_shutdown(at_once, out);
        }
        if !at_once {
            return;
        }
        for slot in &mut self.slots {
            if let Some(starting) = &mut slot.starting {
                starting.end(KillCause::Shutdown, out);
            }
            for process in [&mut slot.serving, &mut slot.leaving].into_iter().flatten() {
                process.kill(KillCause::Shutdown, out);
            }
        }
    }

    fn begin_shutdown(&mut self, at_once: bool, out: &mut Vec<SupervisorAction>) {
        let reload = self.reload.take();
        // A follow-up that has not begun shares this answer: it has merged with its forerunner.
        if std::mem::take(&mut self.reload_wanted) || reload.is_some() {
            out.push(SupervisorAction::ReloadFinished(ReloadOutcome::ShuttingDown));
        }
        self.recycle_queue.clear();
        let gone_by = self.now.saturating_add(self.settings.drain_timeout_ms);
        for slot in &mut self.slots {
            slot.recycling = None;
            // Nothing was made for it yet; should the memory come, it is released.
            slot.starting.take_if(|starting| starting.stage == Stage::Memory);
            if at_once {
                continue;
            }
            if let Some(starting) = &mut slot.starting {
                let reloaded = reload.as_ref().is_some_and(|reload| reload.waits_for(starting.key));
                let cause = if reloaded { KillCause::ReloadAborted } else { KillCause::Shutdown };
                starting.end(cause, out);
            }
            if let Some(serving) = slot.serving.as_mut().filter(|serving| serving.killed.is_none())
            {
                serving.gone_by = Some(gone_by);
                out.push(SupervisorAction::Leave(serving.key));
            }
        }
    }

    /// Tells once that nothing is left.
    pub(super) fn finish_when_empty(&mut self, out: &mut Vec<SupervisorAction>) {
        let empty = self.slots.iter().all(super::slot::SlotState::is_empty);
        if empty && self.ending == Ending::Asked {
            self.ending = Ending::Finished;
            out.push(SupervisorAction::Finished);
        }
    }
}
