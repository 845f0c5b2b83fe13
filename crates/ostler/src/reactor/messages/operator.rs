//! Calls of the operator, who has no process: they go to processes as those of others do, and what
//! answers them goes to the master's main thread, which has asked.

use std::collections::BTreeMap;

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::form::{MessageForm, read_reply};
use ostler_core::messages::{MessageEnd, MessageSender};

use super::{Incoming, Messages};
use crate::reactor::Reactor;
use crate::reactor::mailbox::FromReactor;

/// No lane has this number: who is told nothing by a ring.
const NO_LANE: LaneSlot = LaneSlot(u32::MAX);

/// The operator's calls that were not answered, and answers on their way.
#[derive(Default)]
pub(super) struct OperatorCalls {
    /// With the lane of the process that has it, once that is known. Bounded by the main thread,
    /// which asks one thing at a time for each operator.
    open: BTreeMap<u64, Option<LaneSlot>>,
    answers: Vec<(u64, Result<Vec<u8>, MessageEnd>)>,
}

impl OperatorCalls {
    pub(super) const fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The process of this lane answers. False: nobody has asked it, or does so any more.
    pub(super) fn reply(&mut self, lane: LaneSlot, message: Vec<u8>) -> bool {
        let call = read_reply(&message).map(|(_, call)| call);
        let has_it = |call: &u64| self.open.get(call) == Some(&Some(lane));
        let Some(call) = call.filter(has_it) else { return false };
        self.open.remove(&call);
        self.answers.push((call, Ok(message)));
        true
    }

    /// A call did not reach its process.
    pub(super) fn failed(&mut self, call: u64, end: MessageEnd) {
        if self.open.remove(&call).is_some() {
            self.answers.push((call, Err(end)));
        }
    }

    /// A message lies whole in the ring of this lane; it may be a call.
    pub(super) fn given(&mut self, sender: MessageSender, lane: LaneSlot) {
        if sender.key == ProcessKey::OPERATOR
            && let Some(of) = self.open.get_mut(&sender.number)
        {
            *of = Some(lane);
        }
    }

    /// The process of a lane is dead, with the calls that it has not answered.
    pub(super) fn lane_ended(&mut self, lane: LaneSlot) {
        let lost = self.open.extract_if(.., |_, of| *of == Some(lane));
        self.answers.extend(lost.map(|(call, _)| (call, Err(MessageEnd::ReceiverEnded))));
    }
}

impl Messages {
    /// At once, so that what a process has answered before its death counts.
    pub(super) fn reply_to_operator(&mut self, sender: MessageSender, form: u16, bytes: Vec<u8>) {
        if form != MessageForm::Reply.code(None) || !self.operator.reply(sender.lane, bytes) {
            self.fail(sender, MessageEnd::NotRunning);
        }
    }

    fn call(&mut self, number: u64, to: ProcessKey, form: u16, bytes: Vec<u8>) {
        let sender = MessageSender { key: ProcessKey::OPERATOR, lane: NO_LANE, number };
        self.operator.open.insert(number, None);
        self.incoming.push(Incoming { sender, to, form, bytes });
    }
}

impl Reactor {
    /// The operator calls a command of the process of a slot.
    pub(in crate::reactor) fn operator_calls(
        &mut self,
        number: u64,
        to: ProcessKey,
        form: u16,
        message: Vec<u8>,
    ) {
        match &mut self.clients.messages {
            Some(messages) => messages.call(number, to, form, message),
            None => self.answer_operator(number, Err(MessageEnd::NotRunning)),
        }
    }

    pub(in crate::reactor) fn operator_forgets(&mut self, number: u64) {
        if let Some(messages) = &mut self.clients.messages {
            messages.operator.open.remove(&number);
        }
    }

    /// Tells the main thread what became of its calls.
    pub(super) fn answer_operators(&mut self) {
        let Some(messages) = &mut self.clients.messages else { return };
        for (number, answer) in std::mem::take(&mut messages.operator.answers) {
            self.answer_operator(number, answer);
        }
    }

    fn answer_operator(&self, number: u64, answer: Result<Vec<u8>, MessageEnd>) {
        self.clients.reports.queue.push(FromReactor::CallAnswered(number, answer));
    }
}

#[cfg(test)]
mod tests {
    use ostler_core::messages::form::{ReplyStatus, reply_front};

    use super::*;

    #[test]
    fn a_call_is_answered_by_the_process_that_has_it_and_once() {
        let mut calls = OperatorCalls::default();
        calls.open.insert(7, None);
        let answer = || reply_front(ReplyStatus::Done, 7).to_vec();
        assert!(!calls.reply(LaneSlot(1), answer()), "nobody has it");
        let sender = MessageSender { key: ProcessKey::OPERATOR, lane: NO_LANE, number: 7 };
        calls.given(sender, LaneSlot(1));
        assert!(!calls.reply(LaneSlot(2), answer()), "another one has it");
        assert!(!calls.has_answers());
        assert!(calls.reply(LaneSlot(1), answer()) && calls.has_answers());
        assert!(!calls.reply(LaneSlot(1), answer()));
        assert_eq!(calls.answers.len(), 1);
    }
}
