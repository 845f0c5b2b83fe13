//! Messages between processes in the first reactor, which is the switch for them: every process has
//! a lane to it.
//!
//! Responsible for: taking in what is sent, writing it to its receivers, telling senders what did
//! not reach them. What goes where is decided by [`ostler_core::messages::MessageExchange`]; this
//! is its driver. Must never: wait for a process, believe a byte that one wrote, or keep bytes that
//! wait for a receiver and are not charged to the memory budget.
//!
//! `take_in` (what comes up), `hand_on` (to receivers), `failures` (to senders), `operator` (calls
//! of somebody who has no process), `lives` (processes that begin, serve and end, and the end of
//! the server).

mod failures;
mod hand_on;
mod lives;
mod operator;
mod take_in;

use std::collections::BTreeSet;

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::{
    MessageCounts, MessageEnd, MessageExchange, MessageSender, MessageSettings,
};
use ostler_core::trace::TraceContext;
use ostler_shm::layout::Sizes;

use super::parts::Parts;
use crate::options::Options;
use failures::Failures;
use operator::OperatorCalls;

/// The reactor that has the messages.
const MESSAGE_REACTOR: usize = ostler_core::placement::MESSAGE_REACTOR;

/// What a reactor has to know of messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageSideSettings {
    exchange: MessageSettings,
    /// Longest payload of a message, with the ids of a trace in front.
    max_length: usize,
    /// Longest payload of an answer's record.
    answer_max: usize,
}

impl MessageSideSettings {
    /// `None`: this process has one worker, its own.
    pub(super) fn new(options: &Options, sizes: &Sizes) -> Option<Self> {
        options.has_messages().then(|| Self {
            exchange: MessageSettings {
                queue_max_bytes: options.message_queue_bytes,
                processes: options.processes_by_kind(),
            },
            max_length: options.message_max_length + TraceContext::IDS_BYTES,
            answer_max: sizes.answer_payload_max(),
        })
    }
}

/// A message that was read in this turn.
struct Incoming {
    sender: MessageSender,
    to: ProcessKey,
    form: u16,
    bytes: Vec<u8>,
}

/// The messages of the server.
pub(super) struct Messages {
    settings: MessageSideSettings,
    exchange: MessageExchange,
    /// What came in parts and is not whole: by the sender's number for it.
    parts: Parts<u64>,
    incoming: Vec<Incoming>,
    failures: Failures,
    /// Lanes with a full ring for which something waits.
    full: BTreeSet<u32>,
    operator: OperatorCalls,
}

impl Messages {
    /// The messages of the server, if this is the reactor that has them.
    pub(super) fn new(settings: Option<MessageSideSettings>, reactor: usize) -> Option<Box<Self>> {
        let settings = settings.filter(|_| reactor == MESSAGE_REACTOR)?;
        Some(Box::new(Self {
            settings,
            exchange: MessageExchange::new(settings.exchange),
            parts: Parts::default(),
            incoming: Vec::new(),
            failures: Failures::default(),
            full: BTreeSet::new(),
            operator: OperatorCalls::default(),
        }))
    }

    /// What became of all of them.
    pub(super) const fn counts(&self) -> &MessageCounts {
        self.exchange.counts()
    }

    /// Whether there is nothing to do.
    fn is_idle(&self) -> bool {
        self.incoming.is_empty()
            && self.full.is_empty()
            && self.failures.is_empty()
            && !self.operator.has_answers()
            && !self.exchange.has_waiting()
    }

    /// A message did not reach its receiver: its sender is to be told.
    fn fail(&mut self, sender: MessageSender, end: MessageEnd) {
        if sender.key == ProcessKey::OPERATOR {
            return self.operator.failed(sender.number, end);
        }
        self.failures.add(sender, end, &mut self.exchange);
    }

    /// Whether something waits for a lane.
    fn waits_for(&self, lane: LaneSlot) -> bool {
        self.exchange.waits_for(lane) || self.failures.wait_for(lane)
    }
}
