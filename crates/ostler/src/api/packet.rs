//! One datagram.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use ostler_shm::record::FLAG_REDELIVERED;

use super::deferred_packet::DeferredPacket;
use super::package::debug_bytes;
use super::packet_peer::PacketPeer;
use super::port::Port;
use super::send_error::SendError;
use crate::worker::{Payload, WorkerContext};

/// A datagram that came on a port for datagrams (`udp://`, `unixgram://`). It may be empty. It is a
/// slice of bytes, which lie in shared memory that only the master can change, and does not while
/// the callback runs.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Packet, Session, Worker};
///
/// struct Upper;
///
/// impl Handler for Upper {
///     fn on_packet(&mut self, _worker: &Worker, packet: &Packet) -> Outcome {
///         Ok(packet.reply(&packet.to_ascii_uppercase())?)
///     }
///
///     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
///         Ok(())
///     }
/// }
/// ```
pub struct Packet {
    context: Rc<WorkerContext>,
    payload: Payload,
    /// Bytes of the address in front.
    address_bytes: usize,
    peer: PacketPeer,
    port: u16,
    flags: u8,
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Packet", format_args!("from {}", self.peer), self.as_bytes())
    }
}

impl Packet {
    /// `payload` is an address and what came from there. `None`: it is not.
    pub(crate) fn new(
        context: &Rc<WorkerContext>,
        payload: Payload,
        port: u16,
        flags: u8,
    ) -> Option<Self> {
        let block = ostler_shm::peer::PeerBlock::read(payload.bytes())?;
        let address_bytes = block.as_bytes().len();
        let peer = PacketPeer::of_block(block);
        Some(Self { context: Rc::clone(context), payload, address_bytes, peer, port, flags })
    }

    /// What the handles of its worker share.
    pub(super) const fn context(&self) -> &Rc<WorkerContext> {
        &self.context
    }

    /// The bytes.
    ///
    /// ```
    /// # use ostler::{Outcome, Packet};
    /// fn is_ping(packet: &Packet) -> bool {
    ///     packet.as_bytes() == b"ping"
    /// }
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.payload.bytes().get(self.address_bytes..).unwrap_or_default()
    }

    /// Who sent it. The address of a UDP datagram may be forged: who answers with more bytes than
    /// came can be made to flood others.
    ///
    /// ```
    /// # use ostler::{Outcome, Packet};
    /// fn came_from(packet: &Packet) -> String {
    ///     packet.peer().to_string()
    /// }
    /// ```
    #[must_use]
    pub const fn peer(&self) -> &PacketPeer {
        &self.peer
    }

    /// The port on which it came.
    ///
    /// ```
    /// # use ostler::{Outcome, Packet};
    /// fn came_by(packet: &Packet) -> String {
    ///     packet.port().name().to_owned()
    /// }
    /// ```
    #[must_use]
    pub fn port(&self) -> Port {
        self.context.listening_port(self.port).clone()
    }

    /// Whether a worker that died had started it before (only with `crash_policy = redeliver`):
    /// side effects outside this server may have happened already.
    ///
    /// ```
    /// # use ostler::{Outcome, Packet};
    /// fn count(packet: &Packet, seen: &mut u64) {
    ///     if !packet.is_redelivered() {
    ///         *seen += 1;
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn is_redelivered(&self) -> bool {
        self.flags & FLAG_REDELIVERED != 0
    }

    /// Sends a datagram back, from the port on which this one came: an output of this delivery (see
    /// `crash_policy`). The same as [`Worker::send_to`](crate::Worker::send_to) with this peer.
    ///
    /// ```
    /// # use ostler::{Outcome, Packet};
    /// fn answer(packet: &Packet) -> Outcome {
    ///     Ok(packet.reply(b"pong")?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_unreachable`] when the sender is a unix socket without a name; else as
    /// [`Worker::send_to`](crate::Worker::send_to).
    pub fn reply(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.context.send_datagram(self.port, self.peer.block(), bytes)
    }

    /// Takes the delivery out of the callback: it is finished when the answer is dropped, not when
    /// `on_packet` returns. Until then it stays in hand, and its peer with this worker. Later
    /// datagrams are handled meanwhile, those of its peer too, so that answers may overtake each
    /// other, as they may on their way.
    ///
    /// `None` when it was deferred already.
    ///
    /// ```
    /// # use ostler::{Outcome, Packet};
    /// fn on_packet(packet: &Packet) -> Outcome {
    ///     let mut deferred = packet.defer().ok_or("deferred already")?;
    ///     std::thread::spawn(move || {
    ///         let answer = deferred.as_bytes().to_ascii_uppercase(); // takes long
    ///         let _ = deferred.reply(&answer); // refused when there is no room
    ///     });
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn defer(&self) -> Option<DeferredPacket> {
        DeferredPacket::begin(&self.context, self.port, self.peer, self.as_bytes())
    }
}

impl Deref for Packet {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}
