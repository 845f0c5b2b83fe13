//! What the manager tells a worker: how the reloads ended that it asked for; what is long goes
//! before that, in messages of its own. And what it asks: what holds it.

use std::io;
use std::os::fd::AsFd;

use ostler_core::supervisor::ReloadOutcome;

use super::manager::{decode_outcome, encode_outcome};
use super::reload::ReloadPart;
use super::short_text::ShortText;
use super::wire::{Malformed, Reader, Writer};
use super::worker::WORKER_MESSAGE_SIZE_BYTES;
use crate::sys::control_socket;

/// A message to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToWorker {
    /// Slots of the reload whose end is told next.
    Slots(ReloadPart),
    /// Why that was not done.
    Why(ShortText),
    /// It has ended.
    Reloaded {
        /// Which request that answers.
        ticket: u32,
        /// How.
        outcome: ReloadOutcome,
        /// Another one ran when it was asked for.
        has_waited: bool,
    },
    /// What holds it? It is about to be killed, because it has not left in time.
    WhatHolds,
}

impl ToWorker {
    /// Tells a worker, without blocking.
    pub(crate) fn send(self, control: impl AsFd) -> io::Result<()> {
        control_socket::send(control, &self.encode(), &[])
    }

    /// The message as bytes.
    pub(crate) fn encode(self) -> [u8; WORKER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new();
        match self {
            Self::Slots(part) => part.write(writer.u8(192)),
            Self::Why(text) => writer.u8(193).text(text),
            Self::Reloaded { ticket, outcome, has_waited } => {
                encode_outcome(writer.u8(194).u32(ticket).flag(has_waited), outcome)
            }
            Self::WhatHolds => writer.u8(195),
        }
        .finish()
    }

    /// The message in these bytes, if they are exactly one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, WORKER_MESSAGE_SIZE_BYTES)?;
        let message = match reader.u8()? {
            192 => Self::Slots(ReloadPart::read(&mut reader)?),
            193 => Self::Why(reader.text()?),
            194 => {
                let (ticket, has_waited) = (reader.u32()?, reader.flag()?);
                Self::Reloaded { ticket, outcome: decode_outcome(&mut reader)?, has_waited }
            }
            195 => Self::WhatHolds,
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}
