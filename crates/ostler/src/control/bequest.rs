//! What the manager tells a worker that was started by exec: who it is, and which descriptors come
//! with it.
//!
//! Two messages, because one carries no more descriptors than the kernel allows: the first those
//! that every worker has, the second those of its ends. A program of another version reads the
//! first fields before it knows more, so these never change.

use ostler_core::ids::ProcessKey;

use super::wire::{Malformed, Reader, Writer};

/// Size of both messages.
pub(crate) const BEQUEST_SIZE_BYTES: usize = 128;
/// What these messages and the charter mean. It grows with every change of either.
pub(crate) const BEQUEST_PROTOCOL: u32 = 2;
/// First byte of the messages, so that stray bytes are not taken for one.
const MAGIC: u8 = 0xB7;
/// Descriptors of the first message without that of the log: charter, board, pidfd of the master,
/// black box, roster, bell of the worker.
pub(crate) const BEQUEST_DESCRIPTORS_FIXED: usize = 6;

/// The first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bequest {
    /// The protocol of the lanes.
    pub(crate) lane_protocol: u32,
    /// Who the process is.
    pub(crate) key: ProcessKey,
    /// Its manager's number.
    pub(crate) manager: i32,
    /// Its seat; 0 without BASE mode.
    pub(crate) seat: u16,
    /// Descriptors of the second message.
    pub(crate) ends: u16,
    /// The descriptor of the log file comes behind the others.
    pub(crate) has_log: bool,
}

/// Why a first message is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUnderstood {
    /// It is none.
    Malformed,
    /// It is one of another version.
    Protocol(u32),
}

impl From<Malformed> for NotUnderstood {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Bequest {
    /// The message as bytes.
    pub(crate) fn encode(&self) -> [u8; BEQUEST_SIZE_BYTES] {
        Writer::new()
            .u8(MAGIC)
            .u32(BEQUEST_PROTOCOL)
            .u32(self.lane_protocol)
            .key(self.key)
            .i32(self.manager)
            .u16(self.seat)
            .u16(self.ends)
            .flag(self.has_log)
            .finish()
    }

    /// The message in these bytes, if they are exactly one of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NotUnderstood> {
        let mut reader = Reader::new(bytes, BEQUEST_SIZE_BYTES)?;
        if reader.u8()? != MAGIC {
            return Err(NotUnderstood::Malformed);
        }
        match reader.u32()? {
            BEQUEST_PROTOCOL => {}
            other => return Err(NotUnderstood::Protocol(other)),
        }
        let bequest = Self {
            lane_protocol: reader.u32()?,
            key: reader.key()?,
            manager: reader.i32()?,
            seat: reader.u16()?,
            ends: reader.u16()?,
            has_log: reader.flag()?,
        };
        Ok(reader.finish(bequest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bequests_come_as_they_were_sent_and_others_are_refused() {
        let bequest = Bequest {
            lane_protocol: 7,
            key: ProcessKey::event(3, 9),
            manager: 4711,
            seat: 2,
            ends: 250,
            has_log: true,
        };
        let good = bequest.encode();
        assert_eq!(Bequest::decode(&good), Ok(bequest));
        let mut newer = good;
        newer[1] = newer[1].wrapping_add(1);
        // Whatever a newer version says behind its number.
        newer[100] = 1;
        assert!(matches!(Bequest::decode(&newer), Err(NotUnderstood::Protocol(_))));
        for at in [0, 9, BEQUEST_SIZE_BYTES - 1] {
            let mut bad = good;
            bad[at] = 0xEE;
            assert_eq!(Bequest::decode(&bad), Err(NotUnderstood::Malformed), "byte {at}");
        }
        assert_eq!(Bequest::decode(&good[1..]), Err(NotUnderstood::Malformed));
    }
}
