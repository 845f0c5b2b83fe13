//! The life of a session: accepted, read, ended once.

use super::sessions::Going;
use super::{Brain, BrainAction, CloseReason, DatagramDrop, Phase, Returned};
use crate::ids::{ConnectionSlot, DeliveryKind, LaneSlot, PortId};

impl Brain {
    /// A connection was accepted on this port, whose session has this id: finds it a place.
    /// `None`: all places are taken.
    pub fn accept(&mut self, port: PortId, session: u64) -> Option<ConnectionSlot> {
        let slot = self.sessions.insert(session, port)?;
        self.books.session_accepted();
        let connect_events = self.settings.ports.get(port).connect_events;
        if let Some(connection) = self.connection(slot) {
            connection.owes_connect = connect_events;
        }
        self.enqueue(slot);
        Some(slot)
    }

    /// Its connect event carries these bytes, to whichever worker it is given at last. To be told
    /// right after [`Brain::accept`]; without connect events nobody hears of it.
    pub fn tell_at_connect(&mut self, slot: ConnectionSlot, body: Vec<u8>) {
        let received_at = self.next_moment();
        let Some(connection) = self.connection(slot) else { return };
        if std::mem::take(&mut connection.owes_connect) {
            // It waits as one that came back does, with its body, which is charged.
            let (kind, body) = (DeliveryKind::Connect, body.into());
            let connect = Returned { kind, body, attempt: 0, deaths_while_waiting: 0, received_at };
            self.sessions.push_returned(slot, connect);
        }
    }

    /// The session in a place.
    #[must_use]
    pub fn session(&self, slot: ConnectionSlot) -> Option<u64> {
        Some(self.sessions.get(slot)?.session)
    }

    /// Told once, when a session is accepted: its address is a proxy's, which did not say whose it
    /// is.
    pub fn comes_unnamed(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.sessions.get_mut(slot) {
            connection.is_unnamed = true;
        }
    }

    /// Whether a session's address is a proxy's, also when its connection is gone: what is held
    /// against addresses is not held against this one.
    #[must_use]
    pub fn is_unnamed(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(|connection| connection.is_unnamed)
    }

    /// Where a session stands.
    #[must_use]
    pub fn phase(&self, slot: ConnectionSlot) -> Option<Phase> {
        Some(self.sessions.get(slot)?.phase)
    }

    /// Whether a session takes whatever is sent to it.
    #[must_use]
    pub fn is_open(&self, slot: ConnectionSlot) -> bool {
        self.phase(slot) == Some(Phase::Open)
    }

    /// The session's socket, or its framing tail, may have input.
    pub fn readable(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connection(slot)
            && !connection.readable
        {
            connection.readable = true;
            self.enqueue(slot);
        }
    }

    /// The client will send no more, and all that it sent was read and given: no whole package of
    /// it waits in the framing tail. What was given is still served and answered, then the session
    /// ends: a client that half-closes after its last request gets its answers.
    pub fn peer_done(&mut self, slot: ConnectionSlot) {
        self.end_input(slot, CloseReason::Peer);
    }

    /// Whether fresh input is taken now: the server neither drains nor is short of memory.
    #[must_use]
    pub const fn takes_fresh_input(&self) -> bool {
        self.reading && !self.paused
    }

    /// Whether nothing of the session's input comes behind what was given.
    pub(super) fn is_session_input_ended(&self, slot: ConnectionSlot) -> bool {
        self.sessions.get(slot).is_some_and(|connection| connection.input_ended.is_some())
    }

    /// The client's connection failed: nothing can be written any more, and the socket is to be
    /// closed at once. `has_input` says that the driver holds input of it. That is still served, as
    /// is what came back from workers, and what they have in hand; the close event follows. A
    /// session that was being flushed ends.
    pub fn peer_lost(&mut self, slot: ConnectionSlot, has_input: bool) {
        let Some(connection) = self.connection(slot) else { return };
        if connection.phase != Phase::Open || connection.is_offered() {
            return self.close(slot, CloseReason::PeerError);
        }
        let port = connection.port;
        if self.settings.ports.get(port).discards_gone {
            return self.close_now(slot, CloseReason::PeerError);
        }
        let Some(connection) = self.connection(slot) else { return };
        connection.readable = has_input && connection.input_ended.is_none();
        let is_over = !connection.readable
            && connection.outstanding == 0
            && !connection.has_returned_package();
        if is_over {
            return self.close_now(slot, CloseReason::PeerError);
        }
        connection.phase = Phase::PeerGone;
        self.socket_closed(slot, CloseReason::PeerError);
        self.enqueue(slot);
    }

    /// Nothing more can be read, for this reason. What was read before is still served and
    /// answered, then the session ends.
    pub fn end_input(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        if let Some(connection) = self.connection(slot) {
            connection.input_ended.get_or_insert(reason);
            connection.readable = false;
            connection.has_rest = false;
            self.look_whether_it_waits(slot);
            self.check_end(slot);
            self.enqueue(slot);
        }
    }

    /// The state of the session's unsent output: whether there is any, and whether it is too much
    /// to go on reading.
    pub fn output_changed(&mut self, slot: ConnectionSlot, pending: bool, high: bool) {
        let Some(connection) = self.connection(slot) else { return };
        connection.output_pending = pending;
        let resumed = connection.output_high && !high;
        connection.output_high = high;
        if !pending {
            self.check_end(slot);
        }
        if resumed {
            self.enqueue(slot);
        }
        if high {
            self.look_whether_it_waits(slot);
        }
    }

    /// The unsent output of the session is above its high mark, or at the low one again: its worker
    /// is told, in the order of its deliveries.
    pub fn buffer_changed(&mut self, slot: ConnectionSlot, is_full: bool) {
        let Some(connection) = self.connection(slot) else { return };
        if connection.buffer.set_full(is_full) {
            self.enqueue(slot);
        }
    }

    /// Ends a session: at once when the reason is abrupt, else when its queued output is written. A
    /// session that is ending or ended already is left as it is, except that an abrupt reason cuts
    /// a flush short. Of a session whose client is gone nothing more is served.
    pub fn close(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        let Some(connection) = self.connection(slot) else { return };
        if let Going::Offered { is_withdrawn, ends } = &mut connection.going {
            *is_withdrawn = true;
            ends.get_or_insert(reason);
            return;
        }
        match connection.phase {
            Phase::Ended => return,
            Phase::PeerGone if reason == CloseReason::PeerError => return,
            Phase::PeerGone => {
                self.actions.push_back(BrainAction::DropInput { connection: slot, reason });
                return self.end_service(slot);
            }
            Phase::Flushing(_) if !reason.is_abrupt() => return,
            Phase::Flushing(_) | Phase::Open => {}
        }
        if reason.is_abrupt() || !connection.output_pending {
            self.close_now(slot, reason);
        } else {
            connection.phase = Phase::Flushing(reason);
            self.end_waiting(slot);
            self.drop_returned(slot);
        }
    }

    pub(super) fn close_now(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        if self.phase(slot).is_some_and(Phase::has_socket) {
            self.socket_closed(slot, reason);
            self.end_service(slot);
        }
    }

    /// The session has no socket any more: it is counted as closed, and workers are owed its close
    /// event.
    fn socket_closed(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        self.end_waiting(slot);
        let Some(connection) = self.connection(slot) else {
            crate::invariant!(false, "a socket that closes belongs to a session");
            return;
        };
        connection.ended_by = Some(reason);
        connection.output_pending = false;
        connection.owes_closed = true;
        self.books.session_closed(reason);
        self.actions.push_back(BrainAction::CloseSocket { connection: slot, reason });
    }

    /// Nothing of the session is served any more but its close event.
    fn end_service(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connection(slot) else {
            crate::invariant!(false, "a session whose service ends exists");
            return;
        };
        connection.phase = Phase::Ended;
        connection.readable = false;
        self.drop_returned(slot);
        let Some(connection) = self.connection(slot) else {
            crate::invariant!(false, "dropping what came back does not end the session");
            return;
        };
        if std::mem::take(&mut connection.owes_connect) {
            // No worker was told of it: there is nobody to tell its end.
            connection.owes_closed = false;
            // The close event, if it came back too.
            self.sessions.drop_returned(slot, |_| true);
            self.free_session(slot);
        } else {
            self.enqueue(slot);
        }
    }

    /// Packages that came back and whose session is ending: counted, dropped. When the session is
    /// over, its connect event goes too: one that never started means that no worker ever saw the
    /// session, so that no close event is owed.
    fn drop_returned(&mut self, slot: ConnectionSlot) {
        self.let_bodies_go(slot);
        let Some(connection) = self.connection(slot) else { return };
        let is_over = connection.phase == Phase::Ended;
        let goes = |kind: DeliveryKind| match kind {
            DeliveryKind::Package | DeliveryKind::Buffer(_) => true,
            DeliveryKind::Connect => is_over,
            DeliveryKind::Closed | DeliveryKind::Datagram => false,
        };
        let mut packages = 0;
        for delivery in self.sessions.drop_returned(slot, |delivery| goes(delivery.kind)) {
            match delivery.kind {
                DeliveryKind::Package => packages += 1,
                DeliveryKind::Connect if delivery.attempt == 0 => {
                    if let Some(connection) = self.connection(slot) {
                        connection.owes_connect = true;
                    }
                }
                DeliveryKind::Connect
                | DeliveryKind::Buffer(_)
                | DeliveryKind::Closed
                | DeliveryKind::Datagram => {}
            }
        }
        self.books.waiting_dropped(packages);
    }

    /// Stops taking fresh input (or takes it again) while the memory budget is used up and packages
    /// that workers have in hand are a part of that: fresh ones would only add to them. What came
    /// back is still given.
    pub fn pause_reading(&mut self, paused: bool) {
        let was_paused = std::mem::replace(&mut self.paused, paused);
        if was_paused == paused || (paused && !self.limits_who_waits()) {
            return;
        }
        for slot in self.sessions.places() {
            if paused {
                self.look_whether_it_waits(slot);
            } else {
                self.enqueue(slot);
            }
        }
    }

    /// A worker says that a session is not to be read, or that it is again. What was given before
    /// is still handled. A server that drains reads nobody, so that nobody is paused any more.
    pub fn pause_session(&mut self, slot: ConnectionSlot, paused: bool) {
        let paused = paused && self.reading;
        let Some(connection) = self.connection(slot) else { return };
        if std::mem::replace(&mut connection.is_paused, paused) && !paused {
            self.enqueue(slot);
        }
        if paused {
            self.look_whether_it_waits(slot);
        }
    }

    /// The session has sent as much as it may for now, or may send again. As with a pause, what was
    /// given before is still handled, and a server that drains lifts it.
    pub fn hold_back(&mut self, slot: ConnectionSlot, held: bool) {
        let held = held && self.reading;
        let Some(connection) = self.connection(slot) else { return };
        if std::mem::replace(&mut connection.is_held_back, held) == held {
            return;
        }
        if held {
            self.books.session_held_back();
            self.look_whether_it_waits(slot);
        } else {
            self.enqueue(slot);
        }
    }

    /// The driver holds a whole message of the session: it is served although the server reads no
    /// more. To be told before [`Brain::drain`], and when the message before it was given.
    pub fn hold_message(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connection(slot) else { return };
        if connection.phase == Phase::Open && connection.input_ended.is_none() {
            connection.has_rest = true;
            self.enqueue(slot);
        }
    }

    /// The server drains: nothing more is read; sessions end as soon as what was given, and what
    /// the driver holds of whole messages ([`Brain::hold_message`]), is served and written. What
    /// else the driver has received and not given is dropped, and counted by it.
    pub fn drain(&mut self) {
        self.reading = false;
        for slot in self.sessions.places() {
            self.pause_session(slot, false);
            self.hold_back(slot, false);
            self.settles_no_more(slot);
            self.check_end(slot);
        }
    }

    /// Ends every open session at once.
    pub fn close_all(&mut self, reason: CloseReason) {
        for slot in self.sessions.places() {
            self.close(slot, reason);
        }
        self.drop_waiting_datagrams(DatagramDrop::Shutdown);
    }

    /// Sessions whose socket is open.
    #[must_use]
    pub fn open_sessions(&self) -> u64 {
        self.books.open
    }

    /// Whether no session is left, not even one whose close event is still at a worker, and no
    /// datagram.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.len() == 0 && self.peers.is_empty()
    }

    /// Whether no datagram is at a worker or waits for one.
    #[must_use]
    pub fn has_no_datagrams(&self) -> bool {
        self.peers.is_empty()
    }

    /// Deliveries at a lane that are not finished.
    #[must_use]
    pub fn in_hand(&self, lane: LaneSlot) -> u32 {
        let Some(lane) = self.lanes.get(lane) else { return 0 };
        lane.ledger.iter().filter(|entry| !entry.done).count() as u32
    }

    /// Sessions with deliveries at a lane.
    #[must_use]
    pub fn held_sessions(&self) -> usize {
        self.sessions.iter().filter(|connection| connection.outstanding > 0).count()
    }

    /// Nothing of the session is left: its place is free when the driver has heard of it.
    pub(super) fn free_session(&mut self, slot: ConnectionSlot) {
        self.lists.unlink(&mut self.sessions, slot);
        let Some(connection) = self.connection(slot) else {
            crate::invariant!(false, "a session that is over has a place");
            return;
        };
        // Whatever else is settled of it now finds it ended: nothing is told after the last word.
        connection.phase = Phase::Ended;
        let session = connection.session;
        self.actions.push_back(BrainAction::FreeSession { connection: slot, session });
    }

    /// Ends a session that has nothing left to do.
    pub(super) fn check_end(&mut self, slot: ConnectionSlot) {
        let reading = self.reading;
        let Some(connection) = self.connection(slot).filter(|it| !it.is_offered()) else { return };
        let reason = match connection.phase {
            Phase::Open if connection.is_finished(reading) => {
                connection.input_ended.unwrap_or(CloseReason::Shutdown)
            }
            Phase::Flushing(reason) => reason,
            _ => return,
        };
        if connection.output_pending {
            connection.phase = Phase::Flushing(reason);
            self.end_waiting(slot);
        } else {
            self.close_now(slot, reason);
        }
    }
}
