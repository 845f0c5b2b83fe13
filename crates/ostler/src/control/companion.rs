//! What the master tells the companion, and how that answers.
//!
//! A text that belongs to an event goes before it, in a message of its own: both together would not
//! fit into one.

use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::{Exit, ReloadOutcome};

use super::channel::Message;
use super::manager::{
    MANAGER_MESSAGE_SIZE_BYTES, decode_exit, decode_outcome, encode_exit, encode_outcome,
};
use super::reload::ReloadPart;
use super::short_text::ShortText;
use super::wire::{Malformed, Reader, Writer};

/// Something that happened to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerEvent {
    /// The server starts.
    Start,
    /// Its end begins.
    BeforeShutdown,
    /// Nobody is left besides master, manager and companion.
    Shutdown,
    /// A manager is in charge.
    ManagerStart {
        /// Its number.
        pid: i32,
    },
    /// It is no more.
    ManagerStop {
        /// Its number.
        pid: i32,
    },
    /// Workers are going to be replaced.
    BeforeReload,
    /// That has ended; why it was aborted is the text.
    AfterReload(ReloadOutcome),
    /// A process has died that nobody had told to; the cause is the text.
    WorkerError {
        /// Who.
        worker: ProcessKey,
        /// Its number; 0 when it is not known.
        pid: i32,
        /// How.
        exit: Exit,
    },
}

/// From the master to the companion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToCompanion {
    /// The text of the next event.
    Text(ShortText),
    /// Slots of the reload that the next event is about.
    Slots(ReloadPart),
    /// An event, and the number by which it is acknowledged.
    Event(u32, ServerEvent),
}

/// From the companion to the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FromCompanion {
    /// The event with this number was handled.
    Handled(u32),
}

impl Message for ToCompanion {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let writer = Writer::new();
        let Self::Event(number, event) = *self else {
            return match *self {
                Self::Text(text) => writer.u8(32).text(text),
                Self::Slots(part) => part.write(writer.u8(41)),
                Self::Event(..) => writer,
            }
            .finish();
        };
        let event_of = |code: u8| writer.u8(code).u32(number);
        match event {
            ServerEvent::Start => event_of(33),
            ServerEvent::BeforeShutdown => event_of(34),
            ServerEvent::Shutdown => event_of(35),
            ServerEvent::ManagerStart { pid } => event_of(36).i32(pid),
            ServerEvent::ManagerStop { pid } => event_of(37).i32(pid),
            ServerEvent::BeforeReload => event_of(38),
            ServerEvent::AfterReload(outcome) => encode_outcome(event_of(39), outcome),
            ServerEvent::WorkerError { worker, pid, exit } => {
                encode_exit(event_of(40).key(worker).i32(pid), exit)
            }
        }
        .finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        let code = reader.u8()?;
        if code == 32 {
            let text = reader.text()?;
            return reader.finish(Self::Text(text));
        }
        if code == 41 {
            let part = ReloadPart::read(&mut reader)?;
            return reader.finish(Self::Slots(part));
        }
        let number = reader.u32()?;
        let event = match code {
            33 => ServerEvent::Start,
            34 => ServerEvent::BeforeShutdown,
            35 => ServerEvent::Shutdown,
            36 => ServerEvent::ManagerStart { pid: reader.i32()? },
            37 => ServerEvent::ManagerStop { pid: reader.i32()? },
            38 => ServerEvent::BeforeReload,
            39 => ServerEvent::AfterReload(decode_outcome(&mut reader)?),
            40 => {
                let (worker, pid) = (reader.key()?, reader.i32()?);
                ServerEvent::WorkerError { worker, pid, exit: decode_exit(&mut reader)? }
            }
            _ => return Err(Malformed),
        };
        reader.finish(Self::Event(number, event))
    }
}

impl Message for FromCompanion {
    fn to_bytes(&self) -> [u8; MANAGER_MESSAGE_SIZE_BYTES] {
        let Self::Handled(number) = *self;
        Writer::new().u8(160).u32(number).finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, MANAGER_MESSAGE_SIZE_BYTES)?;
        match reader.u8()? {
            160 => {
                let number = reader.u32()?;
                reader.finish(Self::Handled(number))
            }
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::ids::Slot;

    #[test]
    fn messages_come_as_they_were_sent_and_others_are_refused() {
        let exit = Exit::Signal { signal: 11, core_dumped: true };
        let events = [
            ServerEvent::Start,
            ServerEvent::BeforeShutdown,
            ServerEvent::Shutdown,
            ServerEvent::ManagerStart { pid: 7 },
            ServerEvent::ManagerStop { pid: 8 },
            ServerEvent::BeforeReload,
            ServerEvent::AfterReload(ReloadOutcome::Partial(Slot(3))),
            ServerEvent::WorkerError { worker: ProcessKey::user(2, 9), pid: 10, exit },
        ];
        let messages = events.map(|event| ToCompanion::Event(77, event));
        let text = ToCompanion::Text(ShortText::new("why"));
        let slots = ReloadPart::split(&[(Slot(3), true), (Slot(4), false)]);
        let more = slots.into_iter().map(ToCompanion::Slots).chain([text]);
        for message in messages.into_iter().chain(more) {
            let mut bytes = message.to_bytes();
            assert_eq!(ToCompanion::from_bytes(&bytes), Ok(message));
            assert_eq!(FromCompanion::from_bytes(&bytes), Err(Malformed));
            bytes[125] = 1;
            assert_eq!(ToCompanion::from_bytes(&bytes), Err(Malformed), "{message:?}");
        }
        let handled = FromCompanion::Handled(77);
        let bytes = handled.to_bytes();
        assert_eq!(FromCompanion::from_bytes(&bytes), Ok(handled));
        assert_eq!(ToCompanion::from_bytes(&bytes), Err(Malformed));
        assert_eq!(FromCompanion::from_bytes(&bytes[1..]), Err(Malformed));
    }
}
