//! One client connection: bytes in, bytes out. It knows no epoll and no clock beyond the times it
//! is given.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::Errno;
use rustls::ClientConfig;

use super::checker::{Checker, Fault};
use super::options::LoadOptions;
use super::pattern::Pattern;
use super::report::InterruptionKind;
use super::wire::Wire;

/// Messages below this length are copied together, so that a pipeline of them is one `send`; longer
/// ones are sent in place.
const COPY_BELOW_BYTES: usize = 16 * 1024;
/// Most bytes copied together.
const BATCH_BYTES: usize = 64 * 1024;
/// Most reads of one connection in one turn, so that a fast one cannot starve the others.
const READS_PER_TURN: usize = 8;

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No socket; to be connected at this time.
    Waiting(Instant),
    /// Connecting since then.
    Connecting(Instant),
    /// Connected.
    Open,
    /// Ended for good.
    Down,
}

/// Why a connection cannot go on.
#[derive(Debug)]
pub(super) enum Broken {
    Ended(InterruptionKind),
    Fault(Fault),
}

/// One connection, over all its reconnects.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u32,
    pub(super) state: State,
    pub(super) wire: Option<Wire>,
    /// Whether the poller waits for room to write.
    pub(super) wants_write: bool,
    /// Intended send times of requests begun and not answered.
    pub(super) in_flight: VecDeque<Instant>,
    /// Since when the oldest request in flight waits with no reply coming in.
    pub(super) waiting_since: Instant,
    /// Requests begun in open mode: the schedule's own count.
    pub(super) scheduled: u64,
    /// Number of the next request to begin; never used twice, so content stays unique over
    /// reconnects.
    next_sequence: u64,
    write_sequence: u64,
    write_offset: usize,
    sent_bytes: u64,
    received_bytes: u64,
    checker: Checker,
}

/// The kind of interruption that a socket error means.
pub(super) fn kind_of(errno: Errno) -> InterruptionKind {
    match errno {
        Errno::CONNRESET => InterruptionKind::Reset,
        Errno::CONNREFUSED => InterruptionKind::Refused,
        Errno::TIMEDOUT => InterruptionKind::Timeout,
        _ => InterruptionKind::Failed,
    }
}

/// A loopback address for a connection that connects again and again. Ended connections hold their
/// port for a minute, so that one address is out of ports after 28 000 of them; runs choose
/// different ones.
fn own_address(salt: u32, id: u32) -> SocketAddr {
    let [_, _, high, low] = (id % 0xffff).to_be_bytes();
    SocketAddr::from(([127, 1 + (salt % 254) as u8, high, low.clamp(1, 254)], 0))
}

impl Link {
    pub(super) fn new(id: u32, now: Instant) -> Self {
        Self {
            id,
            state: State::Waiting(now),
            wire: None,
            wants_write: false,
            in_flight: VecDeque::new(),
            waiting_since: now,
            scheduled: 0,
            next_sequence: 0,
            write_sequence: 0,
            write_offset: 0,
            sent_bytes: 0,
            received_bytes: 0,
            checker: Checker::new(id, 0),
        }
    }

    /// Starts to connect. The stream begins with the next unused request. A connection that is to
    /// churn comes from an address of its own, if the server is on this machine.
    pub(super) fn connect(
        &mut self,
        options: &LoadOptions,
        trust: Option<&Arc<ClientConfig>>,
        now: Instant,
    ) -> Result<(), Errno> {
        let address = options.target.socket_address().filter(|address| address.ip().is_loopback());
        let own = address
            .filter(|address| options.churn && address.is_ipv4())
            .map(|_| own_address(options.salt, self.id));
        self.wire = Some(Wire::connect(&options.target, own, trust)?);
        self.state = State::Connecting(now);
        self.wants_write = true;
        self.write_sequence = self.next_sequence;
        self.write_offset = 0;
        self.sent_bytes = 0;
        self.received_bytes = 0;
        self.checker = Checker::new(self.id, self.next_sequence);
        Ok(())
    }

    /// Whether the kernel connected the socket to itself, as it may when nobody listens on an
    /// ephemeral port: an echo that is always right.
    pub(super) fn is_own_peer(&self) -> bool {
        let Some(wire) = &self.wire else { return false };
        match (rustix::net::getsockname(wire), rustix::net::getpeername(wire)) {
            (Ok(own), Ok(peer)) => Some(own) == peer,
            _ => false,
        }
    }

    /// Drops the socket; returns how many requests are lost with it.
    pub(super) fn disconnect(&mut self, next: State) -> u64 {
        let lost = self.in_flight.len() as u64;
        self.in_flight.clear();
        self.wire = None;
        self.state = next;
        lost
    }

    /// Queues one more request that was to be sent at `intended`.
    pub(super) fn begin(&mut self, intended: Instant) {
        self.next_sequence += 1;
        self.in_flight.push_back(intended);
    }

    /// Sends what is queued; returns whether some of it did not fit.
    pub(super) fn flush(&mut self, pattern: &Pattern, batch: &mut Vec<u8>) -> Result<bool, Broken> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        let ended = |errno| Broken::Ended(kind_of(errno));
        if wire.flush().map_err(ended)? {
            return Ok(true);
        }
        while self.write_sequence < self.next_sequence {
            let wanted;
            let result = if pattern.size_bytes() < COPY_BELOW_BYTES && wire.is_stream() {
                batch.clear();
                let mut skip = self.write_offset;
                for sequence in self.write_sequence..self.next_sequence {
                    let message = pattern.message(self.id, sequence);
                    let (header, body) = message.parts(skip);
                    batch.extend_from_slice(header);
                    batch.extend_from_slice(body);
                    skip = 0;
                    if batch.len() >= BATCH_BYTES {
                        break;
                    }
                }
                wanted = batch.len();
                wire.send(batch, &[])
            } else {
                let message = pattern.message(self.id, self.write_sequence);
                let (header, body) = message.parts(self.write_offset);
                wanted = header.len() + body.len();
                wire.send(header, body)
            };
            let sent = match result {
                Ok(sent) => sent,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(true),
                // The server closed it. What it sent before is still to be read, and the end shows
                // there.
                Err(Errno::PIPE) => return Ok(false),
                Err(errno) => return Err(ended(errno)),
            };
            self.sent_bytes += sent as u64;
            let place = self.write_offset + sent;
            self.write_sequence += (place / pattern.size_bytes()) as u64;
            self.write_offset = place % pattern.size_bytes();
            if sent < wanted {
                return Ok(true);
            }
        }
        wire.flush().map_err(ended)
    }

    /// Reads and compares what has come; returns how many replies are complete. The caller takes
    /// their times from `in_flight`. A failure is told only after the replies that came before it.
    pub(super) fn receive(
        &mut self,
        pattern: &Pattern,
        buffer: &mut [u8],
    ) -> (u64, Result<(), Broken>) {
        let mut completed = 0;
        let Some(wire) = &mut self.wire else { return (0, Ok(())) };
        for _ in 0..READS_PER_TURN {
            let (received, is_more_likely) = match wire.receive(buffer) {
                Ok((0, _)) => return (completed, Err(Broken::Ended(InterruptionKind::EarlyEnd))),
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(errno) => return (completed, Err(Broken::Ended(kind_of(errno)))),
            };
            let bytes = buffer.get(..received).unwrap_or_default();
            match self.checker.accept(pattern, self.sent_bytes - self.received_bytes, bytes) {
                Ok(replies) => completed += replies,
                Err(fault) => return (completed, Err(Broken::Fault(fault))),
            }
            self.received_bytes += received as u64;
            if !is_more_likely {
                break;
            }
        }
        (completed, Ok(()))
    }
}
