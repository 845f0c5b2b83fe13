//! A connection's beginning: a place, an entry of the session table, the epoll set.

use ostler_core::ids::PortId;
use ostler_shm::sessions::{Home, PAUSED, Peer};

use super::ClientSide;
use super::connection::Connection;
use super::deadlines::Timing;
use super::mailbox::Accepted;
use super::read::intake::Intake;
use super::token;
use super::transport::Transport;
use crate::sys::clock;

impl ClientSide {
    pub(super) fn accepted(&mut self, accepted: Accepted) {
        let Accepted { socket, session, peer, port } = accepted;
        #[cfg(feature = "tls")]
        if let Some(served) = self.settings.encryption.of(port) {
            return match Transport::tls(socket, served.current()) {
                Ok(transport) => self.begin_handshake(transport, session, peer, port),
                Err(error) => self.refuse_newcomer(session, peer, &error),
            };
        }
        self.open_session(Transport::plain(socket), session, peer, port);
    }

    /// No session begins, and the connection is closed already.
    #[cfg(feature = "tls")]
    fn refuse_newcomer(&self, session: u64, peer: Peer, error: &rustls::Error) {
        if self.complaints.handshakes.admits() {
            tracing::error!(%peer, %error, "cannot begin a handshake");
        }
        self.reports.count_closed();
        self.reports.give_place_back(self.index, session);
    }

    /// A session begins on a transport that is ready for it.
    pub(super) fn open_session(
        &mut self,
        transport: Transport,
        session: u64,
        peer: Peer,
        port: PortId,
    ) {
        let Some(slot) = self.brain.accept(port, session) else {
            // The acceptor hands over no more than there are places.
            tracing::error!(%peer, "no place for a session, closed");
            transport.close();
            self.reports.count_closed();
            return self.reports.give_place_back(self.index, session);
        };
        if let Some(address) = peer.ip() {
            self.brain.comes_from(slot, address);
        }
        let home = Home { reactor: self.index as u8, place: slot.0 };
        self.board.open_session(session, home, port.0, peer, clock::monotonic_ns());
        let token = token::connection(slot, session);
        // A transport that had something to say before is watched already.
        let added = match transport.had_handshake() {
            true => transport.watch_again(&self.epoll, token),
            false => transport.watch(&self.epoll, token),
        };
        let has_input = transport.may_hold_more();
        // A stream has one only while something of it is kept.
        let settings = self.settings.ports.get(port);
        let framer = settings.framer.filter(|_| !settings.keeps_unused);
        let intake = framer.map(|framer| Box::new(Intake::new(framer)));
        let waits = settings.accept_confirm;
        let timing = Timing::new(self.now, &settings.deadlines);
        self.connections.insert(slot, Connection::new(transport, session, port, intake, timing));
        if waits {
            self.brain.pause_session(slot, true);
            self.publish_flags(slot, PAUSED);
        }
        self.look_at_deadlines(slot);
        if let Err(error) = added {
            if self.complaints.unwatched.admits() {
                tracing::warn!(%peer, %error, "cannot watch a connection, closed");
            }
            return self.peer_lost(slot);
        }
        self.transport_changed(slot);
        if has_input {
            self.brain.readable(slot);
        }
    }
}
