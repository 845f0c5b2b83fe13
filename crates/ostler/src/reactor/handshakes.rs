//! Connections before their sessions: a transport that has something to say first.
//!
//! A handshake costs as much as hundreds of packages, and a client may ask for one whenever it
//! likes. So none is made where packages are carried: those that can go on wait in a line
//! (`ostler_core::handshakes`), and each turn, after everything else is done and told, goes on with
//! as many as have room in [`TURN_NS`]. An established session waits for one of them at most.

use ostler_core::Nanos;
use ostler_core::brain::CloseReason;
use ostler_core::handshakes::{HandshakeId, Handshakes};
use ostler_core::ids::PortId;
use ostler_shm::sessions::Peer;
use std::io;

use super::transport::{Handshaking, Transport};
use super::{ClientSide, token};
use crate::sys::clock;
use crate::sys::epoll::Readiness;

/// Handshakes of a reactor at the same time; beyond it the one that has waited the longest makes
/// room. A client that is there needs a few round trips, so that this is enough for tens of
/// thousands of handshakes in a second.
pub(super) const HANDSHAKES_MAX: usize = 4_096;
/// How long a turn goes on with handshakes before it looks at its sessions again; the one that is
/// begun is finished.
const TURN_NS: Nanos = 500_000;

/// A connection that has no session yet.
#[derive(Debug)]
pub(super) struct Newcomer {
    transport: Transport,
    /// The id that its session will have.
    session: u64,
    peer: Peer,
    port: PortId,
    /// Bytes of its buffers that the budget was charged.
    charged: usize,
}

/// All of them, of one reactor.
pub(super) type Newcomers = Handshakes<Newcomer>;

impl ClientSide {
    /// A connection begins with a handshake.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has handshakes"))]
    pub(super) fn begin_handshake(
        &mut self,
        transport: Transport,
        session: u64,
        peer: Peer,
        port: PortId,
    ) {
        self.counts.begun += 1;
        let newcomer = Newcomer { transport, session, peer, port, charged: 0 };
        if self.draining {
            self.counts.ended += 1;
            return self.end_newcomer(newcomer);
        }
        let (id, crowded_out) = self.newcomers.begin(newcomer, self.now);
        if let Some(oldest) = crowded_out {
            self.counts.crowded_out += 1;
            self.end_newcomer(oldest);
        }
        let Some(newcomer) = self.newcomers.get_mut(id) else { return };
        if let Err(error) = newcomer.transport.watch(&self.epoll, token::handshake(id.0)) {
            self.handshake_failed(id, &error);
        }
    }

    /// Something came of a client whose handshake is not over.
    pub(super) fn handshake_event(&mut self, number: u32, readiness: Readiness) {
        let id = HandshakeId(number);
        // It may have ended since, in this turn.
        let Some(newcomer) = self.newcomers.get_mut(id) else { return };
        if newcomer.transport.on_event(readiness).failed {
            return self.handshake_failed(id, &io::ErrorKind::ConnectionReset.into());
        }
        self.newcomers.make_ready(id);
    }

    /// Goes on with those that can, for as long as a turn may. True: there is more to do at once.
    pub(super) fn go_on_with_handshakes(&mut self) -> bool {
        while let Some(newcomer) = self.newcomers.take_due(self.now) {
            self.counts.timed_out += 1;
            tracing::debug!(peer = %newcomer.peer, "a handshake did not end in time");
            self.end_newcomer(newcomer);
        }
        if !self.newcomers.has_ready() {
            return false;
        }
        let end = clock::monotonic_ns().saturating_add(TURN_NS);
        while let Some((id, newcomer)) = self.newcomers.next_ready() {
            let step = newcomer.transport.handshake();
            let held = newcomer.transport.held();
            let before = std::mem::replace(&mut newcomer.charged, held);
            self.recharge(before, held);
            match step {
                Ok(Handshaking::Waits) => {}
                Ok(Handshaking::Done) => self.handshake_done(id),
                Err(error) => self.handshake_failed(id, &error),
            }
            if clock::monotonic_ns() >= end {
                break;
            }
        }
        true
    }

    fn handshake_done(&mut self, id: HandshakeId) {
        let Some(newcomer) = self.newcomers.remove(id) else { return };
        let Newcomer { transport, session, peer, port, charged } = newcomer;
        self.counts.done += 1;
        self.counts.resumed += u64::from(transport.is_resumed());
        self.memory.release(charged as u64);
        self.open_session(transport, session, peer, port);
    }

    fn handshake_failed(&mut self, id: HandshakeId, error: &io::Error) {
        let Some(newcomer) = self.newcomers.remove(id) else { return };
        self.counts.failed += 1;
        if self.complaints.handshakes.admits() {
            tracing::info!(peer = %newcomer.peer, %error, "a handshake failed");
        }
        self.end_newcomer(newcomer);
    }

    /// The server ends, or a drain begins: whoever has no session yet gets none.
    pub(super) fn end_all_handshakes(&mut self) {
        while let Some(newcomer) = self.newcomers.take_oldest() {
            self.counts.ended += 1;
            self.end_newcomer(newcomer);
        }
    }

    /// Its place goes to others at once; its connection ends in order, so that the client hears
    /// why.
    fn end_newcomer(&mut self, newcomer: Newcomer) {
        let session = newcomer.session;
        self.memory.release(newcomer.charged as u64);
        if self.close_in_order(newcomer.transport, newcomer.port, CloseReason::PeerError) {
            self.reports.count_closed();
        }
        self.reports.give_place_back(self.index, session);
    }
}
