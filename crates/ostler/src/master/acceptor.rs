//! Accepting: takes connections, counts them, hands each to the reactor with the fewest.

use std::io::{self, ErrorKind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use ostler_core::accepting::AcceptCounts;
use ostler_core::ids::PortId;
use ostler_core::{Millis, invariant};

use super::accept_rate::AcceptRates;
use super::ports::ListeningPorts;
use super::reserve::Reserve;
use crate::log::{Quota, Quotas};
use crate::options::Options;
use crate::reactor::mailbox::{Accepted, Reports};
use crate::sys::socket;

/// Connections taken before other events are looked at, and before reactors get them: each is woken
/// once for its share. More would let the first ones wait for longer than the wake-ups cost that
/// they save.
const BATCH: usize = 64;
/// How long accepting rests when it failed for a reason that time may cure.
const PAUSE_MS: Millis = 1_000;

/// How often it is said that accepting pauses.
const SAY_AGAIN_MS: Millis = 60_000;

/// Whether the listeners are watched now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on watching them.
    Watch,
    /// Watch them again when a connection has been closed, or at this time.
    RestUntil(Millis),
    /// Go on watching those of other ports; this one rests by itself.
    PortRests,
}

/// The listeners of all ports, and what counts for all of them.
pub(crate) struct Acceptor {
    ports: ListeningPorts,
    reports: Reports,
    max_connections: u64,
    /// Accepted and not handed over yet, for each reactor.
    accepted: Vec<Vec<Accepted>>,
    /// Where the search for a reactor begins, so that equals take turns.
    turn: usize,
    /// When it was last said that accepting pauses.
    said_at: Option<Millis>,
    rates: AcceptRates,
    reserve: Reserve,
    counts: AcceptCounts,
    complaints: Complaints,
}

/// What is told of clients that are refused: a few lines of a kind, then their number.
struct Complaints {
    /// There is no descriptor.
    no_descriptor: Quota,
    /// A port has accepted its number.
    rate: Quota,
}

impl Default for Complaints {
    fn default() -> Self {
        Self {
            no_descriptor: Quota::new("clients were refused because no descriptors are left"),
            rate: Quota::of_events("rests of ports that had accepted accept_rate"),
        }
    }
}

impl Quotas for Complaints {
    fn all(&self) -> impl Iterator<Item = &Quota> {
        let Self { no_descriptor, rate } = self;
        [no_descriptor, rate].into_iter()
    }
}

impl Acceptor {
    /// # Errors
    /// When there is no descriptor to keep in reserve.
    pub(crate) fn new(
        ports: ListeningPorts,
        options: &Options,
        reports: Reports,
    ) -> io::Result<Self> {
        Ok(Self {
            ports,
            max_connections: u64::from(options.max_connections),
            accepted: (0..reports.places.reactors()).map(|_| Vec::new()).collect(),
            turn: 0,
            said_at: None,
            rates: AcceptRates::new(options),
            reserve: Reserve::take()?,
            counts: AcceptCounts::default(),
            complaints: Complaints::default(),
            reports,
        })
    }

    /// The end of accepting: what was counted goes into the books.
    pub(crate) fn end(self) {
        self.complaints.tell_rest();
        let mut books = self.reports.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.accepting.add(&self.counts);
    }

    /// What was counted until now.
    pub(crate) const fn counts(&self) -> &AcceptCounts {
        &self.counts
    }

    /// When [`Acceptor::complain_due`] has something to tell.
    pub(crate) fn complaints_due(&self) -> Option<Millis> {
        self.complaints.next_due().map(|due| due.div_ceil(1_000_000))
    }

    /// Tells how many clients were refused without a line for each.
    pub(crate) fn complain_due(&self) {
        self.complaints.tell_due();
    }

    /// When the first port that rests by itself goes on.
    pub(crate) fn next_rest_end(&self) -> Option<Millis> {
        self.rates.next_end()
    }

    /// Whether a port rests by itself.
    pub(crate) fn port_rests(&self, port: PortId) -> bool {
        self.rates.rests(port)
    }

    /// Ends the rests that are over. True: listeners are to be watched again.
    pub(crate) fn end_rests(&mut self, now: Millis) -> bool {
        self.rates.end_rests(now)
    }

    /// The ports, whose listeners are to be watched.
    pub(crate) const fn ports(&self) -> &ListeningPorts {
        &self.ports
    }

    /// The connections that were accepted for a reactor.
    pub(crate) fn accepted_for(&mut self, reactor: usize) -> impl Iterator<Item = Accepted> + '_ {
        self.accepted.get_mut(reactor).into_iter().flat_map(|accepted| accepted.drain(..))
    }

    /// Accepts what waits at a port, up to a batch.
    pub(crate) fn accept(&mut self, port: PortId, now: Millis) -> Verdict {
        let verdict = self.accept_batch(port, now);
        self.reports.connections.settle();
        verdict
    }

    fn accept_batch(&mut self, port: PortId, now: Millis) -> Verdict {
        for _ in 0..BATCH {
            if !self.reports.connections.has_place(self.max_connections) {
                if self.may_say(now) {
                    tracing::warn!(
                        max_connections = self.max_connections,
                        "all places are taken, accepting pauses until sessions end"
                    );
                }
                return self.rest_unless_freed(now);
            }
            let Some(reactor) = self.reports.places.choose(self.turn) else {
                if self.may_say(now) {
                    tracing::warn!("{}", self.reports.places.why_full());
                }
                return self.rest_unless_freed(now);
            };
            if !self.rates.admits(port, now) {
                return self.port_rests_now(port);
            }
            match self.ports.get(port).accept() {
                Ok((connection, peer)) => {
                    self.rates.count(port, now);
                    let Some(session) = self.reports.places.take(reactor) else {
                        let why = self.reports.places.why_full();
                        tracing::error!(%peer, why, "a client is closed: it has no place");
                        continue;
                    };
                    self.reports.connections.opened();
                    let accepted = Accepted { socket: connection, session, peer, port };
                    match self.accepted.get_mut(reactor) {
                        Some(waiting) => waiting.push(accepted),
                        None => invariant!(false, "every reactor has a list of what is accepted"),
                    }
                    self.turn = reactor + 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Verdict::Watch,
                Err(error) if socket::is_out_of_descriptors(&error) => match self.refuse(port) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Verdict::Watch,
                    Err(error) if is_passing(&error) => {}
                    Err(_) => return self.exhausted(&error, now),
                },
                // The connection was gone before it was taken; the next may be better (accept(2)).
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept, trying again later");
                    return self.rest(now);
                }
            }
        }
        Verdict::Watch
    }

    /// It has accepted its number. Who comes waits in the kernel.
    fn port_rests_now(&mut self, port: PortId) -> Verdict {
        self.counts.accept_rests += 1;
        if self.complaints.rate.admits() {
            let port = self.ports.get(port).name();
            tracing::info!(port, "accept_rate is reached, the port rests for a moment");
        }
        Verdict::PortRests
    }

    /// Takes a client for which there is no descriptor, with the one in reserve, and closes its
    /// connection: it can go elsewhere, or come again.
    fn refuse(&mut self, port: PortId) -> io::Result<()> {
        let listener = self.ports.get(port);
        let peer = self.reserve.lend(|| listener.accept().map(|(_connection, peer)| peer))?;
        self.counts.refused_no_descriptor += 1;
        if self.complaints.no_descriptor.admits() {
            tracing::warn!(
                %peer,
                "refused, no descriptors left; raise the limit (ulimit -n) or lower \
                 max_connections"
            );
        }
        Ok(())
    }

    /// No descriptors left, not even the one in reserve: accepting rests, who waits is taken when a
    /// connection has ended. Said once a minute.
    fn exhausted(&mut self, error: &io::Error, now: Millis) -> Verdict {
        if self.may_say(now) {
            tracing::warn!(
                %error,
                "no descriptors left, accepting pauses; raise the limit (ulimit -n) or lower \
                 max_connections"
            );
        }
        self.rest(now)
    }

    /// A server at its limit pauses with every connection that comes; the log need not.
    fn may_say(&mut self, now: Millis) -> bool {
        let may = self.said_at.is_none_or(|before| now >= before + SAY_AGAIN_MS);
        if may {
            self.said_at = Some(now);
        }
        may
    }

    fn is_full(&self) -> bool {
        self.reports.connections.everywhere() >= self.max_connections
    }

    /// Rests for want of a place. One that became free before a reactor could know that somebody
    /// waits is seen here; the order of the two looks on both sides is the total one of `SeqCst`.
    fn rest_unless_freed(&self, now: Millis) -> Verdict {
        let verdict = self.rest(now);
        if self.is_full() || self.reports.places.choose(self.turn).is_none() {
            return verdict;
        }
        self.reports.acceptor_waits.store(false, Ordering::SeqCst);
        Verdict::Watch
    }

    fn rest(&self, now: Millis) -> Verdict {
        self.reports.acceptor_waits.store(true, Ordering::SeqCst);
        Verdict::RestUntil(now + PAUSE_MS)
    }

    /// A descriptor or a place was freed since accepting rests.
    pub(crate) fn may_go_on(&self) -> bool {
        !self.reports.acceptor_waits.load(Ordering::SeqCst)
    }

    /// Accepting works again.
    pub(crate) fn resumed(&mut self) {
        self.reports.acceptor_waits.store(false, Ordering::SeqCst);
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::master::ports::PassedOn;
    use crate::reactor::places::Places;
    use ostler_shm::board::{Board, BoardSizes};

    /// An acceptor with `clients` that wait, two reactors that share four places, of which `taken`
    /// are taken.
    fn acceptor(clients: usize, taken: [usize; 2]) -> (Acceptor, Vec<std::net::TcpStream>) {
        let mut options = Options::default();
        options.set("listen", "127.0.0.1:0").unwrap();
        let ports = ListeningPorts::open(&options, PassedOn::default()).unwrap();
        let address = ports.described().first().local_address().socket_address().unwrap();
        let sizes = BoardSizes { reactors: 2, sessions: 4, ..BoardSizes::default() };
        let places = Places::new(Arc::new(Board::create(sizes).unwrap().0));
        for (reactor, count) in taken.into_iter().enumerate() {
            (0..count).for_each(|_| _ = places.take(reactor).unwrap());
        }
        let reports = Reports::new(places).unwrap();
        let clients =
            (0..clients).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        (Acceptor::new(ports, &options, reports).unwrap(), clients)
    }

    /// The sessions that each reactor has got since.
    fn sessions(acceptor: &mut Acceptor) -> [Vec<u64>; 2] {
        [0, 1].map(|it| acceptor.accepted_for(it).map(|accepted| accepted.session).collect())
    }

    #[test]
    fn a_fuller_reactor_is_passed_over_and_a_full_server_rests() {
        let (mut acceptor, _clients) = acceptor(3, [2, 0]);
        assert_eq!(acceptor.accept(PortId::FIRST, 0), Verdict::RestUntil(PAUSE_MS));
        assert_eq!(sessions(&mut acceptor), [vec![], vec![3, 4]]);
        // A place that becomes free wakes it; the id that had it is not used again.
        acceptor.reports.give_place_back(0, 2);
        assert_eq!(acceptor.reports.queue.take().len(), 1);
        assert_eq!(acceptor.accept(PortId::FIRST, 0), Verdict::RestUntil(PAUSE_MS));
        assert_eq!(sessions(&mut acceptor), [vec![6], vec![]]);
    }

    #[test]
    fn who_may_come_from_an_old_master_has_a_place_among_the_connections() {
        let (mut acceptor, _clients) = acceptor(3, [0, 0]);
        acceptor.max_connections = 2;
        assert!(acceptor.reports.connections.want(2));
        assert_eq!(acceptor.accept(PortId::FIRST, 0), Verdict::RestUntil(PAUSE_MS));
        assert_eq!(sessions(&mut acceptor), [vec![1], vec![]]);
        acceptor.reports.want_no_more();
        assert!(acceptor.may_go_on());
        assert_eq!(acceptor.accept(PortId::FIRST, 0), Verdict::RestUntil(PAUSE_MS));
        assert_eq!(sessions(&mut acceptor), [vec![], vec![2]]);
    }

    #[test]
    fn session_ids_are_in_the_order_of_accepting() {
        let (mut acceptor, _clients) = acceptor(4, [0, 0]);
        acceptor.accept(PortId::FIRST, 0);
        assert_eq!(sessions(&mut acceptor), [[1, 3], [2, 4]]);
    }

    #[test]
    fn equals_take_turns() {
        let (mut acceptor, _clients) = acceptor(4, [0, 0]);
        acceptor.accept(PortId::FIRST, 0);
        assert_eq!(sessions(&mut acceptor).map(|sessions| sessions.len()), [2, 2]);
    }
}
