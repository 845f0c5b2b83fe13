//! What the master and a process of BASE mode tell each other.

use ostler_core::ids::ProcessKey;

use super::channel::Message;
use super::manager::MANAGER_MESSAGE_SIZE_BYTES;
use super::wire::{Malformed, Reader, Writer};

/// From the master to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToProcess {
    /// Accept from now on.
    Serve,
    /// Accept no more, and leave when the clients that are there have been served.
    Leave,
    /// The server ends: accept and read no more, end sessions as they become idle.
    Drain,
    /// End every session now.
    CloseAll {
        /// Because the drain took too long: say what held it.
        timed_out: bool,
    },
    /// Another process, with its session table.
    Board {
        /// Its seat.
        seat: u16,
        /// Who.
        worker: ProcessKey,
    },
    /// Another process is gone.
    Gone {
        /// Its seat.
        seat: u16,
        /// Who.
        worker: ProcessKey,
    },
    /// A way from another process, with its socket.
    Way {
        /// Who has made it.
        worker: ProcessKey,
    },
    /// Read datagrams from now on: nobody else of this slot has any in hand.
    ReadDatagrams,
    /// What clients of encrypted ports are shown from now on, with one file.
    Certificates,
}

/// From a process to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromProcess {
    /// No session is left after a [`ToProcess::Drain`].
    Drained,
    /// The session table of this process, for the others.
    Board,
    /// A way to another process, with the socket for that.
    Way {
        /// Its seat.
        seat: u16,
        /// Who.
        worker: ProcessKey,
    },
    /// One introduction was received ([`ToProcess::is_introduction`]).
    Met,
    /// The session table of another process came without a descriptor: there was none left here.
    Missed {
        /// Its seat.
        seat: u16,
        /// Who.
        worker: ProcessKey,
    },
    /// New certificates came without their descriptor: there was none left here.
    MissedCertificates,
    /// No datagram is read any more, and all that were are handled.
    DatagramsSettled,
}

impl ToProcess {
    /// Whether it tells of other processes, and is no order.
    pub(crate) const fn is_introduction(self) -> bool {
        matches!(self, Self::Board { .. } | Self::Gone { .. } | Self::Way { .. })
    }
}

impl Message for ToProcess {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new();
        match *self {
            Self::Serve => writer.u8(1),
            Self::Leave => writer.u8(2),
            Self::Drain => writer.u8(3),
            Self::CloseAll { timed_out } => writer.u8(4).flag(timed_out),
            Self::Certificates => writer.u8(5),
            Self::ReadDatagrams => writer.u8(6),
            Self::Board { seat, worker } => writer.u8(7).u16(seat).key(worker),
            Self::Gone { seat, worker } => writer.u8(8).u16(seat).key(worker),
            Self::Way { worker } => writer.u8(9).key(worker),
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        let message = match reader.u8()? {
            1 => Self::Serve,
            2 => Self::Leave,
            3 => Self::Drain,
            4 => Self::CloseAll { timed_out: reader.flag()? },
            5 => Self::Certificates,
            6 => Self::ReadDatagrams,
            7 => Self::Board { seat: reader.u16()?, worker: reader.key()? },
            8 => Self::Gone { seat: reader.u16()?, worker: reader.key()? },
            9 => Self::Way { worker: reader.key()? },
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}

impl Message for FromProcess {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new();
        match *self {
            Self::Drained => writer.u8(129),
            Self::DatagramsSettled => writer.u8(130),
            Self::Board => writer.u8(131),
            Self::Way { seat, worker } => writer.u8(132).u16(seat).key(worker),
            Self::Met => writer.u8(133),
            Self::Missed { seat, worker } => writer.u8(134).u16(seat).key(worker),
            Self::MissedCertificates => writer.u8(135),
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        let message = match reader.u8()? {
            129 => Self::Drained,
            130 => Self::DatagramsSettled,
            131 => Self::Board,
            132 => Self::Way { seat: reader.u16()?, worker: reader.key()? },
            133 => Self::Met,
            134 => Self::Missed { seat: reader.u16()?, worker: reader.key()? },
            135 => Self::MissedCertificates,
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_were_sent_and_others_are_refused() {
        let worker = ProcessKey::event(2, 9);
        for message in [
            ToProcess::Serve,
            ToProcess::Leave,
            ToProcess::Drain,
            ToProcess::CloseAll { timed_out: false },
            ToProcess::CloseAll { timed_out: true },
            ToProcess::Certificates,
            ToProcess::ReadDatagrams,
            ToProcess::Board { seat: 3, worker },
            ToProcess::Gone { seat: 3, worker },
            ToProcess::Way { worker },
        ] {
            let mut bytes = message.to_bytes();
            assert_eq!(ToProcess::from_bytes(&bytes), Ok(message));
            assert_eq!(FromProcess::from_bytes(&bytes), Err(Malformed));
            bytes[40] = 1;
            assert_eq!(ToProcess::from_bytes(&bytes), Err(Malformed), "{message:?}");
        }
        for message in [
            FromProcess::Drained,
            FromProcess::DatagramsSettled,
            FromProcess::Board,
            FromProcess::Way { seat: 3, worker },
            FromProcess::Met,
            FromProcess::Missed { seat: 3, worker },
            FromProcess::MissedCertificates,
        ] {
            let bytes = message.to_bytes();
            assert_eq!(FromProcess::from_bytes(&bytes), Ok(message));
            assert_eq!(ToProcess::from_bytes(&bytes), Err(Malformed));
            assert_eq!(ToProcess::from_bytes(&bytes[1..]), Err(Malformed));
        }
    }
}
