//! Sessions that come from the master before this one. Workers were told of their beginning there,
//! and will be told of their end here.

use ostler_core::brain::ConnectionSlot;
use ostler_core::succession::hand_over::{HandedPeer, HandedSession, HandedTraffic};
use ostler_shm::lane::RawBytes;
use ostler_shm::session_traffic::SessionTraffic;
use ostler_shm::sessions::{FULL, Home, PROTECTED, Peer, UnixPeer, bound_to};

use super::client_socket::ClientSocket;
use super::connection::Connection;
use super::deadlines::Timing;
use super::mailbox::TakenOver;
use super::read::intake::Intake;
use super::states::NewState;
use super::transport::Transport;
use super::{ClientSide, token};

impl ClientSide {
    /// A session begins here that has begun elsewhere.
    pub(super) fn take_over(&mut self, taken: TakenOver) {
        let TakenOver { socket, port, handed } = taken;
        let (session, peer) = (handed.session, peer_of(&handed));
        let Some(slot) = self.brain.take_over(port, session) else {
            tracing::error!(%peer, "no place for a session of the old master, closed");
            self.expect_no_groups_of(&handed);
            self.reports.places.expect_state_no_more(handed.state.len());
            self.reports.count_closed();
            return self.reports.give_place_back(self.index, session);
        };
        let mut socket = ClientSocket::from(socket);
        if let Some(address) = peer.ip() {
            self.brain.comes_from(slot, address);
            let most = self.settings.ports.get(port).address_max;
            // Who is there stays, also beyond the limit; who comes next is refused.
            if most > 0
                && !handed.is_unnamed
                && let Some(lease) = self.reports.addresses.take(self.index, port, address, most)
            {
                socket.hold(lease);
            }
        }
        if handed.is_unnamed {
            self.brain.comes_unnamed(slot);
        }
        let home = Home { reactor: self.index as u8, place: slot.0 };
        self.board.open_session(session, home, port.0, peer, handed.connected_at_ns);
        let state = NewState::Here(RawBytes::of(&handed.state));
        let keeps_state = handed.state.is_empty() || self.keep_state(session, &state) == Ok(true);
        // In this order: its room is free for nobody in between.
        self.tell_state_room();
        self.reports.places.expect_state_no_more(handed.state.len());
        if let Some(entry) = self.board.entry(session) {
            entry.resume_traffic(traffic_of(&handed));
        }
        let transport = Transport::plain(socket);
        let watched = transport.watch(&self.epoll, token::connection(slot, session));
        let settings = self.settings.ports.get(port);
        let (framer, is_stream) = (settings.framer, settings.keeps_unused);
        let framer = framer.filter(|_| !is_stream || !handed.received.is_empty());
        let intake = framer.map(|framer| Box::new(Intake::new(framer)));
        let mut timing = Timing::new(self.now, &settings.deadlines);
        if handed.traffic.given_at_ns > 0
            && let Some(timing) = timing.as_deref_mut()
        {
            timing.clock.had_package_before();
        }
        let mut connection = Connection::new(transport, session, port, intake, timing);
        let address = peer.ip().filter(|_| !handed.is_unnamed);
        connection.metering = self.metering(port, address);
        self.connections.insert(slot, connection);
        self.restore(slot, &handed);
        self.look_at_deadlines(slot);
        if watched.is_err() {
            return self.peer_lost(slot);
        }
        if !keeps_state {
            return self.refuse_state(slot, session, "there is no memory for it");
        }
        self.flush(slot);
    }

    /// The places that were kept for its groups are taken, or needed no more.
    fn expect_no_groups_of(&self, handed: &HandedSession) {
        if let Some(mut expected) = self.reports.expected_groups(self.index) {
            expected.forget(&handed.groups);
        }
    }

    /// What is known of it besides.
    fn restore(&mut self, slot: ConnectionSlot, handed: &HandedSession) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let mut growth = 0;
        if let Some(intake) = connection.intake.as_deref_mut() {
            growth = intake.growth(handed.received.len());
            intake.push(&handed.received, growth);
        }
        if !handed.unsent.is_empty() {
            let fill = |chunk: &mut Vec<u8>| chunk.extend_from_slice(&handed.unsent);
            connection.output.push(handed.unsent.len(), fill);
        }
        if growth > 0 {
            self.intake_grew(slot, growth);
        }
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let flags = flag(handed.is_protected, PROTECTED)
            | flag(handed.is_full, FULL)
            | handed.user.map_or(0, bound_to);
        self.publish_flags(slot, flags);
        if handed.is_full {
            self.brain.was_told_full(slot);
        }
        if let Some(user) = handed.user {
            self.brain.bind(slot, user);
        }
        for name in &handed.groups {
            self.add_to_group(slot, handed.session, name);
        }
        self.expect_no_groups_of(handed);
        if !handed.unsent.is_empty() {
            self.output_waits(slot);
            self.output_resized(slot, 0);
        }
        self.publish_output(slot);
        self.publish_input(slot);
    }
}

/// What came and went with it; what waits is told where it waits.
fn traffic_of(handed: &HandedSession) -> SessionTraffic {
    let HandedTraffic { received_at_ns, given_at_ns, sent_at_ns, received_bytes, sent_bytes } =
        handed.traffic;
    let (unsent_bytes, ungiven_bytes) = (0, 0);
    SessionTraffic {
        received_at_ns,
        given_at_ns,
        sent_at_ns,
        received_bytes,
        sent_bytes,
        unsent_bytes,
        ungiven_bytes,
    }
}

fn peer_of(handed: &HandedSession) -> Peer {
    match handed.peer {
        HandedPeer::Ip(address) => Peer::Ip(address),
        HandedPeer::Unix([pid, uid, gid]) => Peer::Unix(UnixPeer { pid, uid, gid }),
    }
}
