//! Recycling: a process asks to be replaced; tokens bound how many do so at once.
//!
//! A token is held from the grant until the old process is gone, so that at most `recycle_at_once`
//! processes exist beyond one per slot. Until its turn comes the old process goes on serving.

use super::backoff::BackOff;
use super::group::Group;
use super::types::SupervisorAction;
use crate::Millis;
use crate::ids::{ProcessKey, Slot};

/// A process in the queue for a token. At most one per living process.
#[derive(Debug)]
pub(super) struct Request {
    key: ProcessKey,
    /// Failures to boot a successor for it; apart from the slot's own boot failures, because the
    /// slot must not pause when this process dies.
    retry: BackOff,
}

/// A token in use.
#[derive(Debug)]
pub(super) struct Recycling {
    /// The process that is being replaced.
    pub(super) old: ProcessKey,
    retry: BackOff,
}

impl Group {
    /// Queues the request, once per process. A process that leaves already needs nothing, one that
    /// is not ready yet is recycled when it serves.
    pub(super) fn leave_requested(&mut self, key: ProcessKey) {
        if self.stopping {
            return;
        }
        let Some(slot) = self.slot_mut(key) else { return };
        let asked = match (&mut slot.starting, &mut slot.serving) {
            (Some(starting), _) if starting.key == key => &mut starting.leave_asked,
            (_, Some(serving)) if serving.key == key => &mut serving.leave_asked,
            _ => return,
        };
        if !std::mem::replace(asked, true) {
            self.recycle_queue.push_back(Request { key, retry: BackOff::default() });
        }
    }

    /// Hands free tokens to the requests that can use one, in order. A request that has to wait
    /// (back-off, a predecessor that still leaves) lets others pass.
    pub(super) fn grant_recycling(&mut self) {
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
            if let Some(slot) = self.slot_mut(request.key) {
                slot.recycling = Some(Recycling { old: request.key, retry: request.retry });
            }
        }
    }

    /// The successor failed to boot: the old process goes on serving, the token goes to the next
    /// in the queue, the request comes back after a pause.
    pub(super) fn recycling_failed(&mut self, slot: Slot, out: &mut Vec<SupervisorAction>) {
        let Some(state) = self.slots.get_mut(usize::from(slot.0)) else { return };
        let Some(Recycling { old, mut retry }) = state.recycling.take() else {
            crate::invariant!(false, "only a slot that is being recycled fails at it");
            return;
        };
        let retry_after_ms = retry.failed(self.now, &self.settings);
        out.push(SupervisorAction::BackOff {
            kind: self.kind,
            slot,
            failures: retry.failures,
            retry_after_ms,
        });
        self.recycle_queue.push_back(Request { key: old, retry });
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
