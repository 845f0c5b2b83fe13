//! What the driver keeps of a connection besides what the brain knows: its socket and its bytes.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use ostler_core::brain::{ConnectionSlot, LaneSlot};
use ostler_core::send_queue::SendQueue;

use super::intake::Intake;

/// One open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) session: u64,
    /// Unsent output.
    pub(super) output: SendQueue,
    /// The kernel takes output (as far as is known).
    pub(super) writable: bool,
    /// The client has shut down its side: a read that brings little is not the last one.
    pub(super) hangup: bool,
    /// Flags as they stand in the session table.
    pub(super) flags: u64,
    /// Input of a framed session that is not delivered yet.
    pub(super) intake: Option<Box<Intake>>,
    /// A message in several parts is being written: whose, and what waits behind it.
    pub(super) stream: Option<Box<Stream>>,
}

/// Which part of a message an output is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Bytes of the message before it.
    pub(super) offset: usize,
    /// There are more behind it.
    pub(super) more: bool,
}

impl Part {
    /// All of it.
    pub(super) const WHOLE: Self = Self { offset: 0, more: false };
}

/// A message in several parts: until its last one the connection's output belongs to its sender.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) owner: LaneSlot,
    /// Bytes of it that have come; the next part begins there.
    pub(super) next_offset: usize,
    /// Outputs of other workers, each worker's in its order; the workers in the order in which they
    /// came.
    pub(super) behind: VecDeque<Waiting>,
    /// What `behind` is charged.
    pub(super) behind_bytes: usize,
}

/// Outputs of one worker that wait for the end of another's message.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) lane: LaneSlot,
    pub(super) pieces: VecDeque<Piece>,
}

/// One of them: a message or a part of one.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) part: Part,
    pub(super) bytes: Vec<u8>,
}

/// What a waiting piece costs besides its bytes: its place in the queue and the allocation of its
/// own.
const PIECE_COST_BYTES: usize = 64;

impl Piece {
    /// What it is charged.
    pub(super) const fn cost(len: usize) -> usize {
        len + PIECE_COST_BYTES
    }
}

impl Stream {
    pub(super) const fn new(owner: LaneSlot, next_offset: usize) -> Self {
        Self { owner, next_offset, behind: VecDeque::new(), behind_bytes: 0 }
    }

    /// Adds an output of another worker; it is charged already.
    pub(super) fn push_behind(&mut self, lane: LaneSlot, piece: Piece) {
        self.behind_bytes += Piece::cost(piece.bytes.len());
        match self.behind.iter_mut().find(|waiting| waiting.lane == lane) {
            Some(waiting) => waiting.pieces.push_back(piece),
            None => self.behind.push_back(Waiting { lane, pieces: VecDeque::from([piece]) }),
        }
    }

    /// Whether a message of this lane's worker is incomplete.
    fn is_owned_by(&self, lane: LaneSlot) -> bool {
        let begun = |waiting: &Waiting| waiting.pieces.back().is_some_and(|piece| piece.part.more);
        self.owner == lane
            || self.behind.iter().any(|waiting| waiting.lane == lane && begun(waiting))
    }
}

/// All connections of a reactor, by their place.
#[derive(Debug)]
pub(super) struct Connections {
    places: Vec<Option<Box<Connection>>>,
}

impl Connections {
    pub(super) fn new(places: u32) -> Self {
        Self { places: (0..places).map(|_| None).collect() }
    }

    pub(super) fn insert(&mut self, slot: ConnectionSlot, connection: Connection) {
        if let Some(place) = self.places.get_mut(slot.0 as usize) {
            *place = Some(Box::new(connection));
        }
    }

    pub(super) fn get_mut(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.places.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    pub(super) fn take(&mut self, slot: ConnectionSlot) -> Option<Box<Connection>> {
        self.places.get_mut(slot.0 as usize)?.take()
    }

    /// The place that a session has, if it has one.
    pub(super) fn place(&self, session: u64) -> ConnectionSlot {
        let counter = session >> ostler_shm::sessions::REACTOR_BITS;
        ConnectionSlot((counter & (self.places.len() as u64 - 1)) as u32)
    }

    /// The place of an open session.
    pub(super) fn find(&mut self, session: u64) -> Option<ConnectionSlot> {
        let slot = self.place(session);
        self.get_mut(slot).is_some_and(|connection| connection.session == session).then_some(slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionSlot, &Connection)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            place.as_deref().map(|connection| (ConnectionSlot(index as u32), connection))
        })
    }
}

impl Connection {
    pub(super) fn new(socket: OwnedFd, session: u64, intake: Option<Box<Intake>>) -> Self {
        Self {
            socket,
            session,
            output: SendQueue::default(),
            writable: true,
            hangup: false,
            flags: 0,
            intake,
            stream: None,
        }
    }

    /// Bytes of memory that its queues hold, as they are charged.
    pub(super) fn charged(&self) -> usize {
        self.output_charged() + self.intake.as_ref().map_or(0, |intake| intake.charged())
    }

    /// The part of them that is output.
    pub(super) fn output_charged(&self) -> usize {
        self.output.charged() + self.stream.as_ref().map_or(0, |stream| stream.behind_bytes)
    }

    /// Whether a message of this lane's worker is being written, or waits and is incomplete.
    pub(super) fn is_owned_by(&self, lane: LaneSlot) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_owned_by(lane))
    }

    /// Bytes that wait to be written.
    pub(super) fn unsent(&self) -> usize {
        self.output.len() + self.stream.as_ref().map_or(0, |stream| stream.behind_bytes)
    }
}
