//! The supervisor: which worker process should exist in which slot, and what to do about it.
//!
//! **Responsible for:** filling every slot with one serving process, replacing processes without a
//! gap (reload, recycling), pausing after failed boots, deadlines of booting and leaving processes,
//! and the end of all of them at shutdown.
//!
//! **Must never:** do I/O, read a clock, draw random numbers, panic, fork after a shutdown request,
//! name a process by anything but its [`ProcessKey`], or react to an event with a fixed answer. An
//! event only changes what is known; then *wanted* is compared with *actual* for every slot
//! (level-triggered). So a lost or doubled event can delay a step, but it
//! cannot start a second process in a slot (S6) or leave a slot empty for ever (S5, S10).
//!
//! One file per idea: `process` (one process), `slot` (the up to three of a slot), `death` (what an
//! exit or a failed start means), `backoff`, `reload`, `recycle`, `intensity`, `shutdown`.

mod backoff;
mod death;
mod intensity;
mod process;
mod recycle;
mod reload;
mod shutdown;
mod slot;
#[cfg(test)]
mod tests;
mod types;

pub use types::{Event, Exit, KillCause, LeaveReason, ReloadOutcome, Settings, SupervisorAction};

use std::collections::VecDeque;

use crate::Millis;
use crate::ids::{ProcessKey, ProcessKind, Slot};
use intensity::Intensity;
use recycle::Request;
use reload::Reload;
use shutdown::Ending;
use slot::SlotState;

/// The supervisor of all event workers (S5 to S18).
///
/// The driver calls [`Supervisor::start`] once, tells every event through [`Supervisor::on`],
/// carries out the actions in order, and sends [`Event::Tick`] when [`Supervisor::deadline`] has
/// come. Nothing here returns an error: what fails is told by events and answered by actions.
///
/// Work per event is O(slots), memory O(slots + deaths within `restart_period_ms`).
#[derive(Debug)]
pub struct Supervisor {
    settings: Settings,
    /// The latest time seen; the caller's clock may jump backwards, this one does not.
    now: Millis,
    started: bool,
    slots: Vec<SlotState>,
    reload: Option<Reload>,
    /// A reload was asked for and has not begun: any number of requests merge into this one.
    reload_wanted: bool,
    recycle_queue: VecDeque<Request>,
    /// The end is near: no recycling is begun.
    draining: bool,
    intensity: Intensity,
    ending: Ending,
    told_nobody_boots: bool,
}

impl Supervisor {
    /// Makes a supervisor for the slots `0..settings.workers`, all empty; nothing starts before
    /// [`Supervisor::start`].
    ///
    /// Settings are taken as they are, none makes it misbehave: `workers` 0 is a server without
    /// event workers, `recycle_at_once` 0 counts as 1 (else a worker could never be recycled).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let slots = (0..settings.workers)
            .map(|slot| SlotState::new(ProcessKind::Event, Slot(slot)))
            .collect();
        let intensity = Intensity::new(settings.restart_intensity, settings.restart_period_ms);
        Self {
            settings,
            now: 0,
            started: false,
            slots,
            reload: None,
            reload_wanted: false,
            recycle_queue: VecDeque::new(),
            draining: false,
            intensity,
            ending: Ending::Running,
            told_nobody_boots: false,
        }
    }

    /// Begins to fill the slots; all of them at once. A second call changes nothing.
    ///
    /// `now` is in milliseconds on the clock that [`Supervisor::on`] uses; actions are appended to
    /// `out`.
    pub fn start(&mut self, now: Millis, out: &mut Vec<SupervisorAction>) {
        self.now = self.now.max(now);
        self.started = true;
        self.reconcile(out);
    }

    /// Takes one event in and appends what is to be done to `out`, in order.
    ///
    /// `now` is in milliseconds on a monotonic clock; one that jumps backwards is taken as standing
    /// still. Events about processes that are not known (any more), or that make no sense in the
    /// phase of their process, are ignored (S6, S15).
    pub fn on(&mut self, event: Event, now: Millis, out: &mut Vec<SupervisorAction>) {
        self.now = self.now.max(now);
        match event {
            Event::Tick => {}
            Event::MemoryReady(key) => self.memory_ready(key, out),
            Event::MemoryFailed(key) => self.memory_failed(key, out),
            Event::Forked(key) => self.forked(key, out),
            Event::ForkFailed(key) => self.fork_failed(key, out),
            Event::Ready(key) => self.ready(key, out),
            Event::TookDelivery(key) => self.took_delivery(key),
            Event::LeaveRequested(key, _reason) => self.leave_requested(key),
            Event::Condemned(key) => self.condemned(key, out),
            Event::Exited(key, exit) => self.exited(key, exit, out),
            Event::ReloadRequested => self.reload_requested(out),
            Event::Draining => self.draining = true,
            Event::ShutdownRequested { now } => self.shutdown_requested(now, out),
        }
        self.reconcile(out);
    }

    /// When [`Event::Tick`] is due, in milliseconds on the clock of `now`; always later than the
    /// last `now`. `None` when only an event can change anything: an idle server has no wake-ups.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let processes = self.slots.iter().filter_map(SlotState::deadline);
        let starts = self.slots.iter().filter_map(|slot| self.start_at(slot));
        let recycling = self.recycle_retries();
        // A time-out that was meant as "never" saturates there; it needs no timer.
        processes.chain(starts).chain(recycling).filter(|at| *at < Millis::MAX).min()
    }

    /// Compares wanted with actual and closes the gap as far as it can be closed now.
    fn reconcile(&mut self, out: &mut Vec<SupervisorAction>) {
        for slot in &mut self.slots {
            slot.kill_overdue(self.now, out);
        }
        if self.is_ending() {
            self.finish_when_empty(out);
            return;
        }
        if !self.started {
            return;
        }
        self.advance_reload(out);
        self.grant_recycling();
        for index in 0..self.slots.len() {
            let due = self.slots.get(index).and_then(|slot| self.start_at(slot));
            if due.is_some_and(|at| at <= self.now)
                && let Some(slot) = self.slots.get_mut(index)
            {
                slot.begin(out);
            }
        }
    }

    /// From when on the slot may begin the start that it wants; `None` when it wants none, or when
    /// it has to wait for an event and not for a time.
    fn start_at(&self, slot: &SlotState) -> Option<Millis> {
        if !self.started || self.is_ending() || !slot.can_begin() {
            return None;
        }
        let spaced = slot.spaced(self.settings.fork_interval_ms);
        let reloading = self.reload.as_ref().is_some_and(|reload| reload.is_at(slot.slot));
        if slot.serving.is_none() {
            // A reload is the user's word that something has changed: it does not wait for the
            // back-off. It cannot spin either, because its first failure ends it.
            return Some(if reloading { spaced } else { spaced.max(slot.boot.not_before) });
        }
        // Start-then-stop needs the leaving place free for the predecessor (decision 17).
        let replacing = reloading || slot.is_recycling();
        (replacing && slot.leaving.is_none()).then_some(spaced)
    }

    fn slot_mut(&mut self, key: ProcessKey) -> Option<&mut SlotState> {
        self.slots.get_mut(usize::from(key.slot.0))
    }

    fn memory_ready(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let now = self.now;
        if let Some(slot) = self.slot_mut(key) {
            slot.memory_ready(key, now, out);
        }
    }

    fn forked(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let ready_by = self.now.saturating_add(self.settings.boot_timeout_ms);
        if let Some(slot) = self.slot_mut(key) {
            slot.forked(key, ready_by, out);
        }
    }

    fn ready(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let gone_by = self.now.saturating_add(self.settings.drain_timeout_ms);
        if let Some(slot) = self.slot_mut(key) {
            slot.ready(key, gone_by, out);
        }
    }

    fn took_delivery(&mut self, key: ProcessKey) {
        if let Some(slot) = self.slot_mut(key) {
            slot.took_delivery(key);
        }
    }

    fn condemned(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        if let Some(slot) = self.slot_mut(key) {
            slot.condemned(key, out);
        }
    }
}
