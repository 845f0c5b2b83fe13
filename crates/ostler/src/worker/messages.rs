//! Messages of this process to others and of others to it.
//!
//! What comes is taken out of the ring whenever the loop looks, and waits here until its turn has
//! come; the first reactor bounds how much that is. A message is this process's when its callback
//! begins: that is published first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::messages::MessageEnd;
use ostler_core::placement::MESSAGE_REACTOR;
use ostler_shm::record::{Header, RecordKind};

use super::context::WorkerContext;
use super::owned_output::NO_SESSION;
use super::parts::append_in_parts;
use super::running::RunningDelivery;
use super::send::{Output, Sender};
use crate::api::message::Message;
use crate::api::message_error::{MessageError, MessageErrorKind};
use crate::api::process_slot::ProcessSlot;
use crate::api::send_error::SendError;
use crate::api::undelivered::Undelivered;
use crate::options::Options;

/// What a process has to know of messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageLimits {
    max_length: usize,
    /// How many slots there are for processes of each kind.
    slots: [u16; ProcessKind::ALL.len()],
    /// Processes can write to each other.
    are_possible: bool,
}

impl MessageLimits {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            max_length: options.message_max_length,
            slots: options.slots_by_kind(),
            are_possible: options.has_messages(),
        }
    }
}

/// What a message is, as its receiver treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageForm {
    /// For `on_message`.
    Plain,
}

impl MessageForm {
    const fn code(self) -> u16 {
        match self {
            Self::Plain => 0,
        }
    }

    const fn of_code(code: u16) -> Option<Self> {
        match code {
            0 => Some(Self::Plain),
            _ => None,
        }
    }
}

/// What stands in the header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHead {
    /// Generation 0: whoever lives in the slot.
    to: ProcessKey,
    form: MessageForm,
    /// What this process calls it.
    pub(super) number: u64,
}

/// A message for another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageToSend<'a> {
    pub(super) head: MessageHead,
    /// What stands in front of its bytes.
    pub(super) front: &'a [u8],
    pub(super) bytes: &'a [u8],
}

impl MessageToSend<'_> {
    /// Bytes of it.
    pub(super) const fn len(&self) -> usize {
        self.front.len() + self.bytes.len()
    }
}

/// What came of other processes.
#[derive(Debug)]
pub(crate) enum Arrived {
    Message(Message),
    Undelivered(Undelivered),
}

/// What came and was not handled, and numbers.
#[derive(Default)]
pub(crate) struct Messages {
    last: Cell<u64>,
    parked: RefCell<VecDeque<Arrived>>,
    taken: Cell<u64>,
}

impl Messages {
    fn next_number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// Something came, and waits for its turn.
    pub(super) fn park(&self, kind: RecordKind, header: &Header, bytes: Vec<u8>) {
        let arrived = match kind {
            RecordKind::MessageEnd => {
                let end = MessageEnd::of_code(header.total).unwrap_or(MessageEnd::ReceiverEnded);
                let kind = MessageErrorKind::of_end(end);
                Arrived::Undelivered(Undelivered::new(header.subject, kind))
            }
            _ => match (ProcessKey::unpack(header.cause), MessageForm::of_code(header.port)) {
                (Some(sender), Some(MessageForm::Plain)) => {
                    Arrived::Message(Message::new(sender, header.subject, bytes))
                }
                _ => return tracing::warn!("a message of nobody, or of no form, is skipped"),
            },
        };
        self.parked.borrow_mut().push_back(arrived);
    }

    /// A message was never sent, because there was no room for it.
    pub(super) fn lost(&self, number: u64) {
        let undelivered = Undelivered::new(number, MessageErrorKind::LaneFull);
        self.parked.borrow_mut().push_back(Arrived::Undelivered(undelivered));
    }

    /// Whether something waits for its turn.
    pub(super) fn has_parked(&self) -> bool {
        !self.parked.borrow().is_empty()
    }
}

impl WorkerContext {
    /// What has come and waits, the oldest first. A message is this process's from now on.
    pub(super) fn take_arrived(&self) -> Option<Arrived> {
        let arrived = self.messages.parked.borrow_mut().pop_front()?;
        if matches!(arrived, Arrived::Message(_)) {
            self.messages.taken.set(self.messages.taken.get() + 1);
            self.sender.port().publish_messages_taken(self.messages.taken.get());
        }
        Some(arrived)
    }

    /// The next message that has come, for a process that looks for itself. What says that one of
    /// its own did not arrive is logged, because nobody is called.
    pub(super) fn take_message(&self) -> Option<Message> {
        loop {
            match self.take_arrived()? {
                Arrived::Message(message) => return Some(message),
                Arrived::Undelivered(undelivered) => self.log_undelivered(&undelivered),
            }
        }
    }

    fn log_undelivered(&self, undelivered: &Undelivered) {
        if self.complaints.undelivered.admits() {
            let number = undelivered.number();
            tracing::warn!(number, error = %undelivered.error(), "a message did not arrive");
        }
    }

    /// Whether a message can be sent to this process.
    fn check_message(&self, to: ProcessSlot, len: usize) -> Result<ProcessKey, MessageError> {
        let MessageLimits { max_length, slots, are_possible } = self.settings.messages;
        if !are_possible {
            return Err(MessageErrorKind::BaseMode.into());
        }
        let key = to.key();
        if slots.get(usize::from(key.kind.code())).is_none_or(|slots| key.slot.0 >= *slots) {
            return Err(MessageErrorKind::NoSuchProcess(to).into());
        }
        if key.place() == self.key.place() {
            return Err(MessageErrorKind::ToItself.into());
        }
        if len > max_length {
            return Err(MessageErrorKind::TooLong { len, most: max_length }.into());
        }
        Ok(key)
    }

    /// Sends a message; an output of the running callback, if there is one. Returns its number.
    pub(crate) fn send_message(&self, to: ProcessSlot, bytes: &[u8]) -> Result<u64, MessageError> {
        let to = self.check_message(to, bytes.len())?;
        let number = self.messages.next_number();
        let head = MessageHead { to, form: MessageForm::Plain, number };
        let message = MessageToSend { head, front: &[], bytes };
        self.output_checked(NO_SESSION, Output::Message(message))?;
        Ok(number)
    }
}

impl Sender {
    /// Appends a message for the reactor that has them, in parts if it is longer than a record. One
    /// of which not all parts find room is not sent: its reactor forgets it.
    pub(super) fn append_for_process(
        &self,
        message: MessageToSend<'_>,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let MessageToSend { head: MessageHead { to, form, number }, front, bytes } = message;
        let header = Header {
            kind: RecordKind::SendMessage as u8,
            port: form.code(),
            subject: number,
            cause: to.pack(),
            ..Header::default()
        };
        append_in_parts(header, [front, &[]], bytes, self.payload_max(), |header, pieces| {
            let delivery = for_delivery.as_deref_mut();
            self.append_pieces_waiting(MESSAGE_REACTOR, header, pieces, delivery)
        })
    }
}
