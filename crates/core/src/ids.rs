//! Names: slots, generations and the handle made of both; places in a reactor; what deliveries are
//! about, and their kinds.

use std::fmt;

/// A stable worker position. Event workers hold `0..workers`; the process living in a slot changes,
/// the slot does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// The n-th process living in a slot, from 1 upwards; never reused within one master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u32);

/// A worker process: which slot and which generation. Every message about a worker carries this
/// pair, so that news of a process that is gone can never be mistaken for news of its successor
/// (S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerKey {
    /// The position.
    pub slot: Slot,
    /// The process in it.
    pub generation: Generation,
}

impl WorkerKey {
    /// Makes a key from plain numbers.
    #[must_use]
    pub const fn new(slot: u16, generation: u32) -> Self {
        Self { slot: Slot(slot), generation: Generation(generation) }
    }
}

/// A session's place in its reactor: index of its connection and of its entry in the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionSlot(pub u32);

/// A lane's place in its reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneSlot(pub u32);

/// What a delivery is about: in whose order it stands, and by whose rules it is settled. The ledger
/// and the lanes know no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A session, by its place in its reactor.
    Session(ConnectionSlot),
}

/// What a delivery tells the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// The session was accepted.
    Connect,
    /// A package.
    Package,
    /// The session is closed.
    Closed,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for WorkerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}.{}", self.slot, self.generation)
    }
}
