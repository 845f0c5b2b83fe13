//! Recycling: a process asks to be replaced; tokens bound how many do so at once.
//!
//! A token is held from the grant until the old process is gone, so that at most `recycle_at_once`
//! processes exist beyond one per slot. Until its turn comes the old process goes on serving.

use super::backoff::BackOff;
use super::group::Group;
use super::process::Process;
use super::types::{LeaveReason, SupervisorAction};
use crate::Millis;
use crate::ids::{ProcessKey, Slot};

/// A process in the queue for a token. At most one per living process.
#[derive(Debug)]
pub(super) struct Request {
    key: ProcessKey,
    reason: LeaveReason,
    /// Failures to boot a successor for it; apart from the slot's own boot failures, because the
    /// slot must not pause when this process dies.
    retry: BackOff,
}

/// A token in use.
#[derive(Debug)]
pub(super) struct Recycling {
    /// The process that is being replaced.
    pub(super) old: ProcessKey,
    reason: LeaveReason,
    retry: BackOff,
}

impl Group {
    /// Queues the request, once per process. A process that leaves already needs nothing, one that
    /// is not ready yet is recycled when it serves.
    pub(super) fn leave_requested(&mut self, key: ProcessKey, reason: LeaveReason) {
        if self.stopping {
            return;
        }
        let Some(slot) = self.slot_mut(key) else { return };
        let has_worked = slot
            .serving
            .as_ref()
            .is_some_and(|serving| serving.key == key && serving.took_delivery);
        if reason == LeaveReason::Memory && !has_worked {
            return;
        }
        let asked = match (&mut slot.starting, &mut slot.serving) {
            (Some(starting), _) if starting.key == key => &mut starting.leave_asked,
            (_, Some(serving)) if serving.key == key => &mut serving.leave_asked,
            _ => return,
        };
        if !std::mem::replace(asked, true) && !self.is_of_singles() {
            self.recycle_queue.push_back(Request { key, reason, retry: BackOff::default() });
        }
    }

    /// Hands free tokens to the requests that can use one, in order. A request that has to wait
    /// (back-off, a predecessor that still leaves) lets others pass.
    pub(super) fn grant_recycling(&mut self, out: &mut Vec<SupervisorAction>) {
        let slots = &self.slots;
        self.recycle_queue.retain(|request| {
            let slot = slots.get(usize::from(request.key.slot.0));
            slot.is_some_and(|slot| {
                let starting = slot.starting.as_ref().map(|starting| starting.key);
                let serving = slot.serving.as_ref().map(|serving| serving.key);
                [starting, serving].contains(&Some(request.key))
            })
        });
        while self.has_free_token() {
            let next = self.recycle_queue.iter().position(|request| {
                request.retry.not_before <= self.now && self.can_recycle(request.key)
            });
            let Some(request) = next.and_then(|place| self.recycle_queue.remove(place)) else {
                return;
            };
            let Request { key, reason, retry } = request;
            if let Some(slot) = self.slot_mut(key) {
                slot.recycling = Some(Recycling { old: key, reason, retry });
                out.push(SupervisorAction::Recycles(key, reason));
            }
        }
    }

    /// When the process that becomes ready in this slot now is old. The slots are spread over the
    /// half before the maximum by their number: those that start together leave one after another
    /// (S29), and none is older than the maximum when its turn begins.
    pub(super) fn old_at(&self, slot: Slot) -> Millis {
        let Some(most) = self.settings.age_max_ms else { return Millis::MAX };
        let (turn, slots) = (u64::from(slot.0), self.slots.len().max(1) as u64);
        // In this order nothing overflows, and the part is below a half.
        let earlier = (most / 2 / slots).saturating_mul(turn);
        self.now.saturating_add(most.saturating_sub(earlier).max(1))
    }

    /// Whoever has become old asks to be replaced, without having to notice it itself.
    pub(super) fn recycle_the_old(&mut self) {
        let now = self.now;
        let serving = self.slots.iter().filter_map(|slot| slot.serving.as_ref());
        let is_old = |process: &&Process| process.old_at <= now && !process.leave_asked;
        let old: Vec<_> = serving.filter(is_old).map(|process| process.key).collect();
        for key in old {
            self.leave_requested(key, LeaveReason::Age);
        }
    }

    /// When those who serve become old.
    pub(super) fn ages(&self) -> impl Iterator<Item = Millis> {
        let serving = self.slots.iter().filter_map(|slot| slot.serving.as_ref());
        let ages = !self.stopping;
        serving.filter(move |process| ages && !process.leave_asked).map(|process| process.old_at)
    }

    /// The successor failed to boot: the old process goes on serving, the token goes to the next
    /// in the queue, the request comes back after a pause.
    pub(super) fn recycling_failed(&mut self, slot: Slot, out: &mut Vec<SupervisorAction>) {
        let pauses = self.pauses_of(slot);
        let Some(state) = self.slots.get_mut(usize::from(slot.0)) else { return };
        let Some(Recycling { old, reason, mut retry }) = state.recycling.take() else {
            crate::invariant!(false, "only a slot that is being recycled fails at it");
            return;
        };
        let retry_after_ms = retry.failed(self.now, pauses);
        out.push(SupervisorAction::BackOff {
            kind: self.kind,
            slot,
            failures: retry.failures,
            retry_after_ms,
        });
        self.recycle_queue.push_back(Request { key: old, reason, retry });
    }

    /// When requests that wait for nothing but their pause can go on.
    pub(super) fn recycle_retries(&self) -> impl Iterator<Item = Millis> {
        let free = self.has_free_token();
        let waiting = self.recycle_queue.iter().filter(move |request| {
            // (A request that could go on now has gone on already.)
            free && self.can_recycle(request.key)
        });
        waiting.map(|request| request.retry.not_before)
    }

    /// No token while a reload runs: it replaces most of those who ask anyway. None during a drain:
    /// who asks goes on serving until all end, and a TERM to the whole process group makes all ask
    /// at once.
    fn has_free_token(&self) -> bool {
        let used = self.slots.iter().filter(|slot| slot.recycling.is_some()).count();
        !self.draining
            && self.reload.is_none()
            && used < usize::from(self.settings.recycle_at_once.max(1))
    }

    /// Whether a token would be of use now, apart from the pause after a failure.
    fn can_recycle(&self, key: ProcessKey) -> bool {
        self.slots.get(usize::from(key.slot.0)).is_some_and(|slot| {
            let serving = slot.serving.as_ref();
            serving.is_some_and(|serving| serving.key == key && serving.killed.is_none())
                && slot.starting.is_none()
                && slot.leaving.is_none()
                && slot.recycling.is_none()
        })
    }
}
