//! Messages of this process to others and of others to it.
//!
//! What comes is taken out of the ring whenever the loop looks, and waits here until its turn has
//! come; the first reactor bounds how much that is. A message is this process's when its callback
//! begins: that is published first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::messages::MessageEnd;
use ostler_core::messages::form::{MessageForm, take_trace};
use ostler_core::trace::TraceContext;
use ostler_shm::record::{Header, RecordKind};

use super::commands::{Call, CallAnswer, CallFailure, is_of_reply};
use super::context::WorkerContext;
use super::output::Output;
use super::owned_output::NO_SESSION;
use super::parts::append_in_parts;
use super::running::RunningDelivery;
use super::send::Sender;
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
}

impl MessageLimits {
    /// Most bytes of a message.
    pub(super) const fn max_length(&self) -> usize {
        self.max_length
    }

    pub(super) fn new(options: &Options) -> Self {
        Self { max_length: options.message_max_length, slots: options.slots_by_kind() }
    }
}

/// What stands in the header of a message, and in front of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageHead {
    /// Generation 0: whoever lives in the slot.
    pub(super) to: ProcessKey,
    pub(super) form: MessageForm,
    /// What this process calls it.
    pub(super) number: u64,
    /// In which trace it is sent.
    pub(super) sent_in: Option<TraceContext>,
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
    Call(Call),
    /// A call was answered.
    Reply(CallAnswer),
    Undelivered(Undelivered),
    /// The same of a call.
    CallFailed(CallAnswer),
    /// A message that is for nobody here.
    Skipped,
}

impl Arrived {
    /// Whether the master counts it as a message to this process.
    const fn is_message(&self) -> bool {
        matches!(self, Self::Message(_) | Self::Call(_) | Self::Reply(_) | Self::Skipped)
    }
}

/// What came and was not handled, and numbers.
#[derive(Default)]
pub(crate) struct Messages {
    last: Cell<u64>,
    parked: RefCell<VecDeque<Arrived>>,
    taken: Cell<u64>,
}

impl Messages {
    pub(super) fn next_number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    fn push(&self, arrived: Arrived) {
        self.parked.borrow_mut().push_back(arrived);
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
        if arrived.is_message() {
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
                // Its commands cannot be called while it runs.
                Arrived::Call(call) => self.reply(&call, Err(CallFailure::NoSuchCommand)),
                Arrived::Reply(_) | Arrived::CallFailed(_) | Arrived::Skipped => {}
            }
        }
    }

    /// Something came, and waits for its turn.
    pub(super) fn park(&self, kind: RecordKind, header: &Header, mut bytes: Vec<u8>) {
        if kind == RecordKind::MessageEnd {
            let end = MessageEnd::of_code(header.total).unwrap_or(MessageEnd::ReceiverEnded);
            return self.park_failure(header.subject, MessageErrorKind::of_end(end));
        }
        let sent_in = take_trace(header.port, &mut bytes);
        let arrived = match (ProcessKey::unpack(header.cause), MessageForm::of_code(header.port)) {
            (Some(sender), Some(MessageForm::Plain)) => {
                Some(Arrived::Message(Message::new(sender, header.subject, sent_in, bytes)))
            }
            (Some(sender), Some(MessageForm::Call)) => {
                let call = Call::read(sender, header.subject, bytes);
                call.map(|call| Arrived::Call(call.sent_in(sent_in)))
            }
            (Some(sender), Some(MessageForm::Reply)) => {
                CallAnswer::read(bytes).map(|answer| self.hear_reply(sender, answer))
            }
            _ => None,
        };
        ostler_core::invariant!(arrived.is_some(), "the switch knows the forms of messages");
        // In any case it has come, and the master waits for it to be taken.
        self.messages.push(arrived.unwrap_or(Arrived::Skipped));
    }

    /// A process answers a call, if that was to it.
    fn hear_reply(&self, sender: ProcessKey, answer: CallAnswer) -> Arrived {
        if self.calls.is_of_another(answer.number(), sender) {
            if self.complaints.undelivered.admits() {
                tracing::warn!(%sender, "it answers a call that was to another process");
            }
            return Arrived::Skipped;
        }
        Arrived::Reply(self.calls.hear(answer))
    }

    /// A message of this process was not sent, or did not reach its receiver.
    pub(super) fn park_failure(&self, number: u64, kind: MessageErrorKind) {
        if is_of_reply(number) {
            return; // who has called is gone
        }
        if self.calls.is_open(number) {
            let answer = CallAnswer::failed(number, kind);
            return self.messages.push(Arrived::CallFailed(self.calls.hear(answer)));
        }
        self.messages.push(Arrived::Undelivered(Undelivered::new(number, kind)));
    }

    fn log_undelivered(&self, undelivered: &Undelivered) {
        if self.complaints.undelivered.admits() {
            let number = undelivered.number();
            tracing::warn!(number, error = %undelivered.error(), "a message did not arrive");
        }
    }

    /// Whether a message can be sent to this process.
    pub(super) fn check_message(
        &self,
        to: ProcessSlot,
        len: usize,
    ) -> Result<ProcessKey, MessageErrorKind> {
        let MessageLimits { max_length, slots } = self.settings.messages;
        let key = to.key();
        if slots.get(usize::from(key.kind.code())).is_none_or(|slots| key.slot.0 >= *slots) {
            return Err(MessageErrorKind::NoSuchProcess(to));
        }
        if key.place() == self.key.place() {
            return Err(MessageErrorKind::ToItself);
        }
        if len > max_length {
            return Err(MessageErrorKind::TooLong { len, most: max_length });
        }
        Ok(key)
    }

    /// Sends a message; an output of the running callback, if there is one. Returns its number.
    pub(crate) fn send_message(&self, to: ProcessSlot, bytes: &[u8]) -> Result<u64, MessageError> {
        let to = self.check_message(to, bytes.len())?;
        let number = self.messages.next_number();
        let sent_in = self.traces.context();
        let head = MessageHead { to, form: MessageForm::Plain, number, sent_in };
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
        let MessageToSend { head: MessageHead { to, form, number, sent_in }, front, bytes } =
            message;
        let header = Header {
            kind: RecordKind::SendMessage as u8,
            port: form.code(sent_in),
            subject: number,
            cause: to.pack(),
            ..Header::default()
        };
        let ids = sent_in.map(|context| context.ids());
        let ids = ids.as_ref().map_or(&[][..], |ids| ids);
        let lane = self.switch();
        append_in_parts(header, [ids, front], bytes, self.payload_max(lane), |header, pieces| {
            let delivery = for_delivery.as_deref_mut();
            self.append_pieces_waiting(lane, header, pieces, delivery)
        })
    }
}
