//! Sending datagrams: from a handler's call to records in the out ring of the port's reactor.

use ostler_core::ids::PortId;
use ostler_core::placement;
use ostler_shm::peer::PeerBlock;
use ostler_shm::record::{Header, RecordKind};

use super::context::WorkerContext;
use super::output::Output;
use super::owned_output::NO_SESSION;
use super::parts::append_in_parts;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::send_error::{SendError, SendErrorKind};
use crate::sys::datagram::{DATAGRAM_MAX_BYTES, Family, Target};

/// A datagram that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagram<'a> {
    pub(crate) port: u16,
    pub(crate) peer: &'a PeerBlock,
    pub(crate) bytes: &'a [u8],
}

/// A port as a sender of datagrams; it may go to another thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendingPort {
    number: u16,
    /// The kind of its addresses; `None` when it is not for datagrams.
    family: Option<Family>,
}

impl SendingPort {
    /// A datagram, if it can be sent from here.
    pub(super) fn datagram<'a>(
        &self,
        peer: &'a PeerBlock,
        bytes: &'a [u8],
    ) -> Result<Datagram<'a>, SendError> {
        let family = self.family.ok_or_else(|| SendError::new(SendErrorKind::NoDatagrams))?;
        if Target::new(peer, family).is_none() {
            return Err(SendError::new(SendErrorKind::Unreachable));
        }
        let (len, most) = (bytes.len(), DATAGRAM_MAX_BYTES);
        if len > most {
            return Err(SendError::new(SendErrorKind::DatagramTooLong { len, most }));
        }
        Ok(Datagram { port: self.number, peer, bytes })
    }
}

impl WorkerContext {
    /// The port with this number, as a sender of datagrams.
    pub(crate) fn sending_port(&self, number: u16) -> SendingPort {
        let family = self.settings.find_port(number).and_then(|port| port.datagrams);
        SendingPort { number, family }
    }

    /// Sends a datagram from a port: an output of the running callback, if there is one.
    pub(crate) fn send_datagram(
        &self,
        port: u16,
        peer: &PeerBlock,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        let datagram = self.sending_port(port).datagram(peer, bytes)?;
        self.output_checked(NO_SESSION, Output::Datagram(datagram))
    }

    /// A datagram that another thread has sent found no room.
    pub(super) fn datagram_lost(&self, error: &SendError) {
        if self.complaints.datagram_lost.admits() {
            tracing::warn!(%error, "a datagram of a deferred delivery was not sent");
        }
    }
}

impl Sender {
    /// Appends a datagram for the reactor of its port, in parts if it is longer than a record. One
    /// of which not all parts find room is not sent: its reactor forgets it.
    pub(super) fn append_datagram(
        &self,
        datagram: Datagram<'_>,
        cause: u64,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let Datagram { port, peer, bytes } = datagram;
        let address = peer.as_bytes();
        let lane = placement::owner_of_port(PortId(port), self.lanes());
        let header = Header { kind: RecordKind::SendTo as u8, port, cause, ..Header::default() };
        append_in_parts(header, [address, &[]], bytes, self.payload_max(lane), |header, pieces| {
            self.append_pieces_waiting(lane, header, pieces, for_delivery.as_deref_mut())
        })
    }
}
