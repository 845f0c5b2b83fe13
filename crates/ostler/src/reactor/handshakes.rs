//! Connections before their sessions: a proxy says whose they are, a transport has something to say
//! first.
//!
//! A handshake costs as much as hundreds of packages, and a client may ask for one whenever it
//! likes. So none is made where packages are carried: those that can go on wait in a line
//! (`ostler_core::handshakes`), and each turn, after everything else is done and told, goes on with
//! as many as have room in [`TURN_NS`]. An established session waits for one of them at most.

use ostler_core::brain::CloseReason;
use ostler_core::handshakes::{HandshakeId, Handshakes};
use ostler_core::proxy_protocol::Client;
use ostler_core::{Nanos, invariant};
use ostler_shm::sessions::Peer;
use std::io;

use super::accept::{Arrival, NoPlace, Place, Watched};
use super::addresses::Lease;
use super::proxy_header::{NoHeader, ProxyHeader};
use super::transport::{Handshaking, Transport};
use super::{ClientSide, token};
use crate::sys::clock;
use crate::sys::epoll::{Epoll, Readiness};

/// Handshakes of a reactor at the same time; beyond it the one that has waited the longest makes
/// room. A client that is there needs a few round trips, so that this is enough for tens of
/// thousands of handshakes in a second.
pub(super) const HANDSHAKES_MAX: usize = 4_096;
/// The part of the memory budget that they may take together, of all reactors. Beyond it the one
/// that has held some the longest makes room, so that sessions do not pay for who has none.
const MEMORY_PART: usize = 8;
/// The least that those of one reactor may hold: two messages of any length.
const MEMORY_LEAST_BYTES: usize = 2 * 68 * 1024;
/// How long a turn goes on with handshakes before it looks at its sessions again; the one that is
/// begun is finished.
const TURN_NS: Nanos = 500_000;

/// A connection that has no session yet.
#[derive(Debug)]
pub(super) struct Newcomer {
    stage: Stage,
    arrival: Arrival,
    /// Bytes of its buffers that the budget was charged.
    charged: usize,
}

/// All of them, of one reactor.
pub(super) type Newcomers = Handshakes<Newcomer>;

/// How many bytes they may hold in one of so many reactors.
pub(super) fn memory_max(budget: usize, reactors: usize) -> usize {
    (budget / MEMORY_PART / reactors.max(1)).max(MEMORY_LEAST_BYTES)
}

/// What is awaited of it.
#[derive(Debug)]
pub(super) enum Stage {
    /// A proxy's word, whose connection it is.
    Header(ProxyHeader),
    /// What the transport has to say.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has handshakes"))]
    Handshake(Transport),
}

/// How far a newcomer has come.
enum Step {
    Waits,
    /// It can go on in its next turn.
    Yields,
    /// The proxy has said whose connection it is.
    Named(Client),
    /// The session begins.
    Done,
}

/// Why a newcomer does not go on.
enum Failure {
    Header(NoHeader),
    Handshake(io::Error),
}

/// Why one ends to which nothing has happened.
#[derive(Clone, Copy)]
enum Ending {
    TimedOut,
    CrowdedOut,
    ServerEnds,
}

impl Stage {
    fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        match self {
            Self::Header(header) => header.watch(epoll, token),
            Self::Handshake(transport) => transport.watch(epoll, token),
        }
    }

    /// Whether an event says that the connection has failed.
    fn has_failed(&mut self, readiness: Readiness) -> bool {
        match self {
            Self::Header(_) => ProxyHeader::has_failed(readiness),
            Self::Handshake(transport) => transport.on_event(readiness).failed,
        }
    }

    fn go_on(&mut self) -> Result<Step, Failure> {
        match self {
            Self::Header(header) => match header.read().map_err(Failure::Header)? {
                Some(client) => Ok(Step::Named(client)),
                None => Ok(Step::Waits),
            },
            Self::Handshake(transport) => {
                match transport.handshake().map_err(Failure::Handshake)? {
                    Handshaking::Waits => Ok(Step::Waits),
                    Handshaking::Yields => Ok(Step::Yields),
                    Handshaking::Done => Ok(Step::Done),
                }
            }
        }
    }

    /// Bytes of memory that it holds.
    const fn held(&self) -> usize {
        match self {
            Self::Header(header) => header.held(),
            Self::Handshake(transport) => transport.held(),
        }
    }

    /// Bytes that were taken from the socket, as far as they are the client's input.
    const fn taken(&self) -> usize {
        match self {
            Self::Header(header) => header.taken(),
            Self::Handshake(_) => 0,
        }
    }

    fn failure(&self, error: io::Error) -> Failure {
        match self {
            Self::Header(_) => Failure::Header(NoHeader::Failed(error)),
            Self::Handshake(_) => Failure::Handshake(error),
        }
    }

    fn into_transport(self) -> Transport {
        match self {
            Self::Header(header) => Transport::plain(header.into_socket()),
            Self::Handshake(transport) => transport,
        }
    }
}

impl ClientSide {
    /// A connection begins with something else than its session.
    pub(super) fn begin_newcomer(&mut self, stage: Stage, arrival: Arrival) {
        match stage {
            Stage::Header(_) => self.header_counts.awaited += 1,
            Stage::Handshake(_) => self.counts.begun += 1,
        }
        let newcomer = Newcomer { stage, arrival, charged: 0 };
        if self.draining {
            return self.end_untouched(newcomer, Ending::ServerEnds);
        }
        let (id, crowded_out) = self.newcomers.begin(newcomer, self.now);
        if let Some(oldest) = crowded_out {
            self.end_untouched(oldest, Ending::CrowdedOut);
        }
        let Some(newcomer) = self.newcomers.get_mut(id) else { return };
        if let Err(error) = newcomer.stage.watch(&self.epoll, token::handshake(id.0)) {
            let failure = newcomer.stage.failure(error);
            self.newcomer_failed(id, failure);
        }
    }

    /// Something came of a connection that has no session yet.
    pub(super) fn handshake_event(&mut self, number: u32, readiness: Readiness) {
        let id = HandshakeId(number);
        // It may have ended since, in this turn.
        let Some(newcomer) = self.newcomers.get_mut(id) else { return };
        if newcomer.stage.has_failed(readiness) {
            let failure = newcomer.stage.failure(io::ErrorKind::ConnectionReset.into());
            return self.newcomer_failed(id, failure);
        }
        self.newcomers.make_ready(id);
    }

    /// Goes on with those that can, for as long as a turn may. True: there is more to do at once.
    pub(super) fn go_on_with_handshakes(&mut self) -> bool {
        while let Some(newcomer) = self.newcomers.take_due(self.now) {
            tracing::debug!(peer = %newcomer.arrival.peer, "no session began in time");
            self.end_untouched(newcomer, Ending::TimedOut);
        }
        if !self.newcomers.has_ready() {
            return false;
        }
        let end = clock::monotonic_ns().saturating_add(TURN_NS);
        while let Some((id, newcomer)) = self.newcomers.next_ready() {
            let step = newcomer.stage.go_on();
            let held = newcomer.stage.held();
            let before = std::mem::replace(&mut newcomer.charged, held);
            self.newcomers.holds(id, held);
            self.recharge(before, held);
            match step {
                Ok(Step::Waits) => {}
                Ok(Step::Yields) => self.newcomers.make_ready(id),
                Ok(Step::Named(client)) => self.header_read(id, client),
                Ok(Step::Done) => self.handshake_done(id),
                Err(failure) => self.newcomer_failed(id, failure),
            }
            while let Some(newcomer) = self.newcomers.take_excess() {
                tracing::debug!(peer = %newcomer.arrival.peer, "it held memory that others need");
                self.end_untouched(newcomer, Ending::CrowdedOut);
            }
            if clock::monotonic_ns() >= end {
                break;
            }
        }
        true
    }

    /// From now on the connection is that of the client that the proxy has named.
    fn header_read(&mut self, id: HandshakeId, client: Client) {
        self.header_counts.read += 1;
        let Some(newcomer) = self.newcomers.get_mut(id) else { return };
        match client {
            Client::At(address) => {
                newcomer.arrival.peer = Peer::Ip(address);
                let arrival = newcomer.arrival;
                match self.place_among_its_own(arrival) {
                    Place::Unlimited => {}
                    Place::Taken(lease) => self.hold(id, lease),
                    Place::None(why) => return self.refuse_newcomer_of_address(id, why),
                }
            }
            Client::OfConnection => newcomer.arrival.is_unnamed = true,
        }
        #[cfg(feature = "tls")]
        if let Some(newcomer) = self.newcomers.get_mut(id)
            && let Some(served) = self.settings.encryption.of(newcomer.arrival.port)
        {
            let config = served.current();
            return self.begin_handshake_behind_header(id, config);
        }
        let Some(Newcomer { stage, arrival, charged }) = self.newcomers.remove(id) else { return };
        self.memory.release(charged as u64);
        self.open_session(stage.into_transport(), arrival, Watched::Already, Vec::new());
    }

    fn hold(&mut self, id: HandshakeId, lease: Lease) {
        match self.newcomers.get_mut(id).map(|newcomer| &mut newcomer.stage) {
            Some(Stage::Header(header)) => header.hold(lease),
            _ => invariant!(false, "a newcomer that is named has a header"),
        }
    }

    fn refuse_newcomer_of_address(&mut self, id: HandshakeId, why: NoPlace) {
        let Some(Newcomer { stage, arrival, charged }) = self.newcomers.remove(id) else { return };
        self.memory.release(charged as u64);
        self.refuse_beyond_address(stage.into_transport(), arrival, why);
    }

    fn handshake_done(&mut self, id: HandshakeId) {
        let Some(newcomer) = self.newcomers.remove(id) else { return };
        let Newcomer { stage, arrival, charged } = newcomer;
        let mut transport = stage.into_transport();
        let shown = match transport.shown() {
            Ok(shown) => shown,
            Err(error) => {
                let stage = Stage::Handshake(transport);
                let newcomer = Newcomer { stage, arrival, charged };
                return self.handshake_failed(newcomer, &error);
            }
        };
        self.counts.done += 1;
        self.counts.resumed += u64::from(transport.is_resumed());
        self.memory.release(charged as u64);
        self.open_session(transport, arrival, Watched::Already, shown);
    }

    fn handshake_failed(&mut self, newcomer: Newcomer, error: &io::Error) {
        self.counts.failed += 1;
        if self.complaints.handshakes.admits() {
            tracing::info!(peer = %newcomer.arrival.peer, %error, "a handshake failed");
        }
        self.end_newcomer(newcomer);
    }

    fn newcomer_failed(&mut self, id: HandshakeId, failure: Failure) {
        let Some(newcomer) = self.newcomers.remove(id) else { return };
        let peer = newcomer.arrival.peer;
        match failure {
            Failure::Handshake(error) => return self.handshake_failed(newcomer, &error),
            Failure::Header(NoHeader::Bad(reason)) => {
                self.header_counts.count_bad(reason);
                if self.complaints.headers.admits() {
                    tracing::info!(%peer, "{}, closed", reason.text());
                }
            }
            Failure::Header(why) => {
                self.header_counts.left += 1;
                // Load balancers look for the port all the time: they come and leave, and some
                // reset the connection behind their header.
                let had_begun = newcomer.stage.taken() > 0;
                if had_begun && self.complaints.headers.admits() {
                    let error = match why {
                        NoHeader::Failed(error) => error,
                        _ => io::ErrorKind::UnexpectedEof.into(),
                    };
                    tracing::info!(%peer, %error, "a connection ended before its proxy's header");
                }
            }
        }
        self.end_newcomer(newcomer);
    }

    /// The server ends, or a drain begins: whoever has no session yet gets none.
    pub(super) fn end_all_handshakes(&mut self) {
        while let Some(newcomer) = self.newcomers.take_oldest() {
            self.end_untouched(newcomer, Ending::ServerEnds);
        }
    }

    /// One ends for a reason that is not its own.
    fn end_untouched(&mut self, newcomer: Newcomer, ending: Ending) {
        let (headers, handshakes) = (&mut self.header_counts, &mut self.counts);
        let count = match (&newcomer.stage, ending) {
            (Stage::Header(_), Ending::TimedOut) => &mut headers.timed_out,
            (Stage::Header(_), Ending::CrowdedOut) => &mut headers.crowded_out,
            (Stage::Header(_), Ending::ServerEnds) => &mut headers.ended,
            (Stage::Handshake(_), Ending::TimedOut) => &mut handshakes.timed_out,
            (Stage::Handshake(_), Ending::CrowdedOut) => &mut handshakes.crowded_out,
            (Stage::Handshake(_), Ending::ServerEnds) => &mut handshakes.ended,
        };
        *count += 1;
        self.end_newcomer(newcomer);
    }

    /// Its place goes to others at once; its connection ends in order, so that the client hears
    /// why.
    fn end_newcomer(&mut self, newcomer: Newcomer) {
        let Newcomer { stage, arrival, charged } = newcomer;
        self.memory.release(charged as u64);
        self.count_input_dropped(CloseReason::PeerError, stage.taken());
        let transport = stage.into_transport();
        if self.close_in_order(transport, arrival.port, CloseReason::PeerError) {
            self.reports.count_closed();
        }
        self.reports.give_place_back(self.index, arrival.session);
    }
}

#[cfg(feature = "tls")]
impl ClientSide {
    /// The handshake has what is left of the time.
    fn begin_handshake_behind_header(
        &mut self,
        id: HandshakeId,
        config: std::sync::Arc<rustls::ServerConfig>,
    ) {
        let Some(newcomer) = self.newcomers.get_mut(id) else { return };
        let arrival = newcomer.arrival;
        let charged = std::mem::take(&mut newcomer.charged);
        self.newcomers.holds(id, 0);
        self.memory.release(charged as u64);
        let mut refused = None;
        self.newcomers.replace_with(id, |newcomer| {
            let Stage::Header(header) = newcomer.stage else { return Some(newcomer) };
            match Transport::tls(header.into_socket(), config) {
                Ok(transport) => {
                    Some(Newcomer { stage: Stage::Handshake(transport), arrival, charged: 0 })
                }
                Err(error) => {
                    refused = Some(error);
                    None
                }
            }
        });
        if let Some(error) = refused {
            return self.refuse_newcomer(arrival, &error);
        }
        self.counts.begun += 1;
        let Some(Stage::Handshake(transport)) =
            self.newcomers.get_mut(id).map(|newcomer| &newcomer.stage)
        else {
            return;
        };
        // What has come meanwhile is told anew, and the end of the input, too.
        if let Err(error) = transport.watch_again(&self.epoll, token::handshake(id.0)) {
            self.newcomer_failed(id, Failure::Handshake(error));
        }
    }
}
