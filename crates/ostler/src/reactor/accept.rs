//! A connection's beginning: a place, an entry of the session table, the epoll set.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::PoisonError;

use ostler_core::brain::CloseReason;
use ostler_core::ids::PortId;
use ostler_shm::sessions::{Home, PAUSED, Peer};

use super::ClientSide;
use super::addresses::Lease;
use super::client_socket::ClientSocket;
use super::connection::Connection;
use super::deadlines::Timing;
use super::handshakes::Stage;
use super::mailbox::Accepted;
use super::proxy_header::ProxyHeader;
use super::read::intake::Intake;
use super::token;
use super::transport::Transport;
use crate::options::Refusal;
use crate::sys::clock;

/// What is known of a connection before it has a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The id that its session will have.
    pub(super) session: u64,
    /// Whose it is, as far as is known.
    pub(super) peer: Peer,
    /// The port on which it came.
    pub(super) port: PortId,
    /// A proxy has forwarded it and did not say whose it is: the address is the proxy's, and what
    /// is limited for each address is not limited for it.
    pub(super) is_unnamed: bool,
}

impl Arrival {
    /// The address of its client, if that is known.
    fn client_address(&self) -> Option<IpAddr> {
        self.peer.ip().filter(|_| !self.is_unnamed)
    }
}

/// Whether a connection may be one of its address.
#[derive(Debug)]
pub(super) enum Place {
    /// Nobody counts.
    Unlimited,
    /// It is one of them.
    Taken(Lease),
    /// There is none for it.
    None(NoPlace),
}

/// Why a client is refused for the sake of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// It has as many connections as it may.
    AddressFull,
    /// It has had as many in a second as it may.
    TooOften,
    /// Packages of it have killed as many workers as they may.
    Deaths,
}

/// Whether a connection's events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// They are to be told from now on.
    NotYet,
    /// They are already, under another token.
    Already,
}

impl ClientSide {
    pub(super) fn accepted(&mut self, accepted: Accepted) {
        let Accepted { socket, session, peer, port } = accepted;
        let arrival = Arrival { session, peer, port, is_unnamed: false };
        if let Some(proxies) = &self.settings.ports.get(port).proxies {
            return match proxies.trusts(peer) {
                true => {
                    self.begin_newcomer(Stage::Header(ProxyHeader::new(socket.into())), arrival)
                }
                false => self.distrust(Transport::plain(socket.into()), arrival),
            };
        }
        let Some(socket) = self.admit(socket, arrival) else { return };
        #[cfg(feature = "tls")]
        if let Some(served) = self.settings.encryption.of(port) {
            return match Transport::tls(socket, served.current()) {
                Ok(transport) => self.begin_newcomer(Stage::Handshake(transport), arrival),
                Err(error) => self.refuse_newcomer(arrival, &error),
            };
        }
        self.open_session(Transport::plain(socket), arrival, Watched::NotYet, Vec::new());
    }

    /// The socket with its place among the connections of its address, or `None`: there is none,
    /// and the connection is closed.
    fn admit(&mut self, socket: OwnedFd, arrival: Arrival) -> Option<ClientSocket> {
        let mut socket = ClientSocket::from(socket);
        match self.place_among_its_own(arrival) {
            Place::Unlimited => {}
            Place::Taken(lease) => socket.hold(lease),
            Place::None(why) => {
                self.refuse_beyond_address(Transport::plain(socket), arrival, why);
                return None;
            }
        }
        Some(socket)
    }

    /// A place among the connections of the client's address.
    pub(super) fn place_among_its_own(&self, arrival: Arrival) -> Place {
        let Arrival { peer, port, .. } = arrival;
        let settings = self.settings.ports.get(port);
        let (most, rate) = (settings.address_max, settings.connection_rate_per_address);
        let deaths_max = settings.address_deaths_max;
        let Some(address) = peer.ip().filter(|_| most > 0 || rate > 0 || deaths_max > 0) else {
            return Place::Unlimited;
        };
        if deaths_max > 0 && self.deaths_of(address) >= deaths_max {
            return Place::None(NoPlace::Deaths);
        }
        let addresses = &self.reports.addresses;
        let place = match most {
            0 => Place::Unlimited,
            _ => match addresses.take(self.index, port, address, most) {
                Some(lease) => Place::Taken(lease),
                None => return Place::None(NoPlace::AddressFull),
            },
        };
        // Who is refused is not counted, so that who goes on trying is served at the rate.
        if rate > 0 && !addresses.admits_connection(port, address, rate, self.now) {
            return Place::None(NoPlace::TooOften);
        }
        place
    }

    fn deaths_of(&self, address: IpAddr) -> u32 {
        let deaths = self.reports.address_deaths.lock().unwrap_or_else(PoisonError::into_inner);
        deaths.deaths(address.into(), clock::monotonic_ms())
    }

    /// One client has too many connections, or too many in a second: this one is none.
    pub(super) fn refuse_beyond_address(
        &mut self,
        transport: Transport,
        arrival: Arrival,
        why: NoPlace,
    ) {
        let peer = arrival.peer;
        match why {
            // Nothing of it is kept, neither a descriptor nor time.
            NoPlace::AddressFull => {
                self.accept_counts.refused_address_full += 1;
                if self.complaints.address_full.admits() {
                    tracing::info!(%peer, "refused, its address has max_connections_per_address");
                }
                self.turn_away(transport, arrival, CloseReason::Overloaded);
            }
            NoPlace::TooOften => {
                self.accept_counts.refused_connection_rate += 1;
                if self.complaints.too_often.admits() {
                    tracing::info!(%peer, "refused, beyond connection_rate_per_address");
                }
                self.refuse_with_words(transport, arrival);
            }
            NoPlace::Deaths => {
                self.accept_counts.refused_address_deaths += 1;
                if self.complaints.address_deaths.admits() {
                    tracing::info!(
                        %peer,
                        "refused, packages of its address have killed worker_deaths_per_address"
                    );
                }
                self.turn_away(transport, arrival, CloseReason::AddressDeaths);
            }
        }
    }

    /// Tells a client without a session that it is refused, as its port declares. Only who is
    /// answered keeps its descriptor for as long as the answer takes; an encrypted one cannot be.
    fn refuse_with_words(&mut self, transport: Transport, arrival: Arrival) {
        let port = arrival.port;
        let words = match &self.settings.ports.get(port).refusal {
            Refusal::Reset => {
                return self.turn_away(transport, arrival, CloseReason::Overloaded);
            }
            Refusal::Answer(words) | Refusal::AnswerAndStay(words) if !self.is_encrypted(port) => {
                Some(Refusal::Answer(words.clone()))
            }
            Refusal::Answer(_) | Refusal::AnswerAndStay(_) | Refusal::Close => None,
        };
        let is_free = match words {
            Some(words) => self.end_with_words(transport, port, CloseReason::Overloaded, &words),
            None => {
                self.count_input_dropped(CloseReason::Overloaded, transport.unread());
                transport.close();
                true
            }
        };
        if is_free {
            self.reports.count_closed();
        }
        self.reports.give_place_back(self.index, arrival.session);
    }

    #[cfg(feature = "tls")]
    fn is_encrypted(&self, port: PortId) -> bool {
        self.settings.encryption.of(port).is_some()
    }

    #[cfg(not(feature = "tls"))]
    const fn is_encrypted(&self, _: PortId) -> bool {
        false
    }

    /// Whoever says whose connection it is has to be known. Nothing of this one is read, and it
    /// holds a descriptor no longer.
    fn distrust(&mut self, transport: Transport, arrival: Arrival) {
        self.header_counts.awaited += 1;
        self.header_counts.untrusted += 1;
        if self.complaints.headers.admits() {
            let peer = arrival.peer;
            tracing::info!(%peer, "a connection from none of proxy_protocol_from, closed");
        }
        self.turn_away(transport, arrival, CloseReason::PeerError);
    }

    /// Resets a connection without a session: what it has sent is not read, its place is free.
    fn turn_away(&mut self, transport: Transport, arrival: Arrival, reason: CloseReason) {
        self.count_input_dropped(reason, transport.unread());
        transport.reset();
        self.reports.count_closed();
        self.reports.give_place_back(self.index, arrival.session);
    }

    /// No session begins, and the connection is closed already.
    #[cfg(feature = "tls")]
    pub(super) fn refuse_newcomer(&self, arrival: Arrival, error: &rustls::Error) {
        if self.complaints.handshakes.admits() {
            tracing::error!(peer = %arrival.peer, %error, "cannot begin a handshake");
        }
        self.reports.count_closed();
        self.reports.give_place_back(self.index, arrival.session);
    }

    /// A session begins on a transport that is ready for it; `shown` is what its connect event
    /// tells besides.
    pub(super) fn open_session(
        &mut self,
        transport: Transport,
        arrival: Arrival,
        watched: Watched,
        shown: Vec<u8>,
    ) {
        let Arrival { session, peer, port, is_unnamed } = arrival;
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
        if is_unnamed {
            self.brain.comes_unnamed(slot);
        }
        if !shown.is_empty() {
            self.brain.tell_at_connect(slot, shown);
        }
        let home = Home { reactor: self.index as u8, place: slot.0 };
        self.board.open_session(session, home, port.0, peer, clock::monotonic_ns());
        let token = token::connection(slot, session);
        let added = match watched {
            Watched::Already => transport.watch_again(&self.epoll, token),
            Watched::NotYet => transport.watch(&self.epoll, token),
        };
        let has_input = transport.may_hold_more();
        // A stream has one only while something of it is kept.
        let settings = self.settings.ports.get(port);
        let framer = settings.framer.filter(|_| !settings.keeps_unused);
        let intake = framer.map(|framer| Box::new(Intake::new(framer)));
        let waits = settings.accept_confirm;
        let timing = Timing::new(self.now, &settings.deadlines);
        let mut connection = Connection::new(transport, session, port, intake, timing);
        connection.metering = self.metering(port, arrival.client_address());
        self.connections.insert(slot, connection);
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
