//! The end: processes leave, then are killed; nothing starts any more (S18). Groups stop one after
//! another.

use super::Supervisor;
use super::group::Group;
use super::process::Stage;
use super::types::{KillCause, ReloadOutcome, SupervisorAction};

/// How far the server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Not at all.
    Running,
    /// A shutdown was requested. There is no way back.
    Asked,
    /// All processes are gone and that was told.
    Finished,
}

impl Supervisor {
    /// First request: the groups stop in turn. With `at_once`, the first time or later: all are
    /// killed.
    pub(super) fn shutdown_requested(&mut self, at_once: bool, out: &mut Vec<SupervisorAction>) {
        if self.ending == Ending::Running {
            self.ending = Ending::Asked;
        }
        if at_once {
            for group in &mut self.groups {
                group.stop_at_once(out);
            }
        }
        self.stop_in_turn(out);
    }

    /// Once a shutdown was requested: stops the first group that is not empty, and those before
    /// it; tells once that nothing is left.
    pub(super) fn stop_in_turn(&mut self, out: &mut Vec<SupervisorAction>) {
        if self.ending != Ending::Asked {
            return;
        }
        for group in &mut self.groups {
            group.stop(out);
            if !group.is_empty() {
                return;
            }
        }
        self.ending = Ending::Finished;
        out.push(SupervisorAction::Finished);
    }
}

impl Group {
    /// Gives up reload and recycling, ends what is starting, lets the rest leave. A second call
    /// changes nothing.
    fn stop(&mut self, out: &mut Vec<SupervisorAction>) {
        if !self.stopping {
            self.begin_to_stop(false, out);
        }
    }

    /// The same without letting anybody leave: kills all. Also after [`Group::stop`]. Those that
    /// have last words leave in their turn, but soon.
    fn stop_at_once(&mut self, out: &mut Vec<SupervisorAction>) {
        if let Some(last_words_ms) = self.settings.last_words_ms {
            self.settings.drain_timeout_ms = last_words_ms;
            let gone_by = self.now.saturating_add(last_words_ms);
            let told = self.slots.iter_mut().filter_map(|slot| slot.serving.as_mut());
            for leaves in told.filter_map(|process| process.gone_by.as_mut()) {
                *leaves = gone_by.min(*leaves);
            }
            return;
        }
        if !self.stopping {
            self.begin_to_stop(true, out);
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

    fn begin_to_stop(&mut self, at_once: bool, out: &mut Vec<SupervisorAction>) {
        self.stopping = true;
        let (reload, renewal) = (self.reload.take(), self.renewal.take());
        let waits = std::mem::take(&mut self.reload_wanted) || !self.renewal_wanted.is_empty();
        self.renewal_wanted.clear();
        if let Some(reload) = &reload {
            out.push(SupervisorAction::ReloadSlots(self.kind, reload.results()));
        }
        // A follow-up that has not begun shares this answer: it has merged with its forerunner.
        if waits || reload.is_some() || renewal.is_some() {
            out.push(SupervisorAction::ReloadFinished(self.kind, ReloadOutcome::ShuttingDown));
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
                // A single process may have been told already.
                if serving.gone_by.is_none() {
                    serving.gone_by = Some(gone_by);
                    out.push(SupervisorAction::Leave(serving.key));
                }
            }
        }
    }
}
