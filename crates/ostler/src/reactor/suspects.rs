//! What a reactor knows of the delivery that a dead worker had begun last: the half of an answer
//! whose other half the manager has (`ostler_core::inquest`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ostler_core::address_deaths::AddressDeaths;
use ostler_core::addresses::AddressGroup;
use ostler_core::brain::{CloseReason, LaneSlot, Subject};
use ostler_core::ids::{DeliveryKind, PortId};
use ostler_shm::sessions::Peer;

use super::destination::Destination;
use super::mailbox::FromReactor;
use super::{ClientSide, Reactor};

/// The delivery.
#[derive(Debug)]
pub(crate) struct Suspect {
    /// Whose it was; `None`: nobody is known.
    pub(crate) peer: Option<Peer>,
    pub(crate) port: PortId,
    /// Whether its address is its sender's: not that of a datagram, which may be forged, nor that
    /// of a proxy which did not say whose the session is.
    pub(crate) is_address_known: bool,
    /// How many workers had begun it before.
    pub(crate) attempt: u8,
    /// Its bytes, if it has some and packages are kept.
    pub(crate) package: Option<Evidence>,
}

/// What is kept of a package.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// All of it.
    Whole(HeldBytes),
    /// Nothing, because there is no room for so many bytes.
    TooLong(usize),
}

/// Room for packages on their way to a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct EvidenceRoom {
    taken: Arc<AtomicUsize>,
    max: usize,
}

/// Bytes that take some of it.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    bytes: Vec<u8>,
    room: EvidenceRoom,
}

impl EvidenceRoom {
    /// For so many bytes; 0: nothing is kept.
    pub(crate) fn new(max: usize) -> Self {
        Self { taken: Arc::default(), max }
    }

    fn hold(&self, len: usize, bytes: impl FnOnce() -> Vec<u8>) -> Evidence {
        let before = self.taken.fetch_add(len, Ordering::Relaxed);
        if before.saturating_add(len) > self.max {
            self.taken.fetch_sub(len, Ordering::Relaxed);
            return Evidence::TooLong(len);
        }
        let mut held = HeldBytes { bytes: bytes(), room: self.clone() };
        // What was counted is given back, whatever became of the bytes.
        held.bytes.resize(len, 0);
        Evidence::Whole(held)
    }
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

impl Reactor {
    /// A worker is dead and not settled yet: says what it had begun last, if anybody asks for that.
    pub(super) fn name_suspect(&self, lane: LaneSlot, destination: &Destination, started: u64) {
        let clients = &self.clients;
        if !clients.settings.seeks_culprits {
            return;
        }
        let suspect = clients.suspect(lane, destination, started);
        clients.reports.queue.push(FromReactor::Settled(destination.key(), suspect));
    }
}

impl ClientSide {
    fn suspect(
        &self,
        lane: LaneSlot,
        destination: &Destination,
        started: u64,
    ) -> Option<(u64, Box<Suspect>)> {
        let entry = self.brain.begun_last(lane, started)?;
        let (session, is_address_known) = match entry.subject {
            Subject::Session(slot) => (self.brain.session(slot)?, !self.brain.is_unnamed(slot)),
            Subject::Peer(_) => (0, false),
        };
        let record = self.board.session(session).filter(|_| session != 0);
        let is_package = matches!(entry.kind, DeliveryKind::Package | DeliveryKind::Datagram);
        let copy = || match entry.body.as_deref() {
            Some(body) => body.to_vec(),
            None => destination.body(entry, 0),
        };
        let room = &self.settings.evidence;
        let is_kept = is_package && entry.len > 0 && room.max > 0;
        let suspect = Suspect {
            peer: record.map(|record| record.peer),
            port: self.brain.port_of(entry.subject),
            is_address_known,
            attempt: entry.attempt,
            package: is_kept.then(|| room.hold(entry.len as usize, copy)),
        };
        Some((session, Box::new(suspect)))
    }

    /// Ends the sessions of an address that are open at a port: it has cost too many workers.
    pub(super) fn close_address(&mut self, port: PortId, group: AddressGroup) {
        let is_its = |session| {
            let peer = self.board.session(session).and_then(|record| record.peer.ip());
            peer.map(AddressGroup::from) == Some(group)
        };
        let of_port = self.connections.iter().filter(|(_, connection)| connection.port == port);
        let its = of_port.filter(|(slot, connection)| {
            !self.brain.is_unnamed(*slot) && is_its(connection.session)
        });
        let slots: Vec<_> = its.map(|(slot, _)| slot).collect();
        for slot in slots {
            self.brain.close(slot, CloseReason::AddressDeaths);
        }
    }
}

/// The workers that packages of each address have killed, over all reactors.
pub(crate) type SharedAddressDeaths = Arc<std::sync::Mutex<AddressDeaths>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_takes_room_until_it_is_let_go() {
        let room = EvidenceRoom::new(10);
        let held = room.hold(6, || vec![7; 6]);
        assert!(matches!(&held, Evidence::Whole(bytes) if bytes.as_ref() == [7; 6]));
        assert!(matches!(room.hold(5, Vec::new), Evidence::TooLong(5)));
        assert!(matches!(room.hold(4, || vec![7; 4]), Evidence::Whole(_)));
        drop(held);
        // A body that is shorter than its entry says takes what was counted.
        drop(room.hold(10, Vec::new));
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
