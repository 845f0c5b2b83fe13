//! What a master and the new one that takes its place say to each other.
//!
//! They may be of different versions of the program: the first fields of the first message never
//! change, and nobody goes on who does not know the other's protocol.

use super::channel::Message;
use super::manager::MANAGER_MESSAGE_SIZE_BYTES;
use super::wire::{Malformed, Reader, Writer};

/// What these messages and the list of listeners mean. It grows with every change of either.
pub(crate) const SUCCESSION_PROTOCOL: u32 = 2;
/// Most listeners in one message: the kernel's limit of descriptors, rounded.
pub(crate) const LISTENERS_PER_MESSAGE_MAX: usize = 250;

/// From the old master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToNewMaster {
    /// What comes. With it the list of the listeners, and the pid file if there is one.
    Will {
        /// [`SUCCESSION_PROTOCOL`] of the old master.
        protocol: u32,
        /// How many listeners there are, in the order of the list.
        listeners: u16,
        /// The file is the second descriptor.
        has_pid_file: bool,
        /// What the program had of `oom_score_adj`, if the old master has something else.
        oom_adjustment: Option<i32>,
    },
    /// Some of the listeners, with their descriptors.
    Listeners,
    /// The new master is in charge: nobody else accepts, the service manager knows.
    InCharge,
}

/// From the new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromNewMaster {
    /// A worker serves.
    Serves,
}

impl Message for ToNewMaster {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        match *self {
            Self::Will { protocol, listeners, has_pid_file, oom_adjustment } => Writer::new()
                .u8(64)
                .u32(protocol)
                .u16(listeners)
                .flag(has_pid_file)
                .flag(oom_adjustment.is_some())
                .i32(oom_adjustment.unwrap_or(0)),
            Self::Listeners => Writer::new().u8(65),
            Self::InCharge => Writer::new().u8(66),
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        match reader.u8()? {
            64 => {
                let protocol = reader.u32()?;
                if protocol != SUCCESSION_PROTOCOL {
                    // Whatever another version says behind its number.
                    let (listeners, has_pid_file, oom_adjustment) = (0, false, None);
                    return Ok(Self::Will { protocol, listeners, has_pid_file, oom_adjustment });
                }
                let (listeners, has_pid_file) = (reader.u16()?, reader.flag()?);
                let (is_said, adjustment) = (reader.flag()?, reader.i32()?);
                let oom_adjustment = is_said.then_some(adjustment);
                reader.finish(Self::Will { protocol, listeners, has_pid_file, oom_adjustment })
            }
            65 => reader.finish(Self::Listeners),
            66 => reader.finish(Self::InCharge),
            _ => Err(Malformed),
        }
    }
}

impl Message for FromNewMaster {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let Self::Serves = self;
        Writer::new().u8(192).finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        match reader.u8()? {
            192 => reader.finish(Self::Serves),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_they_were_sent_and_others_are_refused() {
        let will = |protocol| ToNewMaster::Will {
            protocol,
            listeners: 1_024,
            has_pid_file: true,
            oom_adjustment: Some(-5),
        };
        for message in [will(SUCCESSION_PROTOCOL), ToNewMaster::Listeners, ToNewMaster::InCharge] {
            let mut bytes = message.to_bytes();
            assert_eq!(ToNewMaster::from_bytes(&bytes), Ok(message));
            assert_eq!(FromNewMaster::from_bytes(&bytes), Err(Malformed));
            bytes[127] = 1;
            assert_eq!(ToNewMaster::from_bytes(&bytes), Err(Malformed), "{message:?}");
        }
        let mut newer = will(SUCCESSION_PROTOCOL + 1).to_bytes();
        newer[127] = 1;
        let protocol = SUCCESSION_PROTOCOL + 1;
        let (listeners, has_pid_file, oom_adjustment) = (0, false, None);
        let known = ToNewMaster::Will { protocol, listeners, has_pid_file, oom_adjustment };
        assert_eq!(ToNewMaster::from_bytes(&newer), Ok(known), "it can be told what is wrong");
        let serves = FromNewMaster::Serves.to_bytes();
        assert_eq!(FromNewMaster::from_bytes(&serves), Ok(FromNewMaster::Serves));
        assert_eq!(ToNewMaster::from_bytes(&serves), Err(Malformed));
    }
}
