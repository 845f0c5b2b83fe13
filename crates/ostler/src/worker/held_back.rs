//! What a task sends to sessions of other processes (BASE mode), held back until it is finished.
//!
//! Such outputs go by sockets, which know no transaction. So this process keeps them while the task
//! runs, as its results wait in the lane. Before they go out the task is exposed: it is never run
//! again, and who has asked hears of it if its worker dies between that and its end. So nobody gets
//! them twice, and none is lost in silence.

use std::cell::RefCell;

use super::context::WorkerContext;
use super::output::Output;
use super::owned_output::OwnedOutput;
use super::running::RunningDelivery;
use crate::api::send_error::SendError;

/// What one output costs besides its bytes; it bounds the number of those without any.
const HELD_OUTPUT_BYTES: usize = 64;

/// They, in the order in which they were sent, each with the number of its task.
#[derive(Default)]
pub(crate) struct HeldBack {
    outputs: RefCell<Vec<(u64, OwnedOutput)>>,
}

impl HeldBack {
    /// Whether there are any of this task.
    fn has(&self, seq: u64) -> bool {
        self.outputs.borrow().iter().any(|(of, _)| *of == seq)
    }

    fn push(&self, seq: u64, output: OwnedOutput) {
        self.outputs.borrow_mut().push((seq, output));
    }

    fn take(&self, seq: u64) -> Vec<OwnedOutput> {
        let mut outputs = self.outputs.borrow_mut();
        outputs.extract_if(.., |(of, _)| *of == seq).map(|(_, output)| output).collect()
    }
}

impl WorkerContext {
    /// Holds an output back if that is for other processes, and its task holds back what it sends.
    /// More than the options allow exposes the task, and is sent at once.
    pub(super) fn hold_back(
        &self,
        session: u64,
        output: Output<'_>,
        delivery: Option<&mut RunningDelivery>,
    ) -> Result<bool, SendError> {
        let (Some(others), Some(delivery)) = (self.sessions.others(), delivery) else {
            return Ok(false);
        };
        if delivery.exposed {
            // What was held back until then comes first.
            self.release_held(delivery);
            return Ok(false);
        }
        match output {
            Output::ToGroup(_) => others.check_ways()?,
            _ if self.sessions.elsewhere(session).is_some() => {}
            _ => return Ok(false),
        }
        if let Output::Close(reset) = output {
            self.sessions.note_close(session, reset);
        }
        self.held_back.push(delivery.seq, OwnedOutput::new(session, output));
        if self.sender.holds_too_much(Some(delivery), HELD_OUTPUT_BYTES + output.len()) {
            self.sender.publish_early(Some(delivery));
            self.release_held(delivery);
        }
        Ok(true)
    }

    /// Whether something of the delivery waits here for its end.
    pub(super) fn holds_back(&self, delivery: &RunningDelivery) -> bool {
        self.held_back.has(delivery.seq)
    }

    /// Sends what a delivery has held back that holds back nothing any more.
    pub(super) fn release_held(&self, delivery: &RunningDelivery) {
        let Some(others) = self.sessions.others() else { return };
        for held in self.held_back.take(delivery.seq) {
            let (session, output) = held.parts();
            let sent = match output {
                // The own lane first: what that refuses has gone to nobody.
                Output::ToGroup(_) => self
                    .append_here(session, output, None)
                    .inspect(|()| others.relay_to_all(output)),
                _ => others.relay_admitted(session, output),
            };
            // That a session has ended since is no failure.
            if let Err(error) = sent
                && !error.is_gone()
                && self.complaints.output_lost.admits()
            {
                tracing::error!(session, %error, "an output that was held back cannot be sent");
            }
        }
    }

    /// Ends a delivery, with everything that it has held back.
    pub(super) fn finish(&self, delivery: &RunningDelivery, frees: bool) {
        let mut delivery = *delivery;
        if self.holds_back(&delivery) {
            self.sender.publish_early(Some(&mut delivery));
            self.release_held(&delivery);
        }
        self.sender.finish(&delivery, frees);
    }
}
