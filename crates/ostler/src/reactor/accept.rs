//! A connection's beginning: a place, an entry of the session table, the epoll set.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use ostler_core::brain::CloseReason;
use ostler_shm::sessions::session_id;

use super::Reactor;
use super::connection::Connection;
use super::intake::Intake;
use super::token;
use crate::sys::clock;
use crate::sys::epoll::Interest;

impl Reactor {
    pub(super) fn accepted(&mut self, connection: OwnedFd, peer: SocketAddr) {
        let index = self.index;
        let Some((slot, session)) = self.brain.accept(|counter| session_id(counter, index)) else {
            // The acceptor counts sockets; places are held by ended sessions too, until a worker has seen their close event.
            if !std::mem::replace(&mut self.said_no_place, true) {
                tracing::info!("no place for a session before workers have seen the end of others");
            }
            self.without_place.push_back((connection, peer));
            return;
        };
        if let Some(entry) = self.board.entry(session) {
            entry.open(session, peer, clock::monotonic_ns());
        }
        let added = self.epoll.add(&connection, token::connection(slot, session), Interest::CLIENT);
        let intake = self.settings.framer.map(|framer| Box::new(Intake::new(framer)));
        self.connections.insert(slot, Connection::new(connection, session, intake));
        if let Err(error) = added {
            tracing::warn!(%peer, %error, "cannot watch a connection, closed");
            self.brain.close(slot, CloseReason::PeerError);
        }
    }

    /// Places have become free: who waited for one gets it. True when somebody did.
    pub(super) fn admit_waiting(&mut self) -> bool {
        if !std::mem::take(&mut self.place_was_freed) || self.without_place.is_empty() {
            return false;
        }
        for (connection, peer) in std::mem::take(&mut self.without_place) {
            self.accepted(connection, peer);
        }
        self.said_no_place &= !self.without_place.is_empty();
        true
    }

    /// The server ends: who waits for a place gets none.
    pub(super) fn refuse_waiting(&mut self) {
        for (connection, _) in std::mem::take(&mut self.without_place) {
            drop(connection);
            self.reports.count_closed();
        }
    }
}
