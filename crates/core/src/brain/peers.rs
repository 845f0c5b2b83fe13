//! The peers that send datagrams: who has one at a worker or waiting for one.
//!
//! A peer is known as long as a datagram of it is here, no longer: there is no connection. What
//! waits is bounded, for each peer and in all; beyond that the kernel's buffer is the queue.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use slab::Slab;

use super::dispatch::Pick;
use super::{Assignment, Returned};
use crate::ids::{LaneSlot, PeerSlot, PortId};

/// Datagrams of one peer that may wait for its worker; what comes beyond them is dropped, so that
/// one peer whose worker is busy cannot keep the others out. As many as the kernel's usual receive
/// buffer has room for, several times.
pub(super) const PEER_WAITING_MAX: usize = 1_024;
/// Datagrams that may wait in one reactor; what comes beyond them and cannot be given is dropped.
/// (It is read only while a worker has credit: until then the kernel's buffers fill.)
pub(super) const WAITING_MAX: usize = 4_096;
/// Bytes of them after which what comes is dropped.
pub(super) const WAITING_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// The part of both that those may take that wait for the same worker: one that stands still leaves
/// room for what waits for the others.
pub(super) const WORKER_WAITING_PART: usize = 2;

/// What becomes of a datagram that was read.
#[derive(Debug)]
pub enum Offer {
    /// It is to be given at once.
    Give(Assignment),
    /// It has to wait, see [`super::Brain::keep_datagram`].
    Wait(PeerSlot),
}

/// Where a peer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// For any worker, chosen in this way.
    Free(Pick),
    /// For one.
    Lane(u32),
    /// For whoever serves next in a worker slot.
    Slot(u16),
}

impl Place {
    pub(super) const fn lane(lane: LaneSlot) -> Self {
        Self::Lane(lane.0)
    }

    /// The part of all that may wait which may wait here.
    const fn part(self) -> usize {
        match self {
            Self::Free(_) => 1,
            Self::Lane(_) | Self::Slot(_) => WORKER_WAITING_PART,
        }
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Waiting {
    datagrams: usize,
    bytes: u64,
}

impl Waiting {
    fn of(datagram: &Returned) -> Self {
        Self { datagrams: 1, bytes: datagram.body.len() as u64 }
    }

    const fn add(&mut self, other: Self) {
        self.datagrams += other.datagrams;
        self.bytes += other.bytes;
    }

    const fn take(&mut self, other: Self) {
        self.datagrams = self.datagrams.saturating_sub(other.datagrams);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    /// Whether more may wait where this part of all may.
    const fn has_room(self, part: usize) -> bool {
        self.datagrams < WAITING_MAX / part && self.bytes < WAITING_MAX_BYTES / part as u64
    }
}

/// Those that wait at one place.
#[derive(Debug, Default)]
struct Line {
    /// By their turns.
    peers: BTreeMap<i64, PeerSlot>,
    waiting: Waiting,
}

/// One peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// By which it is known: a number made of its address and of the port.
    pub(super) key: u64,
    pub(super) port: PortId,
    /// Datagrams at the lane `bound`.
    pub(super) outstanding: u32,
    pub(super) bound: Option<LaneSlot>,
    /// Its place among those that wait, and its turn there.
    place: Option<(Place, i64)>,
    /// Datagrams that wait, those that came back first.
    waiting: VecDeque<Returned>,
    waiting_bytes: u64,
}

impl Peer {
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) const fn is_listed(&self) -> bool {
        self.place.is_some()
    }

    fn counted(&self) -> Waiting {
        Waiting { datagrams: self.waiting.len(), bytes: self.waiting_bytes }
    }
}

/// Keys are spread already: they are made by a keyed hash.
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// All peers of one reactor.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: Slab<Peer>,
    by_key: HashMap<u64, PeerSlot, BuildHasherDefault<KeyHasher>>,
    /// The peers with something that waits, by their places and turns.
    lists: BTreeMap<Place, Line>,
    first_turn: i64,
    last_turn: i64,
    waiting: Waiting,
}

impl Peers {
    /// The peer with this key; it is made if nothing of it is here.
    pub(super) fn enter(&mut self, port: PortId, key: u64) -> PeerSlot {
        let peers = &mut self.peers;
        *self.by_key.entry(key).or_insert_with(|| {
            let peer = Peer {
                key,
                port,
                outstanding: 0,
                bound: None,
                place: None,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
            };
            PeerSlot(peers.insert(peer) as u32)
        })
    }

    pub(super) fn get(&self, slot: PeerSlot) -> Option<&Peer> {
        self.peers.get(slot.0 as usize)
    }

    pub(super) fn get_mut(&mut self, slot: PeerSlot) -> Option<&mut Peer> {
        self.peers.get_mut(slot.0 as usize)
    }

    /// Forgets a peer of which nothing is here any more.
    pub(super) fn leave_if_idle(&mut self, slot: PeerSlot) {
        if self.get(slot).is_some_and(|peer| peer.outstanding == 0 && !peer.waits()) {
            self.unlist(slot);
            let gone = self.peers.remove(slot.0 as usize);
            self.by_key.remove(&gone.key);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// What waits.
    #[cfg(test)]
    pub(super) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.peers.iter().flat_map(|(_, peer)| &peer.waiting);
        all.map(|datagram| &*datagram.body)
    }

    // ---- what waits -----------------------------------------------------------------------------

    pub(super) const fn waiting_bytes(&self) -> u64 {
        self.waiting.bytes
    }

    /// A datagram came back: it is the peer's first.
    pub(super) fn push_first(&mut self, slot: PeerSlot, datagram: Returned) {
        let more = Waiting::of(&datagram);
        if let Some(peer) = self.peers.get_mut(slot.0 as usize) {
            peer.waiting.push_front(datagram);
            peer.waiting_bytes += more.bytes;
            self.waiting.add(more);
            if let Some(line) = line_of(&mut self.lists, peer) {
                line.waiting.add(more);
            }
        }
    }

    /// A datagram was read and waits, where its peer does or is to (`place`). Returns it when as
    /// many as may of its peer wait already, or there, or in all.
    pub(super) fn push_last(
        &mut self,
        slot: PeerSlot,
        place: Place,
        datagram: Returned,
    ) -> Result<(), Returned> {
        let peer = self.peers.get_mut(slot.0 as usize);
        let Some(peer) = peer.filter(|peer| peer.waiting.len() < PEER_WAITING_MAX) else {
            return Err(datagram);
        };
        let place = peer.place.map_or(place, |(place, _)| place);
        let there = self.lists.get(&place).map(|line| line.waiting).unwrap_or_default();
        if !self.waiting.has_room(1) || !there.has_room(place.part()) {
            return Err(datagram);
        }
        let more = Waiting::of(&datagram);
        peer.waiting.push_back(datagram);
        peer.waiting_bytes += more.bytes;
        self.waiting.add(more);
        if let Some(line) = line_of(&mut self.lists, peer) {
            line.waiting.add(more);
        }
        Ok(())
    }

    /// Takes the peer's first.
    pub(super) fn pop(&mut self, slot: PeerSlot) -> Option<Returned> {
        let peer = self.peers.get_mut(slot.0 as usize)?;
        let datagram = peer.waiting.pop_front()?;
        let less = Waiting::of(&datagram);
        peer.waiting_bytes = peer.waiting_bytes.saturating_sub(less.bytes);
        self.waiting.take(less);
        if let Some(line) = line_of(&mut self.lists, peer) {
            line.waiting.take(less);
        }
        Some(datagram)
    }

    /// Drops what waits of the peers that `goes` names; how many datagrams that were.
    pub(super) fn drop_waiting(&mut self, goes: impl Fn(&Peer) -> bool) -> u64 {
        let all = self.peers.iter().filter(|(_, peer)| peer.waits() && goes(peer));
        let slots: Vec<PeerSlot> = all.map(|(index, _)| PeerSlot(index as u32)).collect();
        let mut dropped = 0;
        for slot in slots {
            while self.pop(slot).is_some() {
                dropped += 1;
            }
            self.unlist(slot);
            self.leave_if_idle(slot);
        }
        dropped
    }

    // ---- lists ----------------------------------------------------------------------------------

    /// Puts a peer with something that waits on the list of its place, behind the others or before
    /// them.
    pub(super) fn list(&mut self, slot: PeerSlot, place: Place, first: bool) {
        self.unlist(slot);
        let turn = if first {
            self.first_turn -= 1;
            self.first_turn
        } else {
            self.last_turn += 1;
            self.last_turn
        };
        if let Some(peer) = self.peers.get_mut(slot.0 as usize).filter(|peer| peer.waits()) {
            peer.place = Some((place, turn));
            let line = self.lists.entry(place).or_default();
            line.peers.insert(turn, slot);
            line.waiting.add(peer.counted());
        }
    }

    /// Takes a peer off its list, if it is on one.
    pub(super) fn unlist(&mut self, slot: PeerSlot) {
        let Some(peer) = self.peers.get_mut(slot.0 as usize) else { return };
        let Some((place, turn)) = peer.place.take() else { return };
        if let Some(line) = self.lists.get_mut(&place) {
            line.peers.remove(&turn);
            line.waiting.take(peer.counted());
            if line.peers.is_empty() {
                crate::invariant!(line.waiting == Waiting::default(), "who waits is counted");
                self.lists.remove(&place);
            }
        }
    }

    /// Takes everybody off a list, in their order.
    pub(super) fn unlist_all(&mut self, place: Place) -> Vec<PeerSlot> {
        let peers = self.lists.get(&place).map(|line| &line.peers);
        let slots: Vec<PeerSlot> = peers.into_iter().flat_map(BTreeMap::values).copied().collect();
        slots.iter().for_each(|slot| self.unlist(*slot));
        slots
    }

    /// Who is first at a place.
    pub(super) fn first(&self, place: Place) -> Option<PeerSlot> {
        self.lists.get(&place)?.peers.values().next().copied()
    }

    /// Whether anybody waits.
    pub(super) fn wait(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Whether a datagram waits for a worker that has nothing to do.
    pub(super) fn any_pulls(&self) -> bool {
        self.lists.contains_key(&Place::Free(Pick::Pull))
    }

    /// Whether anybody waits for any worker.
    pub(super) fn wait_for_any(&self) -> bool {
        Pick::ALL.into_iter().any(|pick| self.lists.contains_key(&Place::Free(pick)))
    }

    /// Whether anybody waits for this one.
    pub(super) fn wait_for_lane(&self, lane: LaneSlot) -> bool {
        self.lists.contains_key(&Place::lane(lane))
    }

    /// Whether anybody waits for who serves next in this slot.
    pub(super) fn wait_for_slot(&self, worker: u16) -> bool {
        self.lists.contains_key(&Place::Slot(worker))
    }

    /// The lanes for which somebody waits.
    pub(super) fn lanes(&self) -> impl Iterator<Item = LaneSlot> {
        self.lists.keys().filter_map(|place| match place {
            Place::Lane(lane) => Some(LaneSlot(*lane)),
            Place::Free(_) | Place::Slot(_) => None,
        })
    }
}

/// The line in which a peer stands.
fn line_of<'a>(lists: &'a mut BTreeMap<Place, Line>, peer: &Peer) -> Option<&'a mut Line> {
    lists.get_mut(&peer.place?.0)
}
