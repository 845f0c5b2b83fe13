//! What a master and the new one that takes its place say to each other.
//!
//! They may be of different versions of the program: the first fields of the first message never
//! change, and nobody goes on who does not know the other's protocol.

use ostler_core::succession::hand_over::{Answer, Chosen};

use super::channel::Message;
use super::manager::MANAGER_MESSAGE_SIZE_BYTES;
use super::wire::{Malformed, Reader, Writer};

/// What these messages and the list of listeners mean. It grows with every change of either.
pub(crate) const SUCCESSION_PROTOCOL: u32 = 6;
/// The first one that is understood. Sessions go by the newest only: of others they stay where they
/// are, and such an old master can be followed.
const FIRST_PROTOCOL: u32 = 2;
/// The first one whose list of listeners says which file each is.
pub(crate) const FILES_PROTOCOL: u32 = 6;
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
        /// The id of the newest session: the new master issues those behind it. A list of all that
        /// are open and may be handed over comes as the last descriptor. `None`: that is not told,
        /// and no session is handed over.
        newest_session: Option<u64>,
    },
    /// Some of the listeners, with their descriptors.
    Listeners,
    /// The new master is in charge: nobody else accepts, the service manager knows.
    InCharge,
    /// Sessions are offered: a list of them, and their sockets. Answered by
    /// [`FromNewMaster::Wanted`].
    Sessions {
        /// Number of the reactor whose they are.
        reactor: u8,
        /// Number of the offer there.
        offer: u32,
        /// How many.
        count: u8,
    },
    /// Of an offer that was answered these sessions are the new master's from now on; the others
    /// are not.
    Given {
        /// Number of the reactor whose they were.
        reactor: u8,
        /// Number of the offer there.
        offer: u32,
        /// Which.
        given: Chosen,
    },
}

/// From the new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromNewMaster {
    /// A worker serves.
    Serves {
        /// Sessions are taken over.
        takes_over: bool,
    },
    /// Which sessions of an offer the new master can have; the others stay, for good or for now.
    /// Answered by [`ToNewMaster::Given`]: until then it touches none of them.
    Wanted {
        /// Number of the reactor whose they are.
        reactor: u8,
        /// Number of the offer there.
        offer: u32,
        /// Which.
        answer: Answer,
    },
}

/// Whether an old master that speaks this protocol can be followed.
pub(crate) const fn is_known(protocol: u32) -> bool {
    protocol >= FIRST_PROTOCOL && protocol <= SUCCESSION_PROTOCOL
}

impl Message for ToNewMaster {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        match *self {
            Self::Will { protocol, listeners, has_pid_file, oom_adjustment, newest_session } => {
                Writer::new()
                    .u8(64)
                    .u32(protocol)
                    .u16(listeners)
                    .flag(has_pid_file)
                    .flag(oom_adjustment.is_some())
                    .i32(oom_adjustment.unwrap_or(0))
                    .flag(newest_session.is_some())
                    .u64(newest_session.unwrap_or(0))
            }
            Self::Listeners => Writer::new().u8(65),
            Self::InCharge => Writer::new().u8(66),
            Self::Sessions { reactor, offer, count } => {
                Writer::new().u8(67).u8(reactor).u32(offer).u8(count)
            }
            Self::Given { reactor, offer, given } => {
                let [first, second] = given.words();
                Writer::new().u8(68).u8(reactor).u32(offer).u64(first).u64(second)
            }
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        match reader.u8()? {
            64 => {
                let protocol = reader.u32()?;
                let newest_session = None;
                if !is_known(protocol) {
                    // Whatever another version says behind its number.
                    let (listeners, has_pid_file, oom_adjustment) = (0, false, None);
                    return Ok(Self::Will {
                        protocol,
                        listeners,
                        has_pid_file,
                        oom_adjustment,
                        newest_session,
                    });
                }
                let (listeners, has_pid_file) = (reader.u16()?, reader.flag()?);
                let (is_said, adjustment) = (reader.flag()?, reader.i32()?);
                let oom_adjustment = is_said.then_some(adjustment);
                // Both are zero where they are not known.
                let (is_told, newest) = (reader.flag()?, reader.u64()?);
                let newest_session = is_told.then_some(newest);
                // There is one way to say nothing.
                if adjustment != oom_adjustment.unwrap_or(0)
                    || newest != newest_session.unwrap_or(0)
                {
                    return Err(Malformed);
                }
                reader.finish(Self::Will {
                    protocol,
                    listeners,
                    has_pid_file,
                    oom_adjustment,
                    newest_session,
                })
            }
            65 => reader.finish(Self::Listeners),
            66 => reader.finish(Self::InCharge),
            67 => {
                let (reactor, offer, count) = (reader.u8()?, reader.u32()?, reader.u8()?);
                reader.finish(Self::Sessions { reactor, offer, count })
            }
            68 => {
                let (reactor, offer) = (reader.u8()?, reader.u32()?);
                let given = Chosen::of_words([reader.u64()?, reader.u64()?]);
                reader.finish(Self::Given { reactor, offer, given })
            }
            _ => Err(Malformed),
        }
    }
}

impl Message for FromNewMaster {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        match *self {
            Self::Serves { takes_over } => Writer::new().u8(192).flag(takes_over),
            Self::Wanted { reactor, offer, answer: Answer { wanted, refused } } => {
                let ([first, second], [third, fourth]) = (wanted.words(), refused.words());
                let writer = Writer::new().u8(193).u8(reactor).u32(offer);
                writer.u64(first).u64(second).u64(third).u64(fourth)
            }
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        match reader.u8()? {
            192 => {
                let takes_over = reader.flag()?;
                reader.finish(Self::Serves { takes_over })
            }
            193 => {
                let (reactor, offer) = (reader.u8()?, reader.u32()?);
                let wanted = Chosen::of_words([reader.u64()?, reader.u64()?]);
                let refused = Chosen::of_words([reader.u64()?, reader.u64()?]);
                let answer = Answer { wanted, refused };
                reader.finish(Self::Wanted { reactor, offer, answer })
            }
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
            newest_session: Some(1 << 40),
        };
        let sessions = ToNewMaster::Sessions { reactor: 3, offer: u32::MAX, count: 120 };
        let given = Chosen::of_words([1 << 63, 9]);
        let given = ToNewMaster::Given { reactor: 63, offer: 8, given };
        let others = [ToNewMaster::Listeners, ToNewMaster::InCharge, sessions, given];
        for message in [will(SUCCESSION_PROTOCOL)].into_iter().chain(others) {
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
        let newest_session = None;
        let known =
            ToNewMaster::Will { protocol, listeners, has_pid_file, oom_adjustment, newest_session };
        assert_eq!(ToNewMaster::from_bytes(&newer), Ok(known), "it can be told what is wrong");
        let (wanted, refused) = (Chosen::of_words([5, 1 << 55]), Chosen::of_words([2, 1 << 54]));
        let answer = Answer { wanted, refused };
        for message in [
            FromNewMaster::Serves { takes_over: true },
            FromNewMaster::Wanted { reactor: 63, offer: 7, answer },
        ] {
            let bytes = message.to_bytes();
            assert_eq!(FromNewMaster::from_bytes(&bytes), Ok(message));
            assert_eq!(ToNewMaster::from_bytes(&bytes), Err(Malformed));
        }
    }
}
