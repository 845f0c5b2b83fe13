//! What the master and a process of BASE mode tell each other.

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
    /// No datagram is read any more, and all that were are handled.
    DatagramsSettled,
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
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        match reader.u8()? {
            129 => reader.finish(Self::Drained),
            130 => reader.finish(Self::DatagramsSettled),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_were_sent_and_others_are_refused() {
        for message in [
            ToProcess::Serve,
            ToProcess::Leave,
            ToProcess::Drain,
            ToProcess::CloseAll { timed_out: false },
            ToProcess::CloseAll { timed_out: true },
            ToProcess::Certificates,
            ToProcess::ReadDatagrams,
        ] {
            let mut bytes = message.to_bytes();
            assert_eq!(ToProcess::from_bytes(&bytes), Ok(message));
            assert_eq!(FromProcess::from_bytes(&bytes), Err(Malformed));
            bytes[9] = 1;
            assert_eq!(ToProcess::from_bytes(&bytes), Err(Malformed), "{message:?}");
        }
        for message in [FromProcess::Drained, FromProcess::DatagramsSettled] {
            let bytes = message.to_bytes();
            assert_eq!(FromProcess::from_bytes(&bytes), Ok(message));
            assert_eq!(ToProcess::from_bytes(&bytes), Err(Malformed));
            assert_eq!(ToProcess::from_bytes(&bytes[1..]), Err(Malformed));
        }
    }
}
