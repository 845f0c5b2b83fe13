//! Who is given tasks, and what each has in hand.

use std::collections::VecDeque;

use super::task::TaskId;
use crate::Nanos;
use crate::ids::{LaneSlot, Slot};

/// Position of a task that is not yet written: no worker can have started it.
const NOT_WRITTEN: u64 = u64::MAX;
/// Work of one task before its worker has measured any: optimistic, because a wrong guess is
/// recallable.
const WORK_FIRST_NS: Nanos = 1_000;
/// A task may wait so long behind another one, while a worker idles.
const RECALL_AFTER_NS: Nanos = 1_000_000;

/// A task that was given to a worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) task: TaskId,
    /// Of its last record, in the ring.
    pub(super) position: u64,
    given_at: Nanos,
    is_done: bool,
}

/// One worker.
#[derive(Debug)]
pub(super) struct TaskWorker {
    slot: Slot,
    is_leaving: bool,
    /// Its ring had no room.
    is_full: bool,
    work_ns: Nanos,
    /// What was given and is not done, the oldest first; done ones between them.
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first_seq: u64,
    in_hand: u32,
    /// It is killed for the task that it runs.
    is_late: bool,
    /// Something was taken back, and nothing finished since: one at a time.
    is_unproven: bool,
}

impl TaskWorker {
    const fn new(slot: Slot) -> Self {
        Self {
            slot,
            is_leaving: false,
            is_full: false,
            work_ns: WORK_FIRST_NS,
            entries: VecDeque::new(),
            first_seq: 1,
            in_hand: 0,
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
        let seq = self.first_seq + self.entries.len() as u64;
        self.entries.push_back(Entry {
            task,
            position: NOT_WRITTEN,
            given_at: now,
            is_done: false,
        });
        self.in_hand += 1;
        seq
    }

    fn index(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.first_seq)?).ok()
    }

    /// A task that is in hand here.
    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(self.index(seq)?).filter(|entry| !entry.is_done)
    }

    pub(super) fn entry_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let index = self.index(seq)?;
        self.entries.get_mut(index).filter(|entry| !entry.is_done)
    }

    /// The newest was not written after all.
    pub(super) fn take_back(&mut self, seq: u64) {
        let is_newest = self.index(seq).is_some_and(|index| index + 1 == self.entries.len());
        crate::invariant!(is_newest, "what finds no room is the newest");
        if is_newest {
            self.entries.pop_back();
            self.in_hand -= 1;
        }
    }

    /// It has acknowledged a task.
    pub(super) fn finish(&mut self, seq: u64) {
        let Some(entry) = self.entry_mut(seq) else { return };
        entry.is_done = true;
        self.in_hand -= 1;
        self.is_unproven = false;
        while self.entries.front().is_some_and(|entry| entry.is_done) {
            self.entries.pop_front();
            self.first_seq += 1;
        }
    }

    /// Takes what it has not started, the newest first: positions from `first` on. Their numbers
    /// are given again.
    pub(super) fn take_unstarted(&mut self, first: u64) -> Option<TaskId> {
        let newest = self.entries.back().filter(|entry| !entry.is_done && entry.position >= first);
        let task = newest?.task;
        self.entries.pop_back();
        self.in_hand -= 1;
        self.is_unproven = true;
        Some(task)
    }

    /// Takes what it has in hand, the newest first.
    pub(super) fn take_any(&mut self) -> Option<TaskId> {
        while let Some(entry) = self.entries.pop_back() {
            if !entry.is_done {
                self.in_hand -= 1;
                return Some(entry.task);
            }
        }
        None
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
        self.places.iter().flatten().all(|worker| worker.in_hand == 0)
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

    /// Who has something that waits behind something else, while another one idles.
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
                place.as_ref().filter(|worker| worker.in_hand > 1 && !worker.is_leaving)?;
            let lane = LaneSlot(index as u32);
            let started = taken(lane);
            let waits = |entry: &&Entry| !entry.is_done && entry.position >= started;
            let oldest = worker.entries.iter().find(waits)?;
            // Of several parts, and on its way.
            let is_whole = oldest.position != NOT_WRITTEN;
            let due = oldest.given_at.saturating_add(RECALL_AFTER_NS);
            (is_whole && is_movable(oldest)).then_some((lane, due))
        };
        self.places.iter().enumerate().filter_map(of).min_by_key(|(_, due)| *due)
    }
}
