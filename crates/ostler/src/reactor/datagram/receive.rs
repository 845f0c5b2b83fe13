//! Reading datagrams: as many as workers have credit for, each to its worker's lane at once.

use std::io::{self, ErrorKind};

use ostler_core::Nanos;
use ostler_core::brain::{Assignment, Offer, PeerSlot, Subject};
use ostler_core::ids::PortId;
use ostler_shm::peer::{PeerAddress, PeerBlock};
use ostler_shm::record::RecordKind;

use crate::reactor::destination::{Destination, Destinations};
use crate::reactor::timers::Timed;
use crate::reactor::{ClientSide, Reactor};
use crate::sys::datagram::{BATCH, Batch, Received};

/// Batches that one port is read in a turn before sessions have theirs.
const BATCHES_PER_TURN: usize = 4;

/// How long a port that cannot be read is let alone.
const REST_NS: Nanos = 1_000_000_000;

impl Reactor {
    /// Whether datagrams are read before sessions in this turn: both take the same credit, so that
    /// each comes first every other time.
    pub(in crate::reactor) fn datagrams_come_first(&mut self) -> bool {
        let datagrams = &mut self.clients.datagrams;
        datagrams.comes_first = !datagrams.comes_first;
        datagrams.comes_first
    }

    /// Reads the datagram ports, as far as workers have credit. True when more could be read at
    /// once.
    pub(in crate::reactor) fn receive_datagrams(&mut self) -> bool {
        let count = self.clients.datagrams.ports.len();
        if count == 0 {
            return false;
        }
        // Taken out, so that what is read is not borrowed with everything else.
        let Some(mut batch) = self.clients.datagrams.batch.take() else { return false };
        let first = self.clients.datagrams.turn;
        self.clients.datagrams.turn = (first + 1) % count;
        for number in (first..count).chain(0..first) {
            for _ in 0..BATCHES_PER_TURN {
                if !self.clients.receive_batch(&mut self.destinations, &mut batch, number) {
                    break;
                }
            }
        }
        self.clients.datagrams.batch = Some(batch);
        self.clients.could_receive_datagrams()
    }
}

impl ClientSide {
    fn could_receive_datagrams(&self) -> bool {
        self.datagrams.ports.iter().any(|port| port.is_readable)
            && self.brain.datagrams_wanted() > 0
    }

    /// Reads a port once. False when there is nothing to read any more, or no credit.
    fn receive_batch(
        &mut self,
        destinations: &mut Destinations,
        batch: &mut Batch,
        number: usize,
    ) -> bool {
        let Some(port) = self.datagrams.ports.get_mut(number) else { return false };
        if !port.is_readable {
            return false;
        }
        let most = self.brain.datagrams_wanted().min(BATCH);
        if most == 0 {
            return false;
        }
        let received = match batch.receive(&*port, port.family(), most) {
            Ok(received) => received,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                port.was_looked_at(false);
                return false;
            }
            // What an earlier datagram met does not concern those that wait.
            Err(_) if !port.has_failed() => return true,
            Err(error) => {
                self.cannot_read(number, &error);
                return false;
            }
        };
        // What comes after the last one is told by a new event.
        port.was_looked_at(received == most);
        let port_id = port.id();
        let dropped = batch.dropped().map_or(0, |dropped| port.drops_told(dropped));
        self.brain.count_kernel_drops(dropped);
        for index in 0..received {
            match batch.get(index) {
                Some(Received::Datagram { record, address_bytes }) => {
                    let len = record.len().saturating_sub(address_bytes);
                    self.traffic.received_bytes += len as u64;
                    self.take_datagram(destinations, port_id, record, address_bytes);
                }
                Some(Received::TooLong | Received::Nobody) => self.brain.datagram_too_long(),
                None => {}
            }
        }
        received == most
    }

    /// A port is not read for a while.
    fn cannot_read(&mut self, number: usize, error: &io::Error) {
        self.timers.arm(Timed::DatagramPort(number), self.now.saturating_add(REST_NS));
        if self.complaints.unread_port.admits() {
            let listen = self.datagrams.ports.get(number).map_or(0, |port| port.id().0);
            tracing::warn!(port = listen, %error, "a datagram port cannot be read, tried again in \
                a second");
        }
    }

    /// A port that could not be read is tried again.
    pub(in crate::reactor) fn datagram_port_rested(&mut self, number: usize) {
        if let Some(port) = self.datagrams.ports.get_mut(number) {
            port.rested();
        }
    }

    fn take_datagram(
        &mut self,
        destinations: &mut Destinations,
        port: PortId,
        record: &[u8],
        address_bytes: usize,
    ) {
        let limit = self.settings.ports.get(port).package_rate_per_address;
        if limit > 0 && !self.admits_datagram(port, record, limit) {
            return self.brain.datagram_over_rate();
        }
        let key = self.datagrams.key(port, record.get(..address_bytes).unwrap_or_default());
        match self.brain.offer_datagram(port, key) {
            Offer::Wait(slot) => self.keep_datagram(slot, record),
            Offer::Give(assignment) => match destinations.get_mut(assignment.lane) {
                Some(destination) => self.give_datagram(destination, assignment, record),
                None => self.datagram_has_no_room(assignment, record),
            },
        }
    }

    /// Counts one more datagram of an address, unless it has sent as many as it may.
    fn admits_datagram(&mut self, port: PortId, record: &[u8], limit: u64) -> bool {
        let sender = PeerBlock::read(record);
        let Some(PeerAddress::Inet(sender)) = sender.as_ref().and_then(PeerBlock::address) else {
            return true;
        };
        let addresses = &self.reports.addresses;
        let Some(key) = addresses.packages_of(port, sender.ip()) else { return true };
        if addresses.admits_package(key, limit, self.now) {
            addresses.count_package(key, limit, self.now);
            return true;
        }
        if self.complaints.over_rate.admits() {
            let peer = sender.ip();
            tracing::info!(%peer, "a datagram is dropped, beyond package_rate_per_address");
        }
        false
    }

    fn keep_datagram(&mut self, slot: PeerSlot, record: &[u8]) {
        // What is dropped is counted by its reason.
        let _ = self.brain.keep_datagram(slot, record.to_vec());
    }

    fn datagram_has_no_room(&mut self, assignment: Assignment, record: &[u8]) {
        let subject = assignment.subject;
        self.brain.no_room(assignment);
        if let Subject::Peer(slot) = subject {
            self.keep_datagram(slot, record);
        }
    }

    fn give_datagram(
        &mut self,
        destination: &mut Destination,
        assignment: Assignment,
        record: &[u8],
    ) {
        if record.len() > self.settings.sizes.payload_max() {
            let kind = RecordKind::Datagram;
            return self.begin_sending(
                destination,
                assignment,
                kind,
                record.to_vec().into(),
                0,
                false,
            );
        }
        let len = record.len() as u64;
        let Some(opening) = destination.open(len, len) else {
            return self.datagram_has_no_room(assignment, record);
        };
        destination.space(&opening, record.len()).copy_from(record);
        let header = self.header(&assignment, RecordKind::Datagram, record.len() as u32);
        let position = destination.complete(opening, header, len);
        self.brain.record_written(assignment, position, len as u32, None, false, self.now);
    }
}
