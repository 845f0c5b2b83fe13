//! Who is given tasks, and what each has in hand.

use super::entries::{Entries, Entry, NOT_WRITTEN};
use super::task::TaskId;
use crate::Nanos;
use crate::ids::{LaneSlot, Slot};

/// Work of one task before its worker has measured any: optimistic, because a wrong guess is
/// recallable.
const WORK_FIRST_NS: Nanos = 1_000;
/// A task may wait so long behind another one, while a worker idles.
const RECALL_AFTER_NS: Nanos = 1_000_000;
/// A worker that has not begun with its only task for so long is stopped, or gets no processor: the
/// task is taken back as well.
const STOPPED_AFTER_NS: Nanos = 100_000_000;

/// One worker.
#[derive(Debug)]
pub(super) struct TaskWorker {
    slot: Slot,
    is_leaving: bool,
    /// Its ring had no room.
    is_full: bool,
    work_ns: Nanos,
    /// What was given.
    entries: Entries,
    /// How many of them are not done, and in their callbacks or before them.
    in_hand: u32,
    /// How many of them are not done although their callbacks are over.
    deferred: u32,
    /// It is killed for the task that it runs.
    is_late: bool,
    /// Something was taken back, and nothing finished since: one at a time.
    is_unproven: bool,
}

impl TaskWorker {
    fn new(slot: Slot) -> Self {
        Self {
            slot,
            is_leaving: false,
            is_full: false,
            work_ns: WORK_FIRST_NS,
            entries: Entries::default(),
            in_hand: 0,
            deferred: 0,
            is_late: false,
            is_unproven: false,
        }
    }

    pub(super) const fn slot(&self) -> Slot {
        self.slot
    }

    pub(super) fn set_work(&mut self, work_ns: Nanos) {
        if work_ns > 0 {
            self.work_ns = work_ns;
        }
    }

    pub(super) const fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    pub(super) const fn set_late(&mut self, is_late: bool) {
        self.is_late = is_late;
    }

    pub(super) const fn is_late(&self) -> bool {
        self.is_late
    }

    pub(super) const fn leave(&mut self) {
        self.is_leaving = true;
    }

    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    fn has_credit(&self, prefetch_ns: Nanos, most: u32) -> bool {
        let more = u32::try_from(prefetch_ns / self.work_ns.max(1)).unwrap_or(u32::MAX);
        let window = if self.is_unproven { 1 } else { 1 + more.min(most.saturating_sub(1)) };
        !self.is_leaving && !self.is_full && self.in_hand < window
    }

    /// A task is given; its number here.
    pub(super) fn give(&mut self, task: TaskId, now: Nanos) -> u64 {
        self.in_hand += 1;
        self.entries.push(task, now)
    }

    /// A task that is in hand here, or deferred.
    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(seq)
    }

    pub(super) fn entry_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        self.entries.get_mut(seq)
    }

    /// The newest was not written after all.
    pub(super) fn take_back(&mut self, seq: u64) {
        let newest = self.entries.take_newest(seq);
        crate::invariant!(newest.is_some(), "what finds no room is the newest");
        self.leaves(newest);
    }

    /// It has acknowledged a task.
    pub(super) fn finish(&mut self, seq: u64) {
        let finished = self.entries.finish(seq);
        if self.leaves(finished).is_some() {
            self.is_unproven = false;
        }
    }

    /// Takes what it has not started, the newest first: positions from `first` on. Their numbers
    /// are given again.
    pub(super) fn take_unstarted(&mut self, first: u64) -> Option<TaskId> {
        let newest = self.entries.take_unstarted(first);
        let task = self.leaves(newest)?;
        self.is_unproven = true;
        Some(task)
    }

    /// Takes what it has in hand or has deferred, the newest first; whether its callback is over.
    pub(super) fn take_any(&mut self) -> Option<(TaskId, bool)> {
        let newest = self.entries.take_any()?;
        self.leaves(Some(newest));
        Some((newest.task, newest.is_deferred))
    }

    /// A task that is not done leaves.
    fn leaves(&mut self, entry: Option<Entry>) -> Option<TaskId> {
        let entry = entry?;
        let counted = if entry.is_deferred { &mut self.deferred } else { &mut self.in_hand };
        *counted -= 1;
        Some(entry.task)
    }

    /// The callbacks of all tasks below this position are over. What of them is not done was
    /// deferred: it may take as long as it likes, and the worker has room for others.
    pub(super) fn defer_below(&mut self, freed: u64) {
        let deferred = self.entries.defer_below(freed);
        self.in_hand -= deferred;
        self.deferred += deferred;
    }

    /// Whether something may wait behind something else: also behind what goes on after a callback,
    /// which may block the worker.
    const fn has_a_queue(&self) -> bool {
        self.in_hand > 0 && self.in_hand + self.deferred > 1
    }

    /// Whether a callback runs here or is to come: what says that it is over matters.
    pub(super) const fn is_busy(&self) -> bool {
        self.in_hand > 0
    }

    /// What is kept of what was given to it.
    #[cfg(test)]
    pub(super) const fn entries(&self) -> &Entries {
        &self.entries
    }
}

/// All of them, by the places of their lanes.
#[derive(Debug, Default)]
pub(super) struct Workers {
    places: Vec<Option<TaskWorker>>,
    /// Where the last one was found: of those that have as little to do, the next is taken.
    last: usize,
}

impl Workers {
    pub(super) fn add(&mut self, lane: LaneSlot, slot: Slot) {
        let index = lane.0 as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        if let Some(place) = self.places.get_mut(index) {
            crate::invariant!(place.is_none(), "a lane begins to serve once");
            *place = Some(TaskWorker::new(slot));
        }
    }

    pub(super) fn get(&self, lane: LaneSlot) -> Option<&TaskWorker> {
        self.places.get(lane.0 as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, lane: LaneSlot) -> Option<&mut TaskWorker> {
        self.places.get_mut(lane.0 as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, lane: LaneSlot) -> Option<TaskWorker> {
        self.places.get_mut(lane.0 as usize)?.take()
    }

    pub(super) fn are_idle(&self) -> bool {
        self.places.iter().flatten().all(|worker| worker.in_hand + worker.deferred == 0)
    }

    /// The one with credit that has least in hand, among those for which there is work.
    pub(super) fn idlest(
        &mut self,
        prefetch_ns: Nanos,
        most: u32,
        has_work: impl Fn(Slot) -> bool,
    ) -> Option<LaneSlot> {
        let count = self.places.len();
        let mut best: Option<(u32, usize)> = None;
        for turn in 1..=count {
            let index = (self.last + turn) % count;
            let Some(Some(worker)) = self.places.get(index) else { continue };
            let is_less = best.is_none_or(|(in_hand, _)| worker.in_hand < in_hand);
            if is_less && worker.has_credit(prefetch_ns, most) && has_work(worker.slot) {
                best = Some((worker.in_hand, index));
                if worker.in_hand == 0 {
                    break;
                }
            }
        }
        let (_, index) = best?;
        self.last = index;
        Some(LaneSlot(index as u32))
    }

    /// Who has something that it does not begin with, while another one idles.
    pub(super) fn recall_candidate(
        &self,
        taken: impl Fn(LaneSlot) -> u64,
        is_movable: impl Fn(&Entry) -> bool,
    ) -> Option<(LaneSlot, Nanos)> {
        let mut all = self.places.iter().flatten();
        if !all.any(|worker| worker.in_hand == 0 && worker.has_credit(0, 1)) {
            return None;
        }
        let of = |(index, place): (usize, &Option<TaskWorker>)| {
            let worker =
                place.as_ref().filter(|worker| worker.in_hand > 0 && !worker.is_leaving)?;
            let lane = LaneSlot(index as u32);
            // Neither one whose parts are on their way, nor one that is for this worker alone: what
            // stands behind that may go elsewhere.
            let may_go = |entry: &&Entry| entry.position != NOT_WRITTEN && is_movable(entry);
            let oldest = worker.entries.unstarted(taken(lane)).find(may_go)?;
            let is_behind = worker.has_a_queue();
            let patience = if is_behind { RECALL_AFTER_NS } else { STOPPED_AFTER_NS };
            Some((lane, oldest.given_at.saturating_add(patience)))
        };
        self.places.iter().enumerate().filter_map(of).min_by_key(|(_, due)| *due)
    }
}
