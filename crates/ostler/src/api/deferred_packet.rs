//! A datagram whose delivery goes on after its callback.

use std::fmt;
use std::rc::Rc;

use super::package::debug_bytes;
use super::packet_peer::PacketPeer;
use super::send_error::SendError;
use crate::worker::{DeferredToken, Output, SendingPort, WorkerContext};

/// The delivery of a datagram that goes on after its callback. Dropping it finishes it. It may go
/// to another thread: there its outputs are posted to the worker, in their order; those that find
/// no room there are dropped and logged.
///
/// With `crash_policy = redeliver` its outputs become visible all at once when it is finished, as
/// those of [`Deferred`](crate::Deferred) do.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Packet, Session, Worker};
///
/// struct Slow;
///
/// impl Handler for Slow {
///     fn on_packet(&mut self, _: &Worker, packet: &Packet) -> Outcome {
///         let mut deferred = packet.defer().ok_or("deferred already")?;
///         std::thread::spawn(move || {
///             let answer = deferred.as_bytes().repeat(2); // takes long
///             deferred.reply(&answer)
///         });
///         Ok(())
///     }
///
///     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
///         Ok(())
///     }
/// }
/// ```
pub struct DeferredPacket {
    token: DeferredToken,
    bytes: Vec<u8>,
    peer: PacketPeer,
    port: SendingPort,
}

impl fmt::Debug for DeferredPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "DeferredPacket", format_args!("from {}", self.peer), &self.bytes)
    }
}

impl DeferredPacket {
    /// `None` when it was deferred already.
    pub(super) fn begin(
        context: &Rc<WorkerContext>,
        port: u16,
        peer: PacketPeer,
        bytes: &[u8],
    ) -> Option<Self> {
        let token = DeferredToken::begin(context)?;
        Some(Self { token, bytes: bytes.to_vec(), peer, port: context.sending_port(port) })
    }

    /// The bytes.
    ///
    /// ```
    /// # use ostler::DeferredPacket;
    /// fn is_ping(packet: &DeferredPacket) -> bool {
    ///     packet.as_bytes() == b"ping"
    /// }
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Who sent it.
    ///
    /// ```
    /// # use ostler::DeferredPacket;
    /// fn came_from(packet: &DeferredPacket) -> String {
    ///     packet.peer().to_string()
    /// }
    /// ```
    #[must_use]
    pub const fn peer(&self) -> &PacketPeer {
        &self.peer
    }

    /// Sends a datagram back as an output of this delivery.
    ///
    /// ```
    /// # use ostler::{DeferredPacket, SendError};
    /// fn answer(mut packet: DeferredPacket) -> Result<(), SendError> {
    ///     packet.reply(b"pong")
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Packet::reply`](crate::Packet::reply); [`SendError::is_full`] also when more than
    /// `redeliver_output_bytes` of another thread's outputs are on their way.
    pub fn reply(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let peer = self.peer;
        self.send_to(&peer, bytes)
    }

    /// Sends a datagram to any peer, from the port on which this one came, as an output of this
    /// delivery.
    ///
    /// ```
    /// # use ostler::{DeferredPacket, PacketPeer, SendError};
    /// fn pass_on(mut packet: DeferredPacket, to: &PacketPeer) -> Result<(), SendError> {
    ///     let bytes = packet.as_bytes().to_vec();
    ///     packet.send_to(to, &bytes)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`DeferredPacket::reply`].
    pub fn send_to(&mut self, peer: &PacketPeer, bytes: &[u8]) -> Result<(), SendError> {
        self.token.send_datagram(self.port, peer.block(), bytes)
    }

    /// Sends bytes to a session, by its id, as an output of this delivery.
    ///
    /// ```
    /// # use ostler::{DeferredPacket, SendError};
    /// /// What came by UDP is shown to a client that has connected.
    /// fn forward(packet: &mut DeferredPacket, session: u64) -> Result<(), SendError> {
    ///     let bytes = packet.as_bytes().to_vec();
    ///     packet.send_to_session(session, &bytes)
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_to_session(&mut self, session: u64, bytes: &[u8]) -> Result<(), SendError> {
        self.token.output(session, Output::Send(bytes))
    }

    /// Finishes the delivery; the same as dropping it.
    ///
    /// ```
    /// # use ostler::{DeferredPacket, SendError};
    /// fn answer(mut packet: DeferredPacket) -> Result<(), SendError> {
    ///     packet.reply(b"done")?;
    ///     packet.finish();
    ///     Ok(())
    /// }
    /// ```
    pub fn finish(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferred_datagram_may_go_to_another_thread() {
        const fn may_be_sent<T: Send>() {}
        may_be_sent::<DeferredPacket>();
    }
}
