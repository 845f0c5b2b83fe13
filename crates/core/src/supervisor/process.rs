//! One worker process as the supervisor knows it: first [`Starting`], then [`Process`].

use super::types::{KillCause, SupervisorAction};
use crate::Millis;
use crate::ids::ProcessKey;

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The master was asked for the lane memory; there is no process.
    Memory,
    /// The fork was asked for; there may be a process or not, so it cannot be killed yet.
    Forking,
    /// The process runs its `on_worker_start`, and is killed when it is not ready by then.
    Booting {
        /// The deadline.
        ready_by: Millis,
    },
}

/// A start under way.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) key: ProcessKey,
    pub(super) stage: Stage,
    /// Why it is not wanted any more. In [`Stage::Forking`] the kill is owed until it was forked.
    pub(super) end: Option<KillCause>,
    /// It asked to be replaced before it was ready; carried over to the [`Process`].
    pub(super) leave_asked: bool,
}

impl Starting {
    pub(super) fn new(key: ProcessKey) -> Self {
        Self { key, stage: Stage::Memory, end: None, leave_asked: false }
    }

    /// Ends the start: kills the process if there is one, or as soon as there is. Once only.
    /// A start that still waits for memory has nothing to kill; its owner drops it.
    pub(super) fn end(&mut self, cause: KillCause, out: &mut Vec<SupervisorAction>) {
        if self.end.is_some() || self.stage == Stage::Memory {
            return;
        }
        self.end = Some(cause);
        if self.is_booting() {
            out.push(SupervisorAction::Kill(self.key, cause));
        }
    }

    /// Its reload was aborted: the same, and memory that comes for it is not wanted any more.
    pub(super) fn abort(&mut self, out: &mut Vec<SupervisorAction>) {
        if self.stage == Stage::Memory {
            self.end.get_or_insert(KillCause::ReloadAborted);
        }
        self.end(KillCause::ReloadAborted, out);
    }

    /// Whether its end says nothing of the code that it runs, because it was ours.
    pub(super) fn was_not_wanted(&self) -> bool {
        matches!(self.end, Some(KillCause::Surplus | KillCause::ReloadAborted))
    }

    /// The fork succeeded.
    pub(super) fn forked(&mut self, ready_by: Millis, out: &mut Vec<SupervisorAction>) {
        self.stage = Stage::Booting { ready_by };
        if let Some(cause) = self.end {
            out.push(SupervisorAction::Kill(self.key, cause));
        }
    }

    /// The kill that was really sent.
    pub(super) fn killed(&self) -> Option<KillCause> {
        self.end.filter(|_| self.is_booting())
    }

    /// When it has to be ready, unless it was killed already.
    pub(super) fn deadline(&self) -> Option<Millis> {
        match self.stage {
            Stage::Booting { ready_by } if self.end.is_none() => Some(ready_by),
            _ => None,
        }
    }

    fn is_booting(&self) -> bool {
        matches!(self.stage, Stage::Booting { .. })
    }
}

/// A process that has been ready: it serves, or it leaves.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) key: ProcessKey,
    /// Since when it serves.
    pub(super) ready_at: Millis,
    /// It has taken at least one delivery.
    pub(super) took_delivery: bool,
    /// It asked to be replaced.
    pub(super) leave_asked: bool,
    /// When it has served for long enough.
    pub(super) old_at: Millis,
    /// It was told to take no more packages, and has to be gone by then.
    pub(super) gone_by: Option<Millis>,
    /// Our kill, if there was one. SIGKILL is final: it is sent once.
    pub(super) killed: Option<KillCause>,
}

impl Process {
    /// One that becomes ready now, and old at `old_at`.
    pub(super) fn new(key: ProcessKey, now: Millis, leave_asked: bool, old_at: Millis) -> Self {
        let (took_delivery, gone_by, killed) = (false, None, None);
        Self { key, ready_at: now, took_delivery, leave_asked, old_at, gone_by, killed }
    }

    /// Kills it, unless that was done before.
    pub(super) fn kill(&mut self, cause: KillCause, out: &mut Vec<SupervisorAction>) {
        if self.killed.is_none() {
            self.killed = Some(cause);
            out.push(SupervisorAction::Kill(self.key, cause));
        }
    }

    /// When it has to be gone, unless it was killed already.
    pub(super) fn deadline(&self) -> Option<Millis> {
        self.gone_by.filter(|_| self.killed.is_none())
    }
}
