//! A lane as the reactor's brain sees it: who is at the other end, what is in hand there, how much
//! more may be given.

use super::super::ledger::Ledger;
use super::super::run_lists::History;
use crate::Nanos;
use crate::ids::{ConnectionSlot, ProcessKey};

/// Where a lane stands (protocol §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// The worker is not ready.
    Booting,
    /// Packages are given.
    Serving,
    /// No more packages; what is in hand is finished.
    Leaving,
    /// The worker wrote nonsense: nothing of it is read any more.
    Condemned,
}

/// Work of one delivery before its worker has measured any: optimistic, because a wrong guess is
/// recallable.
const WORK_FIRST_NS: Nanos = 1_000;
/// After a recall the worker has to finish what it has in hand and so many more, one by one, before
/// any waits behind another again. Eight instead of none cost a quarter more CPU with one slow
/// delivery in a hundred, and gained nothing in latency (decision 24).
const PROOF_DELIVERIES: u32 = 1;

/// What takes a worker so long in all, by its own measure, is done soon: as much as waits at a
/// worker by default.
const SOON_NS: Nanos = 100_000;

/// A worker whose deliveries were taken back counts as having at most so many more in hand: it is
/// tried again when the others have as many.
const SUSPICION_MAX: u32 = 8;

/// How much may wait at a worker.
#[derive(Clone, Copy, Debug)]
pub(in crate::brain) struct Credit {
    /// Estimated work, nanoseconds.
    pub(in crate::brain) prefetch_ns: Nanos,
    /// Deliveries.
    pub(in crate::brain) prefetch_packages: u32,
}

/// One lane. What is counted (in hand, recalls) changes only by what happened.
#[derive(Debug)]
pub(in crate::brain) struct Lane {
    pub(in crate::brain) key: ProcessKey,
    state: LaneState,
    pub(in crate::brain) ledger: Ledger,
    /// Deliveries given whose callback is not known to be over.
    in_hand: u32,
    /// The ring had no room; cleared when the worker frees some.
    pub(in crate::brain) is_full: bool,
    /// What one delivery takes at this worker, by its own measure. It may lie: then it gets too
    /// much or too little ahead.
    work_ns: Nanos,
    /// Deliveries to be finished before anything waits behind another again.
    unproven: u32,
    /// Ring space below this position holds other packages by now.
    reused_below: u64,
    /// How often deliveries were taken back since the last that was finished: the worker is busy,
    /// maybe with what another reactor gave it, of which this one knows nothing.
    recalls_in_row: u32,
    /// Whose turn is next.
    turn_of: History,
    /// The session for whose sake the worker is killed: it is late with a delivery of it.
    pub(in crate::brain) late: Option<ConnectionSlot>,
}

impl Lane {
    pub(super) fn new(key: ProcessKey, work_ns: Option<Nanos>) -> Self {
        Self {
            key,
            state: LaneState::Booting,
            ledger: Ledger::default(),
            in_hand: 0,
            is_full: false,
            work_ns: work_ns.unwrap_or(WORK_FIRST_NS),
            unproven: 0,
            reused_below: 0,
            recalls_in_row: 0,
            late: None,
            // Not always the same, as long as nobody knows whose packages kill their processes: see
            // `Turns::first`.
            turn_of: if key.generation.0.is_multiple_of(2) {
                History::New
            } else {
                History::Served
            },
        }
    }

    /// How many deliveries may be at the worker at once: one it works on, and as many more as it
    /// does in `prefetch_ns` by its own measure.
    fn window(&self, credit: Credit) -> u32 {
        if self.unproven > 0 {
            return 1;
        }
        let more = credit.prefetch_ns / self.work_ns.max(1);
        1 + u32::try_from(more).unwrap_or(u32::MAX).min(credit.prefetch_packages.saturating_sub(1))
    }

    pub(in crate::brain) fn has_credit(&self, credit: Credit) -> bool {
        self.state == LaneState::Serving
            && !self.is_full
            && !self.ledger.is_partial()
            && self.in_hand < self.window(credit)
    }

    /// How many deliveries more may be given.
    pub(in crate::brain) fn free_credit(&self, credit: Credit) -> u32 {
        if self.has_credit(credit) { self.window(credit) - self.in_hand } else { 0 }
    }

    pub(in crate::brain) const fn state(&self) -> LaneState {
        self.state
    }

    /// Set by [`super::Lanes`], which knows the lane that serves in each slot.
    pub(super) const fn set_state(&mut self, state: LaneState) {
        self.state = state;
    }

    /// Deliveries given whose callback is not known to be over.
    pub(in crate::brain) const fn in_hand(&self) -> u32 {
        self.in_hand
    }

    /// Deliveries given that are not finished, deferred ones included.
    pub(in crate::brain) fn unfinished(&self) -> u32 {
        u32::try_from(self.ledger.unfinished()).unwrap_or(u32::MAX)
    }

    pub(super) const fn work_ns(&self) -> Nanos {
        self.work_ns
    }

    /// The worker's own measure of one delivery. Zero means that it has measured none yet.
    pub(in crate::brain) const fn set_work(&mut self, work_ns: Nanos) {
        if work_ns > 0 {
            self.work_ns = work_ns;
        }
    }

    /// Whether there is something in hand, and all of it is done soon. The mean of a worker from
    /// which deliveries were taken back does not show the one that it is busy with.
    pub(in crate::brain) fn is_soon_done(&self) -> bool {
        let work_ns = self.work_ns.saturating_mul(Nanos::from(self.in_hand));
        self.in_hand > 0 && self.unproven == 0 && work_ns <= SOON_NS
    }

    /// Ring space below this position holds other packages by now.
    pub(in crate::brain) const fn reused_below(&self) -> u64 {
        self.reused_below
    }

    /// The worker has freed its ring space below `freed`. A delivery there that is not finished was
    /// deferred: it goes on, but the worker has a free hand, so that it takes no credit any more.
    /// Answers whether there was one.
    pub(in crate::brain) fn reuse_below(&mut self, freed: u64, now: Nanos) -> bool {
        let deferred = self.ledger.defer_between(self.reused_below, freed, now);
        for _ in 0..deferred {
            self.count_finished();
        }
        self.reused_below = self.reused_below.max(freed);
        deferred > 0
    }

    /// One delivery was taken back, unstarted.
    pub(in crate::brain) fn count_taken_back(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
    }

    /// What the worker had not started was taken back. What waited behind a slow delivery would
    /// only wait there again: nothing waits there until what it has in hand, and some more, is
    /// finished. What the worker measures cannot lift that: its mean does not show the delivery
    /// that it is busy with.
    pub(in crate::brain) fn recalled(&mut self) {
        self.recalls_in_row += 1;
        self.is_full = false;
        self.unproven = self.in_hand.saturating_add(PROOF_DELIVERIES);
    }

    /// How often deliveries were taken back since the last that was finished.
    pub(in crate::brain) const fn recalls_in_row(&self) -> u32 {
        self.recalls_in_row
    }

    pub(in crate::brain) fn count_given(&mut self) {
        self.in_hand += 1;
    }

    pub(in crate::brain) fn count_finished(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.unproven = self.unproven.saturating_sub(1);
        self.recalls_in_row = 0;
    }

    /// Those with this history have their turn first.
    pub(in crate::brain) const fn begin_with(&mut self, history: History) {
        self.turn_of = history;
    }

    /// Those with this history have their turn now.
    pub(in crate::brain) const fn turn_of(&self) -> History {
        self.turn_of
    }

    /// A session with this history has had its turn.
    pub(in crate::brain) const fn pass_turn(&mut self, from: History) {
        self.turn_of = from.other();
    }

    /// What the dispatcher compares: deliveries in hand, and more the longer the worker seems to be
    /// busy for others.
    pub(in crate::brain) fn load(&self) -> u32 {
        self.in_hand + self.suspicion()
    }

    pub(in crate::brain) fn suspicion(&self) -> u32 {
        self.recalls_in_row.min(SUSPICION_MAX)
    }
}
