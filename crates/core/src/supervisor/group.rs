//! One kind of process: its slots, and everything that is settled among the processes of one kind
//! alone (reload, recycling, pauses, restart intensity).

use std::collections::{BTreeSet, VecDeque};

use super::intensity::Intensity;
use super::process::Starting;
use super::recycle::Request;
use super::reload::Reload;
use super::renewal::Renewal;
use super::slot::SlotState;
use super::types::{Code, GroupSettings, KillCause, SupervisorAction};
use crate::Millis;
use crate::ids::{ProcessKey, ProcessKind, Slot};

/// All processes of one kind. The [`Supervisor`](super::Supervisor) decides the order among groups.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) kind: ProcessKind,
    pub(super) settings: GroupSettings,
    /// The latest time seen; the caller's clock may jump backwards, this one does not.
    pub(super) now: Millis,
    started: bool,
    /// All that there can be; the first `wanted` of them are filled.
    pub(super) slots: Vec<SlotState>,
    pub(super) wanted: u16,
    /// How many are to be filled, when that can begin.
    pub(super) resize_wanted: Option<u16>,
    pub(super) reload: Option<Reload>,
    /// A reload was asked for and has not begun: any number of requests merge into this one.
    pub(super) reload_wanted: bool,
    pub(super) recycle_queue: VecDeque<Request>,
    /// The end is near: no recycling is begun.
    pub(super) draining: bool,
    pub(super) intensity: Intensity,
    /// The group was told to stop: nothing starts any more. There is no way back.
    pub(super) stopping: bool,
    pub(super) told_nobody_boots: bool,
    /// A reload was done, and single processes were not told yet.
    pub(super) has_reloaded: bool,
    /// Single processes that are being replaced on request, and those that are to be after that.
    pub(super) renewal: Option<Renewal>,
    pub(super) renewal_wanted: BTreeSet<Slot>,
}

impl Group {
    /// A group of empty slots; nothing starts before [`Group::start`].
    pub(super) fn new(kind: ProcessKind, settings: GroupSettings) -> Self {
        let room = settings.slots.max(settings.slots_max);
        let slots = (0..room).map(|slot| SlotState::new(kind, Slot(slot))).collect();
        let wanted = settings.slots;
        let intensity = Intensity::new(settings.restart_intensity, settings.restart_period_ms);
        Self {
            kind,
            settings,
            now: 0,
            started: false,
            slots,
            wanted,
            resize_wanted: None,
            reload: None,
            reload_wanted: false,
            recycle_queue: VecDeque::new(),
            draining: false,
            intensity,
            stopping: false,
            told_nobody_boots: false,
            has_reloaded: false,
            renewal: None,
            renewal_wanted: BTreeSet::new(),
        }
    }

    /// Begins to fill the slots, all of them at the next [`Group::reconcile`].
    pub(super) fn start(&mut self) {
        self.started = true;
    }

    /// Time goes on, never back.
    pub(super) fn pass_to(&mut self, now: Millis) {
        self.now = self.now.max(now);
    }

    /// Whether no process, and no start that may have become one, is left.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(SlotState::is_empty)
    }

    /// When time alone changes something.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let processes = self.slots.iter().filter_map(SlotState::deadline);
        let starts = self.slots.iter().filter_map(|slot| self.start_at(slot));
        let recycling = self.recycle_retries().chain(self.ages());
        // A time-out that was meant as "never" saturates there; it needs no timer.
        processes.chain(starts).chain(recycling).filter(|at| *at < Millis::MAX).min()
    }

    /// Compares wanted with actual and closes the gap as far as it can be closed now.
    pub(super) fn reconcile(&mut self, out: &mut Vec<SupervisorAction>) {
        for slot in &mut self.slots {
            slot.kill_overdue(self.now, out);
        }
        if self.stopping || !self.started {
            return;
        }
        self.advance_renewal(out);
        self.let_singles_go(out);
        self.advance_reload(out);
        self.advance_resize(out);
        self.recycle_the_old();
        self.grant_recycling(out);
        for index in 0..self.slots.len() {
            let due = self.slots.get(index).and_then(|slot| self.start_at(slot));
            if due.is_some_and(|at| at <= self.now)
                && let Some(slot) = self.slots.get_mut(index)
            {
                slot.begin(out);
            }
        }
    }

    /// Which code a start runs whose memory has come. Asked only then, because the reload that it
    /// was begun in may be over.
    fn code_for(&mut self, key: ProcessKey) -> Code {
        let is_start = |slot: &mut SlotState| slot.starting.as_ref().is_some_and(|s| s.key == key);
        if !self.slot_mut(key).is_some_and(is_start) {
            return Code::Accepted;
        }
        match &mut self.reload {
            None => Code::Accepted,
            // What the others have proved is the accepted one by now.
            Some(_) if self.settings.reloads_behind => Code::Accepted,
            // There is one code, which whoever starts from now on runs.
            Some(_) if !self.settings.keeps_accepted => Code::Candidate,
            Some(reload) => reload.code_for(key),
        }
    }

    /// From when on the slot may begin the start that it wants; `None` when it wants none, or when
    /// it has to wait for an event and not for a time.
    fn start_at(&self, slot: &SlotState) -> Option<Millis> {
        let is_wanted = self.is_wanted(slot.slot) && !slot.is_over;
        if !self.started || self.stopping || !is_wanted || !slot.can_begin() {
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

    pub(super) fn slot_mut(&mut self, key: ProcessKey) -> Option<&mut SlotState> {
        self.slots.get_mut(usize::from(key.slot.0))
    }

    pub(super) fn memory_ready(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let (now, code) = (self.now, self.code_for(key));
        let is_wanted = self.is_wanted(key.slot);
        if let Some(slot) = self.slot_mut(key) {
            if !is_wanted || slot.starting.as_ref().is_some_and(Starting::was_not_wanted) {
                slot.want_no_memory(key);
            }
            slot.memory_ready(key, code, now, out);
        }
    }

    pub(super) fn forked(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let ready_by = self.now.saturating_add(self.settings.boot_timeout_ms);
        if let Some(slot) = self.slot_mut(key) {
            slot.forked(key, ready_by, out);
        }
    }

    pub(super) fn ready(&mut self, key: ProcessKey, out: &mut Vec<SupervisorAction>) {
        let (now, old_at) = (self.now, self.old_at(key.slot));
        let gone_by = now.saturating_add(self.settings.drain_timeout_ms);
        if let Some(slot) = self.slot_mut(key) {
            slot.ready(key, now, [gone_by, old_at], out);
        }
    }

    pub(super) fn took_delivery(&mut self, key: ProcessKey) {
        if let Some(slot) = self.slot_mut(key) {
            slot.took_delivery(key);
        }
    }

    /// Kills a process, whatever it does.
    pub(super) fn kill(
        &mut self,
        key: ProcessKey,
        cause: KillCause,
        out: &mut Vec<SupervisorAction>,
    ) {
        if let Some(slot) = self.slot_mut(key) {
            slot.kill(key, cause, out);
        }
    }
}
