//! A lane as the reactor's brain sees it: who is at the other end, what is in hand there, how much more may be given.

use super::ledger::Ledger;
use super::lists::List;
use crate::Nanos;
use crate::ids::WorkerKey;

/// A lane's place in its reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneSlot(pub u32);

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

/// Weight of a new sample in the estimate of a package's work: one in eight.
const ESTIMATE_SHIFT: u32 = 3;
/// First estimate, before anything was measured: optimistic, because a wrong guess is recallable.
const ESTIMATE_FIRST_NS: Nanos = 1_000;

/// A worker whose deliveries were taken back counts as having at most so many more in hand: it is tried again when the
/// others have as many.
const SUSPICION_MAX: u32 = 8;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) key: WorkerKey,
    pub(super) state: LaneState,
    pub(super) ledger: Ledger,
    /// Deliveries given whose callback is not known to be over.
    pub(super) in_hand: u32,
    /// Bound or hashed sessions that could be given something.
    pub(super) runnable: List,
    /// The ring had no room; cleared when the worker frees some.
    pub(super) is_full: bool,
    pub(super) estimate_ns: Nanos,
    /// Ring space below this position holds other packages by now.
    pub(super) reused_below: u64,
    /// How often deliveries were taken back since the last that was finished: the worker is busy, maybe with what another
    /// reactor gave it, of which this one knows nothing.
    pub(super) recalls_in_row: u32,
    busy_since: Nanos,
    finished_in_turn: u64,
}

impl Lane {
    pub(super) fn new(key: WorkerKey, estimate_ns: Option<Nanos>) -> Self {
        Self {
            key,
            state: LaneState::Booting,
            ledger: Ledger::default(),
            in_hand: 0,
            runnable: List::default(),
            is_full: false,
            estimate_ns: estimate_ns.unwrap_or(ESTIMATE_FIRST_NS),
            reused_below: 0,
            recalls_in_row: 0,
            busy_since: 0,
            finished_in_turn: 0,
        }
    }

    /// How many deliveries may be at the worker at once: one it works on, and as many more as it is estimated to do in
    /// `prefetch_ns`.
    pub(super) fn window(&self, prefetch_ns: Nanos, prefetch_packages: u32) -> u32 {
        let more = prefetch_ns / self.estimate_ns.max(1);
        1 + u32::try_from(more).unwrap_or(u32::MAX).min(prefetch_packages.saturating_sub(1))
    }

    pub(super) fn has_credit(&self, prefetch_ns: Nanos, prefetch_packages: u32) -> bool {
        self.state == LaneState::Serving
            && !self.is_full
            && !self.ledger.is_partial()
            && self.in_hand < self.window(prefetch_ns, prefetch_packages)
    }

    pub(super) fn count_given(&mut self, now: Nanos) {
        if self.in_hand == 0 {
            self.busy_since = now;
        }
        self.in_hand += 1;
    }

    pub(super) fn count_finished(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.finished_in_turn += 1;
        self.recalls_in_row = 0;
    }

    /// What the dispatcher compares: deliveries in hand, and more the longer the worker seems to be busy for others.
    pub(super) fn load(&self) -> u32 {
        self.in_hand + self.suspicion()
    }

    pub(super) fn suspicion(&self) -> u32 {
        self.recalls_in_row.min(SUSPICION_MAX)
    }

    /// At the end of a turn in which outputs were consumed: what one delivery cost.
    pub(super) fn estimate(&mut self, now: Nanos) {
        if self.finished_in_turn == 0 {
            return;
        }
        let sample = now.saturating_sub(self.busy_since) / self.finished_in_turn;
        self.estimate_ns =
            self.estimate_ns - (self.estimate_ns >> ESTIMATE_SHIFT) + (sample >> ESTIMATE_SHIFT);
        self.finished_in_turn = 0;
        self.busy_since = now;
    }
}
