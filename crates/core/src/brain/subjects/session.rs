//! The deliveries of a session: one order, bound to one lane while any of them is out, and a close
//! event behind the last.

use super::super::books::PackageFate;
use super::super::ledger::Entry;
use super::super::run_lists::{Position, RunListId};
use super::super::sessions::Sessions;
use super::super::settle::HolderEnd;
use super::super::{
    Assignment, BodyCopier, Brain, CloseReason, Content, Phase, PortSettings, Returned, Unused,
};
use crate::body::Body;
use crate::ids::{ConnectionSlot, DeliveryKind, PortId, Subject};
use crate::per_port::PerPort;
use crate::policy::CrashPolicy;

impl Brain {
    /// A delivery of the session is at a lane. `more` says that it may have more input.
    pub(super) fn session_given(
        &mut self,
        slot: ConnectionSlot,
        assignment: &Assignment,
        more: bool,
    ) {
        let spreads = self.settings.ports.get(assignment.port).spreads();
        if let Some(connection) = self.connection(slot) {
            connection.outstanding += 1;
            connection.bound = (!spreads).then_some(assignment.lane);
            match &assignment.content {
                Content::Connect => connection.owes_connect = false,
                Content::Closed => connection.owes_closed = false,
                Content::Read => {
                    connection.readable = more;
                    connection.has_rest = false;
                }
                Content::Buffer(_) => connection.buffer.told(),
                Content::Returned(_) => {}
            }
            connection.has_event_out = match &assignment.content {
                Content::Connect | Content::Buffer(_) | Content::Closed => true,
                Content::Read => false,
                Content::Returned(returned) => returned.kind != DeliveryKind::Package,
            };
        }
        self.settle_down(slot, assignment.lane);
        self.recount_waiting(slot);
        self.enqueue(slot);
    }

    /// The session had nothing to read after all.
    pub fn input_dry(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connection(slot) {
            connection.readable = false;
            connection.has_rest = false;
        }
        self.end_waiting(slot);
        self.enqueue(slot);
    }

    /// A delivery of the session found no room: the session keeps its turn.
    pub(super) fn session_not_given(&mut self, slot: ConnectionSlot, content: Content) {
        if let Content::Returned(returned) = content {
            self.sessions.push_returned(slot, returned);
        }
        self.enqueue_at(slot, Position::First);
    }

    /// Puts one delivery, newest first, back to the front of its session's order.
    pub(super) fn give_back_to_session(
        &mut self,
        slot: ConnectionSlot,
        mut entry: Entry,
        copy: BodyCopier<'_>,
    ) {
        let is_package = entry.kind == DeliveryKind::Package;
        let gone = self.phase(slot).is_none_or(|phase| !phase.is_served());
        if is_package && gone {
            self.books.package_left_worker(PackageFate::DroppedSessionGone);
        } else if matches!(entry.kind, DeliveryKind::Buffer(_)) && gone {
            // Nobody can send any more.
        } else if is_package && entry.deaths_while_waiting > self.settings.deaths_while_waiting_max
        {
            self.books.package_left_worker(PackageFate::ClosedBy(CloseReason::Unservable));
            self.close(slot, CloseReason::Unservable);
        } else if entry.kind == DeliveryKind::Connect && self.has_nothing_to_serve(slot) {
            self.forget_unseen_session(slot, entry.attempt > 0);
        } else {
            if is_package {
                self.books.package_left_worker(PackageFate::Waits);
            }
            let body = match entry.body.take() {
                Some(body) => body,
                None if is_package || entry.len > 0 => copy(&entry).into(),
                None => Body::EMPTY,
            };
            let Entry { kind, attempt, deaths_while_waiting, received_at, .. } = entry;
            let returned = Returned { kind, body, attempt, deaths_while_waiting, received_at };
            self.sessions.push_returned(slot, returned);
        }
        // Newest first, each before those given later: the lists keep the order in which the
        // sessions had their turn.
        self.left_lane(slot, Position::First);
    }

    /// Whether the socket is closed and no package is left, for all the driver has said: of what
    /// comes in pieces it learns only by another look that there is no more.
    fn has_nothing_to_serve(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(|connection| match connection.phase {
            Phase::Open | Phase::Flushing(_) => false,
            Phase::PeerGone => !connection.readable && !connection.has_returned_package(),
            Phase::Ended => true,
        })
    }

    /// The connect event of a session that is over came back: if no worker ever saw it, nobody is
    /// to be told its end.
    fn forget_unseen_session(&mut self, slot: ConnectionSlot, was_seen: bool) {
        if let Some(connection) = self.connection(slot)
            && !was_seen
        {
            connection.owes_closed = false;
            connection.is_closed = true;
            // The close event, if it came back too.
            self.sessions.drop_returned(slot, |_| true);
        }
    }

    /// A started delivery of a dead worker: the crash policy says what follows.
    pub(super) fn settle_started_of_session(
        &mut self,
        slot: ConnectionSlot,
        entry: Entry,
        end: HolderEnd,
        copy: BodyCopier<'_>,
    ) {
        let condemned = end == HolderEnd::Condemned;
        let port = self.session_port(slot);
        match self.settings.ports.get(port).crash_policy {
            _ if entry.kind == DeliveryKind::Closed => {
                // Started once: never again, whatever the policy.
                self.session_delivery_ended(slot, DeliveryKind::Closed);
            }
            CrashPolicy::Redeliver(most)
                if !entry.exposed && !condemned && entry.attempt < most =>
            {
                self.settle_by_redelivery(slot, entry, copy);
            }
            CrashPolicy::Drop if !condemned => {
                if entry.kind == DeliveryKind::Package {
                    self.books.package_left_worker(PackageFate::DroppedWorkerDied);
                }
                self.session_delivery_ended(slot, entry.kind);
            }
            _ => self.settle_by_close(slot, &entry, end),
        }
    }

    fn settle_by_redelivery(
        &mut self,
        slot: ConnectionSlot,
        mut entry: Entry,
        copy: BodyCopier<'_>,
    ) {
        let is_package = entry.kind == DeliveryKind::Package;
        if self.phase(slot).is_some_and(Phase::is_served) {
            entry.attempt += 1;
            if is_package {
                self.books.package_redelivered();
            }
            self.give_back_to_session(slot, entry, copy);
            return;
        }
        // Nothing of it was seen, and the session ends anyway: what it still has to write is
        // written.
        if is_package {
            self.books.package_left_worker(PackageFate::DroppedSessionGone);
        }
        self.session_delivery_ended(slot, entry.kind);
    }

    fn settle_by_close(&mut self, slot: ConnectionSlot, entry: &Entry, end: HolderEnd) {
        let reason = match end {
            HolderEnd::Died => CloseReason::WorkerDied,
            HolderEnd::Condemned => CloseReason::WorkerCondemned,
            HolderEnd::Late => CloseReason::RequestDeadline,
        };
        self.close(slot, reason);
        if entry.kind == DeliveryKind::Package {
            let ended_by = self.sessions.get(slot).and_then(|session| session.ended_by);
            self.books.package_left_worker(if ended_by == Some(reason) {
                PackageFate::ClosedBy(reason)
            } else {
                PackageFate::DroppedSessionGone
            });
        }
        self.session_delivery_ended(slot, entry.kind);
    }

    /// The port on which a session came.
    pub(super) fn session_port(&self, slot: ConnectionSlot) -> PortId {
        self.sessions.get(slot).map_or(PortId::FIRST, |connection| connection.port)
    }

    /// Whether a worker may leave a part of a package of the session unused.
    pub(super) fn session_keeps_unused(&self, slot: ConnectionSlot) -> bool {
        self.settings.ports.get(self.session_port(slot)).keeps_unused
    }

    /// Whether bytes of the session that were given may become its input again: a worker has a
    /// package of it, or is to have one again, and may leave a part unused. As long as that is so
    /// the end of its input is read in its turn, so that a rest is seen once more, marked last.
    #[must_use]
    pub fn input_may_come_back(&self, slot: ConnectionSlot) -> bool {
        let Some(connection) = self.sessions.get(slot) else { return false };
        // Where a part may be left unused, one delivery of the session is out at a time.
        let is_at_worker = connection.outstanding > 0 && !connection.has_event_out;
        self.session_keeps_unused(slot) && (connection.has_returned_package() || is_at_worker)
    }

    /// The worker wrote nonsense: nobody knows what the session has seen.
    pub(super) fn session_holder_condemned(&mut self, slot: ConnectionSlot) {
        self.close(slot, CloseReason::WorkerCondemned);
    }

    /// None of the session's deliveries is started, so that it is free when they come back, and
    /// it is at home nowhere.
    pub(super) fn session_may_move(&self, slot: ConnectionSlot, waiting: u32) -> bool {
        self.sessions.get(slot).is_some_and(|connection| {
            let is_free = connection.outstanding == waiting || connection.bound.is_none();
            is_free && self.home_of(connection).is_none()
        })
    }

    /// From now on the session has its turn among those that were served.
    pub(super) fn session_served(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connection(slot) {
            connection.was_served = true;
        }
    }

    /// The body of a package stays until its last part is written, also that of a session that is
    /// served no more.
    pub(super) fn session_package_written(&mut self, slot: ConnectionSlot) {
        if !is_served(&self.sessions, slot) {
            self.let_bodies_go(slot);
        }
    }

    /// A session is served no more: none of its packages will be delivered again. Its connect event
    /// may be, until it is over.
    pub(in crate::brain) fn let_bodies_go(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.sessions.get(slot) else { return };
        let (subject, unfinished) = (Subject::Session(slot), connection.outstanding);
        let is_over = connection.phase == Phase::Ended;
        let stays = |entry: &Entry| entry.kind == DeliveryKind::Connect && !is_over;
        match connection.bound {
            Some(lane) => {
                if let Some(lane) = self.lanes.get_mut(lane) {
                    lane.ledger.drop_bodies_of(subject, unfinished, stays);
                }
            }
            None if unfinished > 0 => {
                for lane in self.lanes.iter_mut() {
                    lane.ledger.drop_bodies_of(subject, unfinished, stays);
                }
            }
            None => {}
        }
    }

    /// The unused rest of a package stays the session's input, unless no input of it is served any
    /// more.
    pub(super) fn keep_unused_of_session(
        &mut self,
        slot: ConnectionSlot,
        used: u32,
        bytes: Vec<u8>,
        unused: u64,
    ) -> Option<Unused> {
        let connection = self.connection(slot)?;
        let reason = match connection.phase {
            Phase::Open | Phase::PeerGone => connection.input_ended,
            Phase::Flushing(reason) => Some(reason),
            Phase::Ended => Some(connection.ended_by.unwrap_or(CloseReason::Peer)),
        };
        let Some(reason) = reason else {
            // There may be a further message in it. Where nothing was used, there is a part of one,
            // which waits for more, unless there will be none.
            connection.has_rest = used > 0 || connection.phase == Phase::PeerGone;
            return Some(Unused { connection: slot, port: connection.port, used, bytes });
        };
        self.books.input_dropped(reason, unused);
        None
    }

    /// One delivery of a session is over (finished or settled): unbind it when it was the last.
    pub(super) fn session_delivery_ended(&mut self, slot: ConnectionSlot, kind: DeliveryKind) {
        if kind == DeliveryKind::Closed
            && let Some(connection) = self.connection(slot)
        {
            connection.is_closed = true;
            // Nothing follows the close event, not even a package that was deferred and comes back
            // from a dead worker.
            connection.phase = Phase::Ended;
            self.let_bodies_go(slot);
        }
        if kind == DeliveryKind::Package {
            self.end_waiting(slot);
        } else {
            // The event is over; what its client has asked meanwhile has waited behind it.
            self.look_whether_it_waits(slot);
        }
        self.left_lane(slot, Position::Last);
    }

    /// One delivery of a session is at a lane no more.
    fn left_lane(&mut self, slot: ConnectionSlot, position: Position) {
        let now = self.now;
        let Some(connection) = self.connection(slot) else {
            crate::invariant!(false, "a session stays until nothing of it is at a lane");
            return;
        };
        crate::invariant!(connection.outstanding > 0, "what leaves a lane was counted there");
        connection.outstanding = connection.outstanding.saturating_sub(1);
        if connection.outstanding == 0 {
            connection.bound = None;
            connection.has_event_out = false;
            connection.rested_at = now;
            let (queued, is_closed) = (connection.link.list(), connection.is_closed);
            if is_closed {
                self.free_session(slot);
                return;
            }
            if queued != RunListId::No && queued != self.place_of(slot) {
                // It may go anywhere now.
                self.lists.unlink(&mut self.sessions, slot);
            }
        }
        self.recount_waiting(slot);
        self.refuse_over_rate(slot);
        self.check_end(slot);
        self.enqueue_at(slot, position);
    }
}

/// Whether a package of the session that a worker has started may have to be given again.
pub(super) fn may_come_back(
    sessions: &Sessions,
    ports: &PerPort<PortSettings>,
    slot: ConnectionSlot,
    entry: &Entry,
) -> bool {
    let Some(connection) = sessions.get(slot) else { return false };
    let port = ports.get(connection.port);
    let may = match port.crash_policy {
        // The worker may still say that it has not used all of it.
        _ if port.keeps_unused => true,
        CrashPolicy::Redeliver(most) => !entry.exposed && entry.attempt < most,
        CrashPolicy::Close | CrashPolicy::Drop => false,
    };
    may && connection.phase.is_served()
}

pub(super) fn is_served(sessions: &Sessions, slot: ConnectionSlot) -> bool {
    sessions.get(slot).is_some_and(|connection| connection.phase.is_served())
}
