//! What a deferred delivery holds: until it is finished, exposed or has its turn.

use ostler_shm::record::HEADER_SIZE;

use super::super::context::WorkerContext;
use super::super::output::Output;
use super::super::owned_output::OwnedOutput;
use super::Deferral;
use crate::api::message_error::MessageErrorKind;
use crate::api::send_error::{SendError, SendErrorKind};

/// What is held back for an output: its bytes and a header, so that many small ones are bounded
/// too.
const fn cost(output: Output<'_>) -> usize {
    HEADER_SIZE + output.len()
}

impl Deferral {
    /// Whether the options allow to hold one output more. There is always room for a close: it is
    /// small, and nothing of its session follows.
    pub(super) fn has_room_for(&self, output: Output<'_>, context: &WorkerContext) -> bool {
        matches!(output, Output::Close(_))
            || self.held_bytes + cost(output) <= context.settings.redeliver_output_bytes
    }

    /// Holds an output until the delivery has its turn, as much as the options allow.
    pub(super) fn hold_for_turn(
        &mut self,
        session: u64,
        output: Output<'_>,
        context: &WorkerContext,
    ) -> Result<(), SendError> {
        if self.held_bytes == 0 || self.has_room_for(output, context) {
            self.hold(session, output, context);
            return Ok(());
        }
        Err(SendError::new(SendErrorKind::Full))
    }

    pub(super) fn hold(&mut self, session: u64, output: Output<'_>, context: &WorkerContext) {
        if let Output::Close(reset) = output {
            context.sessions.note_held_close(session, reset, self.current.as_cause());
        }
        self.held_bytes += cost(output);
        self.held.push(OwnedOutput::new(session, output));
    }

    /// Takes out what it holds of this kind, in its order.
    fn take_held(&mut self, is_taken: impl Fn(Output<'_>) -> bool) -> Vec<OwnedOutput> {
        let of_kind = |held: &mut OwnedOutput| is_taken(held.parts().1);
        let taken: Vec<OwnedOutput> = self.held.extract_if(.., of_kind).collect();
        self.held_bytes -= taken.iter().map(|held| cost(held.parts().1)).sum::<usize>();
        taken
    }
}

impl WorkerContext {
    /// Appends what a deferred delivery holds. It was promised to the caller: a session for which
    /// it finds no room is reset, in the same transaction, because it must not go on as if it had
    /// been sent.
    pub(super) fn append_held(&self, deferral: &mut Deferral) {
        let held = deferral.take_held(|_| true);
        self.append_all(held, deferral);
    }

    /// What the running callback has told other processes, although its delivery waits for its
    /// turn: what it asks them now comes behind that.
    pub(in crate::worker) fn append_held_for_processes(&self) {
        self.running.with_deferral(|deferral| {
            let deferral = &mut *deferral.borrow_mut();
            let held = deferral.take_held(|it| matches!(it, Output::Task(_) | Output::Message(_)));
            self.append_all(held, deferral);
        });
    }

    fn append_all(&self, held: Vec<OwnedOutput>, deferral: &mut Deferral) {
        for held in held {
            let (session, output) = held.parts();
            if let Err(error) = self.append_output(session, output, Some(&mut deferral.current)) {
                if self.complaints.output_lost.admits() {
                    let text = "a deferred output found no room: its session is closed";
                    tracing::warn!(session, %error, "{text}");
                }
                match output {
                    Output::Task(task) => self.tasks.lost(task.number),
                    Output::Message(message) => {
                        self.park_failure(message.head.number, MessageErrorKind::LaneFull);
                    }
                    _ => {}
                }
                if !output.is_of_session() {
                    continue; // nobody answers for it
                }
                self.append_close(session, true, Some(&mut deferral.current));
            }
        }
    }
}
