//! One slot: at most one process starting, one serving and one leaving (decision 17).

use super::backoff::BackOff;
use super::process::{Process, Stage, Starting};
use super::recycle::Recycling;
use super::types::{Code, KillCause, SupervisorAction};
use crate::Millis;
use crate::ids::{Generation, ProcessKey, ProcessKind, Slot};

/// What is known of a slot. `serving` and `leaving` are both taken only while the predecessor of
/// the serving process drains.
#[derive(Debug)]
pub(super) struct SlotState {
    kind: ProcessKind,
    pub(super) slot: Slot,
    pub(super) starting: Option<Starting>,
    pub(super) serving: Option<Process>,
    pub(super) leaving: Option<Process>,
    /// The recycling token that this slot holds.
    pub(super) recycling: Option<Recycling>,
    /// Boot failures in a row.
    pub(super) boot: BackOff,
    /// The newest generation that was made to serve; 0 before the first.
    newest_served: Generation,
    /// The newest generation that was begun; 0 before the first.
    newest_begun: Generation,
    /// The newest generation whose start has failed; 0 before the first.
    newest_failed: Generation,
    /// Of a single process: nobody takes its place.
    pub(super) is_over: bool,
    /// Single processes up to this generation are replaced, because somebody asked for it.
    pub(super) renewed_up_to: Generation,
    /// When a process was last forked, or a start last given up before its fork.
    last_attempt: Option<Millis>,
}

impl SlotState {
    pub(super) fn new(kind: ProcessKind, slot: Slot) -> Self {
        Self {
            kind,
            slot,
            starting: None,
            serving: None,
            leaving: None,
            recycling: None,
            boot: BackOff::default(),
            newest_served: Generation(0),
            newest_begun: Generation(0),
            newest_failed: Generation(0),
            is_over: false,
            renewed_up_to: Generation(0),
            last_attempt: None,
        }
    }

    /// Whether no process, and no start that may have become one, is left.
    pub(super) fn is_empty(&self) -> bool {
        self.starting.is_none() && self.serving.is_none() && self.leaving.is_none()
    }

    /// Whether a start can begin as far as the slot itself is concerned. Generations are never
    /// reused, so a slot that has used all 2^32 of them stays as it is (at one fork per 50 ms that
    /// is after six years of crashes).
    pub(super) fn can_begin(&self) -> bool {
        self.starting.is_none() && self.newest_begun.0 < u32::MAX
    }

    /// The earliest next start that keeps the forks of this slot `interval` apart. A start that was
    /// given up before its fork counts too: a failing master must not be asked in a tight loop.
    pub(super) fn spaced(&self, interval: Millis) -> Millis {
        self.last_attempt.map_or(0, |last| last.saturating_add(interval))
    }

    /// A start was given up before its fork.
    pub(super) fn gave_up(&mut self, now: Millis) {
        self.last_attempt = Some(now);
    }

    /// Whether any process of it was ever ready.
    pub(super) fn was_ever_ready(&self) -> bool {
        self.newest_served > Generation(0)
    }

    /// Whether a generation newer than `mark` was made to serve.
    pub(super) fn has_served_since(&self, mark: Generation) -> bool {
        self.newest_served > mark
    }

    /// A start has failed.
    pub(super) fn failed(&mut self, generation: Generation) {
        self.newest_failed = self.newest_failed.max(generation);
    }

    /// Whether the start of a generation newer than `mark` has failed.
    pub(super) fn has_failed_since(&self, mark: Generation) -> bool {
        self.newest_failed > mark
    }

    /// The newest generation begun; all later ones are greater.
    pub(super) fn mark(&self) -> Generation {
        self.newest_begun
    }

    /// Whether the serving process holds a recycling token.
    pub(super) fn is_recycling(&self) -> bool {
        match (&self.recycling, &self.serving) {
            (Some(recycling), Some(serving)) => recycling.old == serving.key,
            _ => false,
        }
    }

    /// Begins a start with the next generation.
    pub(super) fn begin(&mut self, out: &mut Vec<SupervisorAction>) {
        self.newest_begun = Generation(self.newest_begun.0.saturating_add(1));
        let key = ProcessKey { kind: self.kind, slot: self.slot, generation: self.newest_begun };
        self.starting = Some(Starting::new(key));
        out.push(SupervisorAction::NeedMemory(key));
    }

    /// The start that it was made for goes on, with this code.
    pub(super) fn memory_ready(
        &mut self,
        key: ProcessKey,
        code: Code,
        now: Millis,
        out: &mut Vec<SupervisorAction>,
    ) {
        if let Some(starting) = self.starting.as_mut().filter(|starting| starting.key == key) {
            if starting.stage == Stage::Memory {
                starting.stage = Stage::Forking;
                self.last_attempt = Some(now);
                out.push(SupervisorAction::Fork(key, code));
            }
            return;
        }
        // Asked for once, but the start was given up meanwhile (shutdown).
        let was_begun = key.generation > Generation(0) && key.generation <= self.newest_begun;
        if was_begun && !self.has_process(key) {
            out.push(SupervisorAction::ReleaseMemory(key));
        }
    }

    pub(super) fn forked(
        &mut self,
        key: ProcessKey,
        ready_by: Millis,
        out: &mut Vec<SupervisorAction>,
    ) {
        let starting = self.starting.as_mut().filter(|starting| starting.key == key);
        if let Some(starting) = starting
            && starting.stage == Stage::Forking
        {
            starting.forked(ready_by, out);
        }
    }

    /// The new process takes over now, until it is old at `old_at`; its predecessor, if there is
    /// one, leaves until `gone_by`.
    /// That a successor only starts while `leaving` is free keeps its place free here.
    pub(super) fn ready(
        &mut self,
        key: ProcessKey,
        now: Millis,
        [gone_by, old_at]: [Millis; 2],
        out: &mut Vec<SupervisorAction>,
    ) {
        let ready = self.starting.take_if(|starting| {
            starting.key == key && starting.stage != Stage::Memory && starting.end.is_none()
        });
        let Some(ready) = ready else { return };
        let old = self.serving.replace(Process::new(key, now, ready.leave_asked, old_at));
        let leave = old.as_ref().map(|old| old.key);
        if let Some(mut old) = old {
            old.gone_by = Some(gone_by);
            self.leaving = Some(old);
        }
        self.newest_served = key.generation;
        out.push(SupervisorAction::Serve { serve: key, leave });
    }

    pub(super) fn took_delivery(&mut self, key: ProcessKey) {
        if let Some(process) = self.serving.as_mut().filter(|process| process.key == key) {
            process.took_delivery = true;
            self.boot.reset();
        } else if let Some(process) = self.leaving.as_mut().filter(|process| process.key == key) {
            // Its successor's boot has nothing to do with that, so the count stays.
            process.took_delivery = true;
        }
    }

    /// Kills the process whatever it does. One that was not forked cannot have written anything.
    pub(super) fn kill(
        &mut self,
        key: ProcessKey,
        cause: KillCause,
        out: &mut Vec<SupervisorAction>,
    ) {
        if let Some(starting) = self.starting.as_mut().filter(|starting| starting.key == key) {
            starting.end(cause, out);
        }
        for process in [&mut self.serving, &mut self.leaving].into_iter().flatten() {
            if process.key == key {
                process.kill(cause, out);
            }
        }
    }

    /// Kills what has outlived its deadline.
    pub(super) fn kill_overdue(&mut self, now: Millis, out: &mut Vec<SupervisorAction>) {
        if let Some(starting) = &mut self.starting
            && starting.deadline().is_some_and(|at| at <= now)
        {
            starting.end(KillCause::BootTimeout, out);
        }
        for process in [&mut self.serving, &mut self.leaving].into_iter().flatten() {
            if process.deadline().is_some_and(|at| at <= now) {
                process.kill(KillCause::DrainTimeout, out);
            }
        }
    }

    /// The next deadline of any of its processes.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let starting = self.starting.as_ref().and_then(Starting::deadline);
        let processes = [&self.serving, &self.leaving].into_iter().flatten();
        processes.filter_map(Process::deadline).chain(starting).min()
    }

    fn has_process(&self, key: ProcessKey) -> bool {
        [&self.serving, &self.leaving].into_iter().flatten().any(|process| process.key == key)
    }
}
