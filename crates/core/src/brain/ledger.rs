//! The ledger: a reactor's private list of what it gave to a lane and what became of it. It
//! survives the worker.

use crate::Nanos;
use crate::body::Body;
use crate::ids::{DeliveryKind, Subject};
use std::collections::VecDeque;

/// One delivery at a lane.
#[derive(Debug)]
pub struct Entry {
    /// Number of the delivery on its lane; `FIN` and `EXPOSE` name it.
    pub seq: u64,
    /// Position of its (last) record in the package ring: started when below `taken`.
    pub position: u64,
    /// What it is about.
    pub subject: Subject,
    /// What it is.
    pub kind: DeliveryKind,
    /// Bytes of the package.
    pub len: u32,
    /// How often it was started by workers that died.
    pub attempt: u8,
    /// How many workers died with it waiting at them, unstarted.
    pub deaths_while_waiting: u8,
    /// Its outputs were seen before it was finished: it is never delivered again.
    pub exposed: bool,
    /// It is finished.
    pub done: bool,
    /// When it was received: [`Assignment::received_at`](crate::brain::Assignment).
    pub received_at: Nanos,
    /// When it was given.
    pub given_at: Nanos,
    /// When its callback was known to be over without it; 0: it is not deferred.
    pub deferred_at: Nanos,
    /// Whether it was given in several parts: it does not lie in the ring as one record.
    pub in_parts: bool,
    /// The package, as long as it is kept elsewhere.
    pub body: Option<Body>,
}

/// So many done deliveries may stand behind one that is not done before that one is put aside.
const DONE_MAX: usize = 64;

/// What was given to one lane, oldest first; done entries leave from the front.
#[derive(Debug)]
pub struct Ledger {
    /// Started deliveries that take long, put aside so that those behind them can leave; oldest
    /// first.
    slow: Vec<Entry>,
    /// How many of `slow` are done; they leave when they are more than half.
    slow_done: usize,
    entries: VecDeque<Entry>,
    /// Number of the first of `entries`.
    first_seq: u64,
    /// How many of `entries` are done.
    done: usize,
    /// Bodies below this position are kept already.
    kept_below: u64,
    /// Bytes of all bodies that are kept.
    body_bytes: u64,
}

impl Entry {
    fn body_len(&self) -> u64 {
        self.body.as_ref().map_or(0, |body| body.len() as u64)
    }

    /// Drops the body, unless its worker reads it from where it lies. Answers how many bytes that
    /// were.
    fn drop_body(&mut self) -> u64 {
        if self.body.as_ref().is_some_and(|body| body.shared().is_some()) {
            return 0;
        }
        let freed = self.body_len();
        self.body = None;
        freed
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            slow: Vec::new(),
            slow_done: 0,
            entries: VecDeque::new(),
            first_seq: 1,
            done: 0,
            kept_below: 0,
            body_bytes: 0,
        }
    }
}

impl Ledger {
    /// The number of the next delivery. Numbers of recalled deliveries are used again: no worker
    /// ever saw them start.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.entries.len() as u64
    }

    /// Adds the newest delivery; its `seq` is set here.
    pub fn push(&mut self, mut entry: Entry) {
        entry.seq = self.next_seq();
        self.body_bytes += entry.body_len();
        self.entries.push_back(entry);
    }

    /// The delivery `seq`, if it is still listed.
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        if let Some(index) = seq.checked_sub(self.first_seq) {
            return self.entries.get_mut(usize::try_from(index).ok()?);
        }
        let index = self.slow.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.slow.get_mut(index)
    }

    /// The delivery `seq`, if it is still listed.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&Entry> {
        if let Some(index) = seq.checked_sub(self.first_seq) {
            return self.entries.get(usize::try_from(index).ok()?);
        }
        let index = self.slow.binary_search_by_key(&seq, |entry| entry.seq).ok()?;
        self.slow.get(index)
    }

    /// The delivery `seq` is done: its body goes now, the entry when nothing unfinished is before
    /// it.
    pub fn finish(&mut self, seq: u64) {
        let is_slow = seq < self.first_seq;
        let Some(entry) = self.get_mut(seq) else { return };
        if std::mem::replace(&mut entry.done, true) {
            return;
        }
        let freed = entry.body_len();
        entry.body = None;
        self.body_bytes -= freed;
        if !is_slow {
            self.done += 1;
            self.pop_done();
            return;
        }
        self.slow_done += 1;
        if 2 * self.slow_done > self.slow.len() {
            self.slow.retain(|entry| !entry.done);
            self.slow_done = 0;
        }
    }

    /// Forgets done deliveries at the front. One that stays unfinished while many behind it are
    /// done was started long ago (deliveries start in order): it is put aside.
    fn pop_done(&mut self) {
        while let Some(front) = self.entries.front()
            && (front.done || self.done >= DONE_MAX)
        {
            let Some(entry) = self.entries.pop_front() else {
                crate::invariant!(false, "what was at the front can be popped");
                return;
            };
            self.first_seq += 1;
            if entry.done {
                self.done -= 1;
            } else {
                self.slow.push(entry);
            }
        }
    }

    /// Takes out the newest delivery if it was not started (`position >= t`).
    pub fn pop_unstarted(&mut self, t: u64) -> Option<Entry> {
        if self.entries.back()?.position < t {
            return None;
        }
        let entry = self.entries.pop_back()?;
        self.body_bytes -= entry.body_len();
        Some(entry)
    }

    /// Takes out the newest delivery.
    pub fn pop_newest(&mut self) -> Option<Entry> {
        if let Some(entry) = self.entries.pop_back() {
            self.done -= usize::from(entry.done);
            self.body_bytes -= entry.body_len();
            return Some(entry);
        }
        let entry = self.slow.pop()?;
        self.slow_done -= usize::from(entry.done);
        self.body_bytes -= entry.body_len();
        Some(entry)
    }

    /// Copies unfinished packages below `freed` that are `needed`, because they may have to be
    /// delivered again. Costs nothing unless the oldest unfinished delivery lies there.
    pub fn keep_bodies(
        &mut self,
        freed: u64,
        needed: impl Fn(&Entry) -> bool,
        copy: &mut dyn FnMut(&Entry) -> Vec<u8>,
    ) {
        if freed <= self.kept_below || self.iter().next().is_none_or(|e| e.position >= freed) {
            return;
        }
        let kept = self.kept_below;
        let slow_kept = self.slow.partition_point(|entry| entry.position < kept);
        let listed_kept = self.entries.partition_point(|entry| entry.position < kept);
        let slow = self.slow.iter_mut().skip(slow_kept);
        for entry in slow.chain(self.entries.iter_mut().skip(listed_kept)) {
            if entry.position >= freed {
                break;
            }
            let again = !entry.done && needed(entry);
            let is_new = (entry.kind.has_body() || entry.len > 0) && entry.body.is_none();
            if again && is_new && !entry.in_parts {
                entry.body = Some(copy(entry).into());
                self.body_bytes += entry.body_len();
            }
        }
        self.kept_below = freed;
    }

    /// Drops the bodies of deliveries below `freed`, which their worker has, or reads where they
    /// lie: those stay. Costs nothing when there are no bodies.
    pub fn drop_bodies(&mut self, freed: u64) {
        if self.body_bytes == 0 {
            return;
        }
        for entry in self.slow.iter_mut().chain(&mut self.entries) {
            if entry.position < freed {
                self.body_bytes -= entry.drop_body();
            }
        }
    }

    /// Drops the bodies of a subject that is served no more, of whose deliveries `unfinished` are
    /// here, but those that `stays` says may still be given again. One that is still being written
    /// into the ring stays until it is whole, one that the worker reads where it lies until it is
    /// done.
    pub fn drop_bodies_of(
        &mut self,
        subject: Subject,
        unfinished: u32,
        stays: impl Fn(&Entry) -> bool,
    ) {
        if self.body_bytes == 0 {
            return;
        }
        let entries = self.slow.iter_mut().chain(&mut self.entries);
        let own = entries.filter(|entry| entry.subject == subject && !entry.done);
        for entry in own.take(unfinished as usize) {
            if entry.position != u64::MAX && !stays(entry) {
                self.body_bytes -= entry.drop_body();
            }
        }
    }

    /// The callbacks of the deliveries from position `from` up to `to` are over: those that are not
    /// done were deferred. Answers how many.
    pub fn defer_between(&mut self, from: u64, to: u64, now: Nanos) -> usize {
        if to <= from || self.iter().next().is_none_or(|entry| entry.position >= to) {
            return 0;
        }
        let slow = self.slow.partition_point(|entry| entry.position < from);
        let listed = self.entries.partition_point(|entry| entry.position < from);
        let slow = self.slow.iter_mut().skip(slow);
        let later = slow.chain(self.entries.iter_mut().skip(listed));
        let over = later.take_while(|entry| entry.position < to);
        over.filter(|entry| !entry.done).map(|entry| entry.deferred_at = now).count()
    }

    /// Position of the oldest delivery that is not started: nothing from there on can have been
    /// freed.
    #[must_use]
    pub fn first_unstarted(&self, t: u64) -> Option<u64> {
        let started = self.entries.partition_point(|entry| entry.position < t);
        self.entries.get(started).map(|entry| entry.position)
    }

    /// Position of the delivery that may have killed a worker without having been announced as
    /// started: the oldest that is not started, when none is in hand that explains the death.
    #[must_use]
    pub fn suspect(&self, t: u64) -> Option<u64> {
        let explained = self.iter().any(|entry| entry.position < t && !entry.done);
        self.first_unstarted(t).filter(|_| !explained)
    }

    /// The delivery that was started last, unless it is done or its callback is known to be over:
    /// what a worker did when it died.
    #[must_use]
    pub fn begun_last(&self, t: u64) -> Option<&Entry> {
        let started = self.entries.partition_point(|entry| entry.position < t);
        let last = match started.checked_sub(1) {
            Some(index) => self.entries.get(index),
            None => self.slow.last(),
        };
        last.filter(|entry| !entry.done && entry.deferred_at == 0)
    }

    /// Whether the newest delivery is sent in several parts and its last part is not written.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.entries.back().is_some_and(|entry| entry.position == u64::MAX)
    }

    /// The oldest delivery that is not started and could go elsewhere, as `may_move` says of its
    /// subject and of how many deliveries of that wait here unstarted.
    #[must_use]
    pub fn oldest_movable(
        &self,
        t: u64,
        may_move: impl Fn(Subject, u32) -> bool,
    ) -> Option<&Entry> {
        let started = self.entries.partition_point(|entry| entry.position < t);
        let waiting = || self.entries.iter().skip(started);
        waiting().find(|entry| {
            let own = waiting().filter(|other| other.subject == entry.subject).count();
            may_move(entry.subject, u32::try_from(own).unwrap_or(u32::MAX))
        })
    }

    /// Bytes of all bodies that are kept.
    #[must_use]
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Deliveries that are not done.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.len() - self.done - self.slow_done
    }

    /// Deliveries listed, done ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slow.len() + self.entries.len()
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slow.is_empty() && self.entries.is_empty()
    }

    /// The listed deliveries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slow.iter().chain(&self.entries)
    }
}
