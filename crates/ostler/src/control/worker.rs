//! What a worker tells the manager. Nine kinds, 128 bytes, no descriptors (decision 15).
//!
//! The sender is known by its socket, which belongs to one process alone; so no message names a
//! worker.

use std::io;
use std::os::fd::AsFd;

use ostler_core::supervisor::LeaveReason;

use super::reload::{WantedReload, read_wanted, write_wanted};
use super::short_text::ShortText;
use super::wire::{Malformed, Reader, Writer};
use crate::sys::control_socket;

/// Size of every message from a worker.
pub(crate) const WORKER_MESSAGE_SIZE_BYTES: usize = 128;

/// First byte of every message from a worker, so that stray bytes are not taken for one.
const MAGIC: u8 = 0xA7;

/// A message from a worker. The sender is hostile until decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromWorker {
    /// `on_worker_start` is done; packages may come.
    Ready,
    /// It wants to be replaced and goes on until its successor serves.
    LeaveRequest(LeaveReason),
    /// It asks for so many workers.
    WantWorkers(u16),
    /// It asks for a reload, which is to be answered by this number ([`super::ToWorker`]).
    WantReload {
        /// Its number.
        ticket: u32,
        /// Of what.
        wanted: WantedReload,
    },
    /// One thing that holds it.
    Holder(ShortText),
    /// That was all, and so much more is not told.
    LastHolder(u32),
    /// It cannot start, and why; it ends now.
    StartFailed(ShortText),
    /// It has taken its first delivery, and is about to handle it. Said before user code sees the
    /// delivery, so that the word cannot be lost by what that code does.
    TookDelivery,
    /// A program that was started by exec has taken what was left to it, and will run its server;
    /// the options whose new values wait for a restart of the server, if there are any.
    Began(ShortText),
}

impl FromWorker {
    /// Tells the manager, without blocking. Each word is said a few times in a life at most, so
    /// there is always room; an error means that the manager is gone or listens to this worker no
    /// more.
    pub(crate) fn send(self, control: impl AsFd) -> io::Result<()> {
        control_socket::send(control, &self.encode(), &[])
    }

    /// The message as bytes.
    pub(crate) fn encode(self) -> [u8; WORKER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new().u8(MAGIC);
        match self {
            Self::Ready => writer.u8(1),
            Self::LeaveRequest(reason) => writer.u8(2).u8(match reason {
                LeaveReason::MaxRequests => 1,
                LeaveReason::Asked => 2,
                LeaveReason::Idle => 3,
                LeaveReason::Memory => 4,
                LeaveReason::Age => 5,
            }),
            Self::TookDelivery => writer.u8(3),
            Self::StartFailed(text) => writer.u8(4).text(text),
            Self::Began(waiting) => writer.u8(5).text(waiting),
            Self::Holder(text) => writer.u8(8).text(text),
            Self::LastHolder(more) => writer.u8(9).u32(more),
            Self::WantWorkers(workers) => writer.u8(6).u16(workers),
            Self::WantReload { ticket, wanted } => write_wanted(writer.u8(7).u32(ticket), wanted),
        }
        .finish()
    }

    /// The message in these bytes, if they are exactly one.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, WORKER_MESSAGE_SIZE_BYTES)?;
        if reader.u8()? != MAGIC {
            return Err(Malformed);
        }
        let message = match reader.u8()? {
            1 => Self::Ready,
            2 => Self::LeaveRequest(match reader.u8()? {
                1 => LeaveReason::MaxRequests,
                2 => LeaveReason::Asked,
                3 => LeaveReason::Idle,
                4 => LeaveReason::Memory,
                5 => LeaveReason::Age,
                _ => return Err(Malformed),
            }),
            3 => Self::TookDelivery,
            4 => Self::StartFailed(reader.text()?),
            5 => Self::Began(reader.text()?),
            6 => Self::WantWorkers(reader.u16()?),
            8 => Self::Holder(reader.text()?),
            9 => Self::LastHolder(reader.u32()?),
            7 => {
                let ticket = reader.u32()?;
                Self::WantReload { ticket, wanted: read_wanted(&mut reader)? }
            }
            _ => return Err(Malformed),
        };
        reader.finish(message)
    }
}
