//! The way of one delivery: given, exposed, finished; and what its ring space allows meanwhile.

use super::books::PackageFate;
use super::ledger::Entry;
use super::{Assignment, BodyCopier, Brain, CloseReason, Content, Unused};
use crate::Nanos;
use crate::body::Body;
use crate::ids::{DeliveryKind, LaneSlot};

impl Brain {
    /// The driver wrote the record: the delivery is in hand from now on. `more` says that the
    /// subject may have more input. `body` is the package where it does not lie in the ring as one
    /// record.
    // one call, one record: all of it comes from the ring at once
    #[allow(clippy::too_many_arguments)]
    pub fn record_written(
        &mut self,
        assignment: Assignment,
        position: u64,
        len: u32,
        body: Option<Body>,
        more: bool,
        now: Nanos,
    ) {
        let (kind, attempt, deaths_while_waiting, fresh) = match &assignment.content {
            Content::Connect => (DeliveryKind::Connect, 0, 0, true),
            Content::Read => (assignment.subject.read_kind(), 0, 0, true),
            Content::Buffer(event) => (DeliveryKind::Buffer(*event), 0, 0, true),
            Content::Closed => (DeliveryKind::Closed, 0, 0, true),
            Content::Returned(r) => (r.kind, r.attempt, r.deaths_while_waiting, false),
        };
        self.books.delivery_given();
        match kind {
            DeliveryKind::Package if fresh => self.books.package_received(),
            DeliveryKind::Package => self.books.package_given_again(),
            DeliveryKind::Datagram => self.books.datagrams.given(),
            DeliveryKind::Connect | DeliveryKind::Buffer(_) | DeliveryKind::Closed => {}
        }
        if let Some(lane) = self.lane_mut(assignment.lane) {
            lane.count_given();
            lane.ledger.push(Entry {
                seq: 0,
                position,
                subject: assignment.subject,
                kind,
                len,
                attempt,
                deaths_while_waiting,
                exposed: false,
                done: false,
                received_at: assignment.received_at,
                given_at: now,
                deferred_at: 0,
                in_parts: body.is_some(),
                body,
            });
        }
        self.given(&assignment, more);
    }

    /// The lane's ring has no room for it: the subject keeps its turn, the lane gets nothing more
    /// until [`Brain::room_freed`].
    pub fn no_room(&mut self, assignment: Assignment) {
        if let Some(lane) = self.lane_mut(assignment.lane) {
            lane.is_full = true;
        }
        self.not_given(assignment);
    }

    /// The lane takes nothing more until [`Brain::room_freed`]: a package in parts is being written
    /// to it.
    pub fn set_full(&mut self, lane: LaneSlot) {
        if let Some(lane) = self.lane_mut(lane) {
            lane.is_full = true;
        }
    }

    /// Position and length of a delivery that is started, unfinished and lies in the package ring
    /// as one record: a reply may refer to it.
    #[must_use]
    pub fn in_ring(&self, lane: LaneSlot, seq: u64, t: u64) -> Option<(u64, u32)> {
        let lane = self.lanes.get(lane)?;
        let entry = lane.ledger.get(seq)?;
        let is_in_hand =
            !entry.done && (lane.reused_below()..t).contains(&entry.position) && !entry.in_parts;
        is_in_hand.then_some((entry.position, entry.len))
    }

    /// An output was dropped because its session had ended.
    pub fn count_output_gone(&mut self, bytes: u64) {
        self.books.output_gone(bytes);
    }

    /// Unsent output was dropped with its session.
    pub fn count_output_dropped(&mut self, bytes: u64) {
        self.books.output_dropped(bytes);
    }

    /// Input that a client had sent was thrown away for this reason.
    pub fn count_input_dropped(&mut self, reason: CloseReason, bytes: u64) {
        self.books.input_dropped(reason, bytes);
    }

    /// This reactor was the first to notice that memory is lacking.
    pub fn count_shortage(&mut self) {
        self.books.memory_lacked();
    }

    /// The worker has freed ring space.
    pub fn room_freed(&mut self, lane: LaneSlot) {
        if let Some(lane) = self.lane_mut(lane) {
            lane.is_full = false;
        }
    }

    /// Whether the lane waits for ring space.
    #[must_use]
    pub fn is_full(&self, lane: LaneSlot) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_full)
    }

    /// Whether it matters that the worker frees ring space: the lane waits for some, or for the end
    /// of a callback.
    #[must_use]
    pub fn awaits_freed(&self, lane: LaneSlot) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_full || lane.in_hand() > 0)
    }

    /// Whether a worker has something in hand and is done with all of it in a moment, by its own
    /// measure: any answer is allowed, it decides only how the reactor waits.
    #[must_use]
    pub fn is_soon_done(&self, lane: LaneSlot) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_soon_done())
    }

    /// A worker says that a delivery is finished. `t` bounds what it has started.
    ///
    /// # Errors
    /// What is wrong, when the worker cannot have finished it: the lane is to be condemned.
    pub fn finish(&mut self, lane: LaneSlot, seq: u64, t: u64) -> Result<(), &'static str> {
        self.end_started(lane, seq, t, PackageFate::Finished)
    }

    /// A worker says that a delivery is over and no handler saw it, because its session had been
    /// closed: finished, but for the books. `t` bounds what it has started.
    ///
    /// # Errors
    /// What is wrong, when the worker cannot have had it: the lane is to be condemned.
    pub fn skip(&mut self, lane: LaneSlot, seq: u64, t: u64) -> Result<(), &'static str> {
        self.end_started(lane, seq, t, PackageFate::DroppedSessionGone)
    }

    fn end_started(
        &mut self,
        lane_slot: LaneSlot,
        seq: u64,
        t: u64,
        fate: PackageFate,
    ) -> Result<(), &'static str> {
        let lane = self.lane_mut(lane_slot).ok_or("no such lane")?;
        let entry = lane.ledger.get_mut(seq).ok_or("FIN of an unknown delivery")?;
        if entry.done || entry.position >= t {
            return Err("FIN of a delivery that is done or not started");
        }
        let (subject, kind) = (entry.subject, entry.kind);
        if kind == DeliveryKind::Datagram && fate != PackageFate::Finished {
            return Err("FIN of a datagram that no handler saw");
        }
        self.end_delivery(lane_slot, seq, fate);
        self.delivery_ended(subject, kind);
        Ok(())
    }

    /// A worker says that a package is finished and that it has used only the first `used` bytes of
    /// it. `rest` copies what follows them out of the package ring, where it lies there. Returns
    /// what the driver is to put back to the front of the session's input, before it does anything
    /// else; `None` when the session takes no input any more and the rest is thrown away, counted.
    ///
    /// # Errors
    /// What is wrong, when the worker cannot have finished it like this: the lane is to be
    /// condemned.
    pub fn finish_partly(
        &mut self,
        lane_slot: LaneSlot,
        seq: u64,
        used: u32,
        t: u64,
        rest: BodyCopier<'_>,
    ) -> Result<Option<Unused>, &'static str> {
        let lane = self.lanes.get(lane_slot).ok_or("no such lane")?;
        let reused_below = lane.reused_below();
        let entry = lane.ledger.get(seq).ok_or("FIN of an unknown delivery")?;
        if entry.done || entry.position >= t {
            return Err("FIN of a delivery that is done or not started");
        }
        let (subject, kind) = (entry.subject, entry.kind);
        let may_leave_some = self.keeps_unused(subject) && kind == DeliveryKind::Package;
        if !may_leave_some || used >= entry.len {
            return Err("FIN with more bytes used than the delivery has");
        }
        let bytes = match entry.body.as_deref() {
            Some(body) => body.get(used as usize..).unwrap_or_default().to_vec(),
            // It was let go with its session, which is served no more.
            None if entry.in_parts || entry.position < reused_below => Vec::new(),
            None => rest(entry),
        };
        let unused = u64::from(entry.len - used);
        self.end_delivery(lane_slot, seq, PackageFate::Finished);
        self.books.package_continued();
        let kept = self.keep_unused(subject, used, bytes, unused);
        self.delivery_ended(subject, kind);
        Ok(kept)
    }

    /// A delivery leaves its lane because its worker is through with it.
    fn end_delivery(&mut self, lane_slot: LaneSlot, seq: u64, fate: PackageFate) {
        let Some(lane) = self.lane_mut(lane_slot) else {
            crate::invariant!(false, "a delivery ends at a lane that is there");
            return;
        };
        let Some(entry) = lane.ledger.get_mut(seq) else {
            crate::invariant!(false, "a delivery that ends was looked up before");
            return;
        };
        let (subject, kind) = (entry.subject, entry.kind);
        if entry.position >= lane.reused_below() {
            lane.count_finished(); // else it was deferred, and counted when its callback was over
        }
        lane.ledger.finish(seq);
        match kind {
            DeliveryKind::Package => {
                self.books.package_left_worker(fate);
                self.package_served(subject);
            }
            DeliveryKind::Datagram => self.books.datagrams.finished(),
            DeliveryKind::Connect | DeliveryKind::Buffer(_) | DeliveryKind::Closed => {}
        }
    }

    /// A worker says that outputs of an unfinished delivery become visible.
    ///
    /// # Errors
    /// What is wrong, when that cannot be.
    pub fn expose(&mut self, lane: LaneSlot, seq: u64, t: u64) -> Result<(), &'static str> {
        let lane = self.lane_mut(lane).ok_or("no such lane")?;
        let entry = lane.ledger.get_mut(seq).ok_or("EXPOSE of an unknown delivery")?;
        if entry.done || entry.position >= t {
            return Err("EXPOSE of a delivery that is done or not started");
        }
        entry.exposed = true;
        Ok(())
    }

    /// Position of a lane's oldest delivery that is not started: nothing from there on can have
    /// been freed (protocol §6).
    #[must_use]
    pub fn first_unstarted(&self, lane: LaneSlot, t: u64) -> Option<u64> {
        self.lanes.get(lane)?.ledger.first_unstarted(t)
    }

    /// What one delivery takes a worker by its own measure; zero while it has measured none. Any
    /// value is allowed: it decides only how much waits at that worker, at most
    /// [`BrainSettings::prefetch_packages`].
    ///
    /// [`BrainSettings::prefetch_packages`]: super::BrainSettings::prefetch_packages
    pub fn set_work(&mut self, lane: LaneSlot, work_ns: Nanos) {
        if let Some(lane) = self.lane_mut(lane) {
            lane.set_work(work_ns);
        }
    }
}
