//! Names: kinds of process, slots, generations and the key made of them; places in a reactor; what
//! deliveries are about, and their kinds.

use crate::send_queue::BufferEvent;
use std::fmt;

/// What a process is for. Processes of one kind are numbered, counted and replaced among
/// themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProcessKind {
    /// It handles the events of sessions.
    Event,
    /// It runs a function of the program's own, beside those that serve clients.
    User,
    /// It runs what a program does about the life of its server.
    Companion,
    /// It runs tasks that other processes hand over, and serves no client.
    Task,
}

impl ProcessKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Event, Self::User, Self::Companion, Self::Task];

    /// The kind as a byte, for memory and messages that processes share.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Event => 0,
            Self::User => 1,
            Self::Companion => 2,
            Self::Task => 3,
        }
    }

    /// The kind with this code; `None` when there is none.
    #[must_use]
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Event),
            1 => Some(Self::User),
            2 => Some(Self::Companion),
            3 => Some(Self::Task),
            _ => None,
        }
    }

    /// The letter that names processes of this kind in logs and process titles.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Event => 'w',
            Self::User => 'u',
            Self::Companion => 'c',
            Self::Task => 't',
        }
    }

    /// Whether sessions are given to processes of this kind. All others only send.
    #[must_use]
    pub const fn serves_sessions(self) -> bool {
        matches!(self, Self::Event)
    }

    /// Whether processes of this kind are all alike: each has a successor before it leaves, and
    /// what limits a worker limits it.
    #[must_use]
    pub const fn is_worker(self) -> bool {
        matches!(self, Self::Event | Self::Task)
    }
}

/// A stable position among the processes of one kind: `0..workers` for event workers. The process
/// living in a slot changes, the slot does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// The n-th process living in a slot, from 1 upwards; never reused within one master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u32);

/// A process: of which kind, in which slot and which generation. Every message about a process
/// carries all three, so that news of a process that is gone can never be mistaken for news of its
/// successor (S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// What it is for.
    pub kind: ProcessKind,
    /// Its position among those of its kind.
    pub slot: Slot,
    /// The process in it.
    pub generation: Generation,
}

impl ProcessKey {
    /// The operator, who calls commands and has no process: a companion in a slot that no
    /// companion has.
    pub const OPERATOR: Self = Self {
        kind: ProcessKind::Companion,
        slot: Slot(u16::MAX),
        generation: Generation(u32::MAX),
    };

    /// Makes the key of an event worker from plain numbers.
    #[must_use]
    pub const fn event(slot: u16, generation: u32) -> Self {
        Self { kind: ProcessKind::Event, slot: Slot(slot), generation: Generation(generation) }
    }

    /// Makes the key of a user process from plain numbers.
    #[must_use]
    pub const fn user(slot: u16, generation: u32) -> Self {
        Self { kind: ProcessKind::User, slot: Slot(slot), generation: Generation(generation) }
    }

    /// Makes the key of a task worker from plain numbers.
    #[must_use]
    pub const fn task(slot: u16, generation: u32) -> Self {
        Self { kind: ProcessKind::Task, slot: Slot(slot), generation: Generation(generation) }
    }

    /// Kind and slot as one number: the high 16 bits are the kind's code, the low ones the slot.
    #[must_use]
    pub const fn place(self) -> u32 {
        (self.kind.code() as u32) << 16 | self.slot.0 as u32
    }

    /// The key as one number, whose highest 8 bits are 0 and may be used for something else:
    /// then 8 bits of kind, 16 of slot and 32 of generation.
    #[must_use]
    pub const fn pack(self) -> u64 {
        (self.place() as u64) << 32 | self.generation.0 as u64
    }

    /// The key that [`ProcessKey::pack`] made this number of, whatever its highest 8 bits are;
    /// `None` when there is no such kind.
    #[must_use]
    pub const fn unpack(packed: u64) -> Option<Self> {
        let [_, kind, slot_high, slot_low, generation @ ..] = packed.to_be_bytes();
        match ProcessKind::of_code(kind) {
            Some(kind) => Some(Self {
                kind,
                slot: Slot(u16::from_be_bytes([slot_high, slot_low])),
                generation: Generation(u32::from_be_bytes(generation)),
            }),
            None => None,
        }
    }

    /// The name of its slot: `w0`.
    #[must_use]
    pub fn slot_name(self) -> String {
        format!("{}{}", self.kind.letter(), self.slot)
    }
}

/// A listening port of the server. Sessions, records and settings refer to it by this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

impl PortId {
    /// The port that every server has.
    pub const FIRST: Self = Self(0);
}

/// A session's place in its reactor: index of its connection and of its entry in the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionSlot(pub u32);

/// The place of a peer that sends datagrams in its reactor, as long as any of them is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerSlot(pub u32);

/// A lane's place in its reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneSlot(pub u32);

/// What a delivery is about: in whose order it stands, and by whose rules it is settled. The ledger
/// and the lanes know no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A session, by its place in its reactor.
    Session(ConnectionSlot),
    /// The sender of datagrams, by its place in its reactor.
    Peer(PeerSlot),
}

impl Subject {
    /// What is read of it.
    #[must_use]
    pub const fn read_kind(self) -> DeliveryKind {
        match self {
            Self::Session(_) => DeliveryKind::Package,
            Self::Peer(_) => DeliveryKind::Datagram,
        }
    }
}

/// What a delivery tells the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// The session was accepted.
    Connect,
    /// A package.
    Package,
    /// A datagram.
    Datagram,
    /// Its unsent output is above the high mark, or at the low one again.
    Buffer(BufferEvent),
    /// The session is closed.
    Closed,
}

impl DeliveryKind {
    /// Whether it carries bytes of a client.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Self::Package | Self::Datagram)
    }
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

impl fmt::Display for ProcessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::OPERATOR {
            return f.write_str("operator");
        }
        write!(f, "{}{}.{}", self.kind.letter(), self.slot, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_codes_and_letters_of_their_own() {
        for kind in ProcessKind::ALL {
            assert_eq!(ProcessKind::of_code(kind.code()), Some(kind));
            let alike = |other: &&ProcessKind| other.letter() == kind.letter();
            assert_eq!(ProcessKind::ALL.iter().filter(alike).count(), 1);
        }
        assert_eq!(ProcessKind::of_code(u8::MAX), None);
    }

    #[test]
    fn keys_survive_packing_whatever_is_put_above_them() {
        for key in [(0, 1), (1023, 7), (u16::MAX, u32::MAX)] {
            let key = ProcessKey::event(key.0, key.1);
            assert_eq!(key.pack() >> 56, 0);
            assert_eq!(ProcessKey::unpack(key.pack() | 0xAB << 56), Some(key));
        }
        assert_eq!(ProcessKey::unpack(0xFF << 48), None, "no such kind");
    }

    #[test]
    fn processes_are_named_by_kind_slot_and_generation() {
        let key = ProcessKey::event(3, 70);
        assert_eq!(key.to_string(), "w3.70");
        assert_eq!(key.slot_name(), "w3");
    }
}
