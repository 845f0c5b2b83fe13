//! The datagrams of a peer: one order, bound to one lane while any of them is out, and nothing to
//! close.
//!
//! A datagram that a worker has started when it dies is delivered again or dropped; with the crash
//! policy `close` it is dropped, because there is nothing to close.

use super::super::dispatch::{Pick, session_hash};
use super::super::ledger::Entry;
use super::super::peers::{Peers, Place};
use super::super::settle::HolderEnd;
use super::super::{
    Assignment, BodyCopier, Brain, Content, DatagramDrop, NotSent, Offer, PortSettings, Returned,
};
use crate::ids::{DeliveryKind, LaneSlot, PeerSlot, PortId, Subject};
use crate::per_port::PerPort;
use crate::policy::{CrashPolicy, Dispatch};

impl Brain {
    // ---- for the driver -------------------------------------------------------------------------

    /// How many datagrams may be read now: as many as workers have credit for. What is not read
    /// waits in the kernel; what is read and whose own worker has no credit waits here, as far as
    /// there is room, so that a worker that stands still keeps nobody from the others.
    #[must_use]
    pub fn datagrams_wanted(&self) -> usize {
        if !self.takes_fresh_input() {
            return 0;
        }
        let credit = self.credit();
        let free = self.lanes.serving().map(|(_, lane)| lane.free_credit(credit) as usize);
        free.fold(0, usize::saturating_add)
    }

    /// A datagram was read on this port, from the peer with this key: a number made of port and
    /// address by a keyed hash. (Peers with the same key have one order, which harms nobody.)
    /// Whether it is to be given at once.
    pub fn offer_datagram(&mut self, port: PortId, key: u64) -> Offer {
        self.books.datagrams.received();
        let slot = self.peers.enter(port, key);
        if self.peers.get(slot).is_some_and(|peer| peer.waits()) {
            return Offer::Wait(slot);
        }
        let credit = self.credit();
        let lane = match self.peer_place(slot) {
            Place::Free(pick) => self.pick_for_peer(pick),
            Place::Lane(lane) => Some(LaneSlot(lane)),
            Place::Slot(_) => None,
        };
        let lane = lane.filter(|lane| self.lanes.get(*lane).is_some_and(|l| l.has_credit(credit)));
        match lane.and_then(|lane| self.datagram_for(slot, lane, Content::Read)) {
            Some(assignment) => Offer::Give(assignment),
            None => Offer::Wait(slot),
        }
    }

    /// A datagram that was offered waits, or was to be given and found no room
    /// ([`Brain::no_room`] was told). `false`: too many of its peer or for its worker wait already,
    /// it is dropped.
    pub fn keep_datagram(&mut self, slot: PeerSlot, body: Vec<u8>) -> bool {
        let (kind, body) = (DeliveryKind::Datagram, body.into());
        let received_at = self.next_moment();
        let datagram = Returned { kind, body, attempt: 0, deaths_while_waiting: 0, received_at };
        let place = self.peer_place(slot);
        let reason = if self.refusing {
            DatagramDrop::NoWorker
        } else if self.peers.push_last(slot, place, datagram).is_ok() {
            if self.peers.get(slot).is_some_and(|peer| !peer.is_listed()) {
                self.peers.list(slot, place, false);
            }
            return true;
        } else {
            DatagramDrop::PeerFull
        };
        self.books.datagrams.dropped_waiting(reason, 1);
        self.peers.leave_if_idle(slot);
        false
    }

    /// A datagram came that is longer than one may be.
    pub fn datagram_too_long(&mut self) {
        self.books.datagrams.received();
        self.books.datagrams.dropped_waiting(DatagramDrop::TooLong, 1);
    }

    /// A datagram of an address that has sent as many as it may is dropped.
    pub fn datagram_over_rate(&mut self) {
        self.books.datagrams.received();
        self.books.datagrams.dropped_waiting(DatagramDrop::PackageRate, 1);
    }

    /// The kernel has dropped datagrams before they could be read.
    pub const fn count_kernel_drops(&mut self, datagrams: u64) {
        self.books.datagrams.kernel_dropped += datagrams;
    }

    /// Datagrams of workers were sent.
    pub const fn count_sent(&mut self, datagrams: u64) {
        self.books.datagrams.sent += datagrams;
    }

    /// Datagrams of workers were not sent, for this reason.
    pub fn count_not_sent(&mut self, reason: NotSent, datagrams: u64) {
        self.books.datagrams.not_sent(reason, datagrams);
    }

    // ---- dispatch -------------------------------------------------------------------------------

    /// The next datagram that waited, if a worker has credit for it.
    pub(in crate::brain) fn give_waiting_datagram(&mut self) -> Option<Assignment> {
        self.turns.free_peers = !self.turns.free_peers;
        for free in [self.turns.free_peers, !self.turns.free_peers] {
            let given = if free { self.give_to_free() } else { self.give_to_bound() };
            if given.is_some() {
                return given;
            }
        }
        None
    }

    fn give_to_free(&mut self) -> Option<Assignment> {
        for pick in Pick::ALL {
            if let Some(slot) = self.peers.first(Place::Free(pick))
                && let Some(lane) = self.pick_for_peer(pick)
            {
                return self.give_first(slot, lane);
            }
        }
        None
    }

    /// A lane that has credit, chosen in this way.
    fn pick_for_peer(&mut self, pick: Pick) -> Option<LaneSlot> {
        let (worker, lane) = pick.lane(&self.lanes, self.turns.slot, self.credit())?;
        self.turns.slot = worker + 1;
        Some(lane)
    }

    fn give_to_bound(&mut self) -> Option<Assignment> {
        let credit = self.credit();
        let has_credit =
            |lane: &LaneSlot| self.lanes.get(*lane).is_some_and(|lane| lane.has_credit(credit));
        let lane = self.peers.lanes().find(has_credit)?;
        let slot = self.peers.first(Place::lane(lane))?;
        self.give_first(slot, lane)
    }

    fn give_first(&mut self, slot: PeerSlot, lane: LaneSlot) -> Option<Assignment> {
        self.peers.unlist(slot);
        let datagram = self.peers.pop(slot)?;
        self.datagram_for(slot, lane, Content::Returned(datagram))
    }

    fn datagram_for(
        &mut self,
        slot: PeerSlot,
        lane: LaneSlot,
        content: Content,
    ) -> Option<Assignment> {
        let seq = self.lanes.get(lane)?.ledger.next_seq();
        let port = self.peers.get(slot)?.port;
        let received_at = self.received_at(&content);
        Some(Assignment {
            subject: Subject::Peer(slot),
            subject_number: 0,
            port,
            lane,
            seq,
            received_at,
            content,
        })
    }

    /// Where a peer waits: bound to its lane, or as the dispatch mode says.
    fn peer_place(&self, slot: PeerSlot) -> Place {
        let Some(peer) = self.peers.get(slot) else {
            crate::invariant!(false, "only a peer that is there gets a place");
            return Place::Free(Pick::IdleFirst);
        };
        if let Some(lane) = peer.bound {
            return Place::lane(lane);
        }
        let Some(worker) = self.peer_home(peer.port, peer.key) else {
            return Place::Free(self.pick_of_port(peer.port));
        };
        match self.lanes.serving_in(usize::from(worker)) {
            Some((lane, _)) => Place::lane(lane),
            None => Place::Slot(worker),
        }
    }

    /// Whether `waiting` unstarted datagrams are all that the peer has at its lane, and it may have
    /// another one.
    pub(super) fn peer_may_move(&self, slot: PeerSlot, waiting: u32) -> bool {
        self.peers.get(slot).is_some_and(|peer| {
            peer.outstanding == waiting && self.peer_home(peer.port, peer.key).is_none()
        })
    }

    /// The worker slot where all datagrams of a peer go; `None` when they may go to any.
    fn peer_home(&self, port: PortId, key: u64) -> Option<u16> {
        match self.settings.ports.get(port).dispatch {
            // Nobody binds a peer to a user.
            Dispatch::SessionHash
            | Dispatch::AddressHash
            | Dispatch::UserId
            | Dispatch::UserFunction => Some(session_hash::home(key, self.homes)),
            // A peer has no beginning at which it could choose for ever.
            Dispatch::RoundRobin
            | Dispatch::IdleFirst
            | Dispatch::LeastInHand
            | Dispatch::Sticky
            | Dispatch::Pull => None,
        }
    }

    /// A peer with something that waits goes to the list of its place.
    fn place_peer(&mut self, slot: PeerSlot, first: bool) {
        let place = self.peer_place(slot);
        self.peers.list(slot, place, first);
    }

    /// A lane or a slot changed: those who wait for it find their new places.
    pub(in crate::brain) fn place_peers_of(&mut self, place: Place) {
        for slot in self.peers.unlist_all(place) {
            self.place_peer(slot, false);
        }
    }

    /// Peers hashed to a slot that is down for too long go to others, as sessions do.
    pub(in crate::brain) fn rehash_peers(&mut self, worker: u16, live: &[LaneSlot]) {
        for slot in self.peers.unlist_all(Place::Slot(worker)) {
            let spread = session_hash::spread(self.peers.get(slot).map_or(0, |peer| peer.key));
            let index = (spread % live.len().max(1) as u64) as usize;
            if let Some(lane) = live.get(index) {
                self.peers.list(slot, Place::lane(*lane), false);
            }
        }
    }

    /// No worker serves, and has not for long: what waits for one is dropped.
    pub(in crate::brain) fn refuse_datagrams(&mut self) {
        let dropped = self.peers.drop_waiting(|peer| peer.outstanding == 0);
        self.books.datagrams.dropped_waiting(DatagramDrop::NoWorker, dropped);
    }

    /// All that waits is dropped.
    pub(in crate::brain) fn drop_waiting_datagrams(&mut self, reason: DatagramDrop) {
        let dropped = self.peers.drop_waiting(|_| true);
        self.books.datagrams.dropped_waiting(reason, dropped);
    }

    // ---- the way of one delivery ----------------------------------------------------------------

    pub(super) fn peer_given(&mut self, slot: PeerSlot, assignment: &Assignment) {
        if let Some(peer) = self.peers.get_mut(slot) {
            peer.outstanding += 1;
            peer.bound = Some(assignment.lane);
            if peer.waits() {
                self.place_peer(slot, false);
            }
        }
    }

    /// A datagram found no room: it waits, before the others. One that was just read is the
    /// driver's, who keeps it.
    pub(super) fn peer_not_given(&mut self, slot: PeerSlot, content: Content) {
        if let Content::Returned(datagram) = content {
            self.peers.push_first(slot, datagram);
            self.place_peer(slot, true);
        }
    }

    /// Puts one datagram, newest first, back to the front of its peer's.
    pub(super) fn give_back_to_peer(
        &mut self,
        slot: PeerSlot,
        mut entry: Entry,
        copy: BodyCopier<'_>,
    ) {
        if entry.deaths_while_waiting > self.settings.deaths_while_waiting_max {
            return self.drop_at_worker(slot, DatagramDrop::Unservable);
        }
        self.books.datagrams.came_back();
        let body = match entry.body.take() {
            Some(body) => body,
            None => copy(&entry).into(),
        };
        let Entry { kind, attempt, deaths_while_waiting, received_at, .. } = entry;
        let datagram = Returned { kind, body, attempt, deaths_while_waiting, received_at };
        self.peers.push_first(slot, datagram);
        self.datagram_left(slot, true);
    }

    /// A started datagram of a dead worker: it is delivered again, or dropped.
    pub(super) fn settle_started_of_peer(
        &mut self,
        slot: PeerSlot,
        mut entry: Entry,
        end: HolderEnd,
        copy: BodyCopier<'_>,
    ) {
        let condemned = end == HolderEnd::Condemned;
        if condemned || !may_be_given_again(&self.peers, &self.settings.ports, slot, &entry) {
            return self.drop_at_worker(slot, DatagramDrop::WorkerDied);
        }
        entry.attempt += 1;
        self.books.datagrams.redelivered += 1;
        self.give_back_to_peer(slot, entry, copy);
    }

    /// The port at which a peer sends.
    pub(super) fn peer_port(&self, slot: PeerSlot) -> PortId {
        self.peers.get(slot).map_or(PortId::FIRST, |peer| peer.port)
    }

    fn drop_at_worker(&mut self, slot: PeerSlot, reason: DatagramDrop) {
        self.books.datagrams.dropped_at_worker(reason);
        self.datagram_left(slot, false);
    }

    /// One datagram of the peer is at a lane no more. Who has none there may go anywhere.
    pub(super) fn datagram_left(&mut self, slot: PeerSlot, first: bool) {
        let Some(peer) = self.peers.get_mut(slot) else {
            crate::invariant!(false, "a peer stays until nothing of it is at a lane");
            return;
        };
        crate::invariant!(peer.outstanding > 0, "what leaves a lane was counted there");
        peer.outstanding = peer.outstanding.saturating_sub(1);
        if peer.outstanding == 0 {
            peer.bound = None;
        }
        if !peer.waits() {
            self.peers.leave_if_idle(slot);
        } else if peer.bound.is_none() || first {
            self.place_peer(slot, first);
        }
        if self.refusing {
            self.refuse_datagrams();
        }
    }
}

/// Whether a datagram that a worker has started may be given again when that worker dies.
pub(super) fn may_be_given_again(
    peers: &Peers,
    ports: &PerPort<PortSettings>,
    slot: PeerSlot,
    entry: &Entry,
) -> bool {
    let Some(peer) = peers.get(slot) else { return false };
    match ports.get(peer.port).crash_policy {
        CrashPolicy::Redeliver(most) => !entry.exposed && entry.attempt < most,
        CrashPolicy::Close | CrashPolicy::Drop => false,
    }
}
