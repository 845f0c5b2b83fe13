//! Messages of other processes in the loop.

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
                    let outcome = self.handlers.on_message(&message);
                    self.shown.end();
                    self.log_failure(outcome, "on_message");
                }
                Arrived::Undelivered(undelivered) => {
                    self.shown.begin(Callback::Undelivered);
                    let outcome = self.handlers.on_undelivered(&undelivered);
                    self.shown.end();
                    self.log_failure(outcome, "on_undelivered");
                }
            }
            self.context.settle_deferred();
        }
        Round::Busy
    }
}
