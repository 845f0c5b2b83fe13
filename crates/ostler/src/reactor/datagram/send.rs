//! Sending datagrams: what workers wrote becomes one call for many of them.
//!
//! Nobody waits: what the kernel does not take now is kept within limits, and what it refuses is
//! counted. The worker has gone on long ago.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;

use ostler_core::brain::{LaneSlot, NotSent};
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::peer::{BLOCK_MAX_BYTES, PeerBlock};
use ostler_shm::record::FLAG_MORE;

use super::deaf::Deaf;
use crate::reactor::ClientSide;
use crate::sys::datagram::{self, BATCH, DATAGRAM_MAX_BYTES, Family, Refusal, Target};

/// Datagrams of one port that may wait to be sent, while the kernel's buffer is full.
const UNSENT_MAX: usize = 4_096;
/// Bytes of them.
const UNSENT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A datagram that is to be sent.
#[derive(Debug)]
struct Unsent {
    peer: PeerBlock,
    target: Target,
    /// Where it begins in the bytes of the queue, and how long it is.
    first: usize,
    len: usize,
}

impl Unsent {
    /// To whom it goes, and how long it is.
    const fn ask(&self) -> (PeerBlock, usize) {
        (self.peer, self.len)
    }
}

/// What became of some of them.
pub(super) enum Flushed {
    Sent { datagrams: u64, bytes: u64 },
    Failed(NotSent, io::Error),
}

/// What is to be sent from one port.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    datagrams: VecDeque<Unsent>,
    /// Their bytes, one after another, behind those of some that were sent.
    bytes: Vec<u8>,
    /// The kernel takes nothing until it says so.
    is_blocked: bool,
    /// Peers of a unix socket share its buffer, and some of them may never read.
    deaf: Option<Deaf>,
}

impl Outgoing {
    pub(super) fn new(family: Family) -> Self {
        Self { deaf: (family == Family::Unix).then(Deaf::new), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// The kernel has room again.
    pub(super) const fn unblock(&mut self) {
        self.is_blocked = false;
    }

    /// Forgets what waits; how many datagrams that were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.datagrams.len() as u64;
        self.datagrams.clear();
        self.bytes = Vec::new();
        count
    }

    /// Whether so much waits that it should be sent now, and not at the end of the turn.
    fn is_worth_a_call(&self) -> bool {
        self.datagrams.len() >= BATCH || self.bytes.len() >= UNSENT_MAX_BYTES / 4
    }

    /// Adds a datagram; false when too many wait already.
    fn push(&mut self, peer: PeerBlock, target: Target, bytes: &[u8]) -> bool {
        if self.datagrams.len() >= UNSENT_MAX || self.bytes.len() + bytes.len() > UNSENT_MAX_BYTES {
            return false;
        }
        let first = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.datagrams.push_back(Unsent { peer, target, first, len: bytes.len() });
        true
    }

    /// Sends as far as the kernel takes it. `count` is told how many were sent, of how many bytes,
    /// or that one was not and why.
    pub(super) fn flush(
        &mut self,
        socket: BorrowedFd<'_>,
        family: Family,
        count: &mut dyn FnMut(Flushed),
    ) {
        let mut failed_before = false;
        while !self.datagrams.is_empty() && !self.is_blocked {
            let admitted = match &mut self.deaf {
                Some(deaf) => {
                    deaf.admit(socket, self.datagrams.iter().take(BATCH).map(Unsent::ask))
                }
                None => BATCH,
            };
            if admitted == 0 {
                self.datagrams.pop_front();
                count(Flushed::Failed(NotSent::PeerFull, ErrorKind::WouldBlock.into()));
                continue;
            }
            let some = self.datagrams.iter().take(admitted).map(|unsent| {
                let end = unsent.first + unsent.len;
                (&unsent.target, self.bytes.get(unsent.first..end).unwrap_or_default())
            });
            let sent = datagram::send(socket, some);
            if let Some(deaf) = &mut self.deaf {
                let sent = sent.as_ref().map_or(0, |sent| *sent);
                let unsent = self.datagrams.iter().take(admitted).skip(sent);
                deaf.take_back(unsent.map(Unsent::ask));
            }
            match sent {
                Ok(sent) => {
                    let sent = self.datagrams.drain(..sent.min(self.datagrams.len()));
                    let (datagrams, bytes) = sent.fold((0, 0), |(datagrams, bytes), unsent| {
                        (datagrams + 1, bytes + unsent.len as u64)
                    });
                    count(Flushed::Sent { datagrams, bytes });
                    failed_before = false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && family != Family::Unix => {
                    self.is_blocked = true;
                }
                // It may be what an earlier datagram met, which is told once.
                Err(_) if !std::mem::replace(&mut failed_before, true) => {}
                Err(error) => {
                    self.datagrams.pop_front();
                    failed_before = false;
                    count(Flushed::Failed(reason_of(socket, &error), error));
                }
            }
        }
        self.give_memory_back();
    }

    /// Bytes of what was sent go.
    fn give_memory_back(&mut self) {
        let sent = self.datagrams.front().map_or(self.bytes.len(), |unsent| unsent.first);
        if sent == self.bytes.len() {
            self.bytes.clear();
            if self.bytes.capacity() > UNSENT_MAX_BYTES / 4 {
                self.bytes = Vec::new();
            }
        } else if sent > self.bytes.len() / 2 {
            self.bytes.drain(..sent);
            self.datagrams.iter_mut().for_each(|unsent| unsent.first -= sent);
        }
    }
}

/// Why a datagram was not sent, by the kernel's word. For one of a unix socket nobody waits: what
/// others have not read fills the buffer, and they may never read it.
fn reason_of(socket: BorrowedFd<'_>, error: &io::Error) -> NotSent {
    match Refusal::of(error) {
        Refusal::TooLong => NotSent::TooLong,
        Refusal::NoBuffers => NotSent::QueueFull,
        Refusal::WouldBlock if is_full(socket) => NotSent::QueueFull,
        Refusal::WouldBlock => NotSent::PeerFull,
        Refusal::Unreachable => NotSent::Unreachable,
        Refusal::Other => NotSent::Failed,
    }
}

/// Whether what peers have not read fills the buffer.
fn is_full(socket: BorrowedFd<'_>) -> bool {
    datagram::unread(socket).is_some_and(|(used, size)| used >= size)
}

impl ClientSide {
    /// A worker sends a datagram, or a part of one.
    pub(in crate::reactor) fn send_to(
        &mut self,
        lane: LaneSlot,
        record: &Record,
        bytes: RawBytes<'_>,
    ) -> Result<(), ProtocolViolation> {
        let header = record.header;
        let (offset, more) = (header.part_offset as usize, header.flags & FLAG_MORE != 0);
        if offset == 0 {
            self.drop_datagram_parts(lane);
        }
        if offset + bytes.len() > BLOCK_MAX_BYTES + DATAGRAM_MAX_BYTES {
            return Err(ProtocolViolation("a datagram that is longer than one may be"));
        }
        let whole = if offset == 0 && !more {
            let mut whole = std::mem::take(&mut self.datagrams.copy);
            whole.clear();
            bytes.append_to(&mut whole);
            whole
        } else {
            let stray = ProtocolViolation("a part of a datagram that continues nothing");
            let added = self.datagrams.parts.add(lane, (), &header, bytes, (0, stray))?;
            let Some(whole) = added else { return Ok(()) };
            whole
        };
        let queued = self.queue_datagram(header.port, &whole);
        self.datagrams.copy = whole;
        queued
    }

    fn queue_datagram(&mut self, port: u16, whole: &[u8]) -> Result<(), ProtocolViolation> {
        let Some(port) = self.datagrams.find(port) else {
            return Err(ProtocolViolation("a datagram for a port that has none"));
        };
        let Some(peer) = PeerBlock::read(whole) else {
            return Err(ProtocolViolation("a datagram without an address"));
        };
        let Some(target) = Target::new(&peer, port.family()) else {
            return Err(ProtocolViolation("a datagram for an address that its port cannot reach"));
        };
        let bytes = whole.get(peer.as_bytes().len()..).unwrap_or_default();
        if bytes.len() > DATAGRAM_MAX_BYTES {
            return Err(ProtocolViolation("a datagram that is longer than one may be"));
        }
        let (queued, is_worth) =
            (port.outgoing.push(peer, target, bytes), port.outgoing.is_worth_a_call());
        if is_worth {
            self.flush_datagrams();
        }
        if !queued {
            self.brain.count_not_sent(NotSent::QueueFull, 1);
            self.complain_of_unsent(NotSent::QueueFull, &ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Sends what workers wrote in this turn, and what waited.
    pub(in crate::reactor) fn flush_datagrams(&mut self) {
        let mut unsent = Vec::new();
        let (brain, traffic) = (&mut self.brain, &mut self.traffic);
        for port in &mut self.datagrams.ports {
            port.flush(&mut |flushed| match flushed {
                Flushed::Sent { datagrams, bytes } => {
                    brain.count_sent(datagrams);
                    traffic.sent_bytes += bytes;
                }
                Flushed::Failed(reason, error) => {
                    brain.count_not_sent(reason, 1);
                    unsent.push((reason, error));
                }
            });
        }
        for (reason, error) in unsent {
            self.complain_of_unsent(reason, &error);
        }
    }

    fn complain_of_unsent(&self, reason: NotSent, error: &io::Error) {
        if self.complaints.unsent.admits() {
            tracing::warn!(reason = reason.name(), %error, "a datagram was not sent");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    fn block(socket: &UdpSocket) -> PeerBlock {
        let address = ostler_shm::peer::PeerAddress::Inet(socket.local_addr().unwrap());
        PeerBlock::new(address).unwrap()
    }

    fn push(outgoing: &mut Outgoing, peer: PeerBlock, bytes: &[u8]) -> bool {
        outgoing.push(peer, Target::new(&peer, Family::V4).unwrap(), bytes)
    }

    #[test]
    fn an_error_is_of_one_datagram_and_those_behind_it_are_sent() {
        let (from, to) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut outgoing = Outgoing::default();
        assert!(push(&mut outgoing, block(&to), b"one"));
        // The kernel sends no datagram to port 0.
        let nowhere = ostler_shm::peer::PeerAddress::Inet("127.0.0.1:0".parse().unwrap());
        assert!(push(&mut outgoing, PeerBlock::new(nowhere).unwrap(), b"two"));
        assert!(push(&mut outgoing, block(&to), b"three"));
        let mut told = Vec::new();
        outgoing.flush(from.as_fd(), Family::V4, &mut |flushed| {
            told.push(match flushed {
                Flushed::Sent { datagrams, bytes } => (None, datagrams, bytes),
                Flushed::Failed(reason, _) => (Some(reason), 1, 0),
            });
        });
        assert_eq!(told, [(None, 1, 3), (Some(NotSent::Failed), 1, 0), (None, 1, 5)]);
        assert!(outgoing.is_empty() && outgoing.bytes.is_empty());
        let mut bytes = [0; 9];
        for expected in ["one", "three"] {
            let len = to.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..len], expected.as_bytes());
        }
    }

    #[test]
    fn as_many_wait_as_may() {
        let to = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut outgoing = Outgoing { is_blocked: true, ..Outgoing::default() };
        let fits = (0..UNSENT_MAX + 9).filter(|_| push(&mut outgoing, block(&to), b"x")).count();
        assert_eq!(fits, UNSENT_MAX);
        assert_eq!(outgoing.clear(), UNSENT_MAX as u64);
        let long = vec![0; DATAGRAM_MAX_BYTES];
        let fits = (0..UNSENT_MAX).filter(|_| push(&mut outgoing, block(&to), &long)).count();
        assert_eq!(fits, UNSENT_MAX_BYTES / DATAGRAM_MAX_BYTES);
    }

    #[test]
    fn memory_of_what_was_sent_is_given_back_while_the_rest_waits() {
        let to = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut outgoing = Outgoing { is_blocked: true, ..Outgoing::default() };
        for number in 0..10_u8 {
            assert!(push(&mut outgoing, block(&to), &[number; 100]));
        }
        outgoing.datagrams.drain(..6);
        outgoing.give_memory_back();
        assert_eq!((outgoing.bytes.len(), outgoing.bytes[0]), (400, 6));
        outgoing.unblock();
        outgoing.flush(to.as_fd(), Family::V4, &mut |_| {});
        let mut bytes = [0; 200];
        for number in 6..10_u8 {
            assert_eq!(to.recv(&mut bytes).unwrap(), 100);
            assert_eq!(bytes[..100], [number; 100]);
        }
    }
}
