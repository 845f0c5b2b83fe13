//! Messages of other processes in the loop, and calls of commands.

use super::super::commands::{Call, CallAnswer, CallFailure};
use super::super::messages::Arrived;
use super::{BATCH, Round, Run};
use crate::api::own_handler::AnyHandler;
use crate::control::Callback;

impl<H: AnyHandler> Run<H> {
    /// Handles messages that have come, as many as deliveries are handled at once.
    pub(super) fn run_messages(&mut self) -> Round {
        for _ in 0..BATCH {
            let Some(arrived) = self.context.take_arrived() else { return Round::Idle };
            match arrived {
                Arrived::Message(message) => {
                    self.shown.begin(Callback::Message);
                    let span = self.context.begin_traced("on_message", message.sent_in());
                    let outcome = self.handlers.on_message(&message);
                    self.shown.end();
                    self.log_failure(outcome, "on_message");
                    self.context.end_traced(span);
                }
                Arrived::Undelivered(undelivered) => {
                    self.shown.begin(Callback::Undelivered);
                    let span = self.context.begin_traced("on_undelivered", None);
                    let outcome = self.handlers.on_undelivered(&undelivered);
                    self.shown.end();
                    self.log_failure(outcome, "on_undelivered");
                    self.context.end_traced(span);
                }
                Arrived::Call(call) => self.run_command(&call),
                Arrived::Reply(answer) | Arrived::CallFailed(answer) => self.tell_answer(answer),
                Arrived::Skipped => {}
            }
            self.context.settle_deferred();
        }
        Round::Busy
    }

    /// Runs a command, and answers who has called it.
    fn run_command(&mut self, call: &Call) {
        let Some((handler, command)) = self.context.commands.find(call.name()) else {
            return self.context.reply(call, Err(CallFailure::NoSuchCommand));
        };
        self.shown.begin(Callback::Command);
        let span = self.context.begin_traced("command", call.trace());
        let mut answer = Vec::new();
        let run = |handler: &mut _, worker: &_| {
            answer = command(handler, worker, call.bytes())?;
            Ok(())
        };
        let outcome = self.handlers.call(handler, run);
        self.shown.end();
        let answer = match &outcome {
            Ok(()) => Ok(answer.as_slice()),
            Err(error) => {
                self.context.traces.failed();
                Err(CallFailure::Failed(error.to_string()))
            }
        };
        self.context.end_traced(span);
        self.context.reply(call, answer);
    }

    /// Tells who has called, unless it has waited for the answer, or its time is over.
    fn tell_answer(&mut self, answer: CallAnswer) {
        let Some((handler, callback, trace)) = self.context.take_caller(answer.number()) else {
            return;
        };
        self.shown.begin(Callback::Reply);
        let span = self.context.begin_traced("on_reply", trace);
        let result = answer.into_result();
        let call = |handler: &mut _, worker: &_| callback(handler, worker, result);
        let outcome = self.handlers.call(handler, call);
        self.shown.end();
        self.log_failure(outcome, "reply");
        self.context.end_traced(span);
    }
}
