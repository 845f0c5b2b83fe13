//! Answering packages that are refused, in the place of a worker, while their session stays.

use ostler_core::brain::{CloseReason, ConnectionSlot, LaneSlot};
use ostler_core::invariant;
use ostler_core::send_queue::Part;
use ostler_shm::lane::RawBytes;

use crate::options::Refusal;
use crate::reactor::ClientSide;

/// As whose output the answers stand in a queue: no lane has this place.
const NOBODY: LaneSlot = LaneSlot(u32::MAX);

impl ClientSide {
    /// Takes the next package of a session out of what it has sent and answers that it is refused:
    /// one in each turn, so that who asks without end has no more of it than the others.
    pub(in crate::reactor) fn answer_refused(&mut self, slot: ConnectionSlot) {
        if !self.brain.take_refusal(slot) {
            return;
        }
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let port = connection.port;
        let Refusal::AnswerAndStay(answer) = &self.settings.ports.get(port).refusal else {
            return invariant!(false, "the brain asks for what the port declares");
        };
        let answer = answer.clone();
        if self.brain.refuse_returned(slot) || self.refuse_next(slot) {
            self.receive_share.wait_for_turn(slot);
            self.write(slot, NOBODY, RawBytes::of(&answer).into(), Part::WHOLE);
            if self.draining {
                self.hold_whole_message(slot);
            }
        }
        self.brain.refusal_answered(slot);
    }

    /// Throws away the next message that a session has sent. False when none is there whole: what
    /// there is of it waits for the rest, and not for a worker.
    fn refuse_next(&mut self, slot: ConnectionSlot) -> bool {
        let Some(len) = self.next_message(slot, self.receive_share.session_bytes()) else {
            return false;
        };
        let Some(intake) = self.intake_mut(slot) else { return false };
        let before = intake.charged();
        intake.consume(len);
        let freed = before.saturating_sub(intake.charged());
        self.intake_shrank(slot, freed);
        self.package_was_given(slot);
        self.publish_input(slot);
        self.meter(slot, 1, 0);
        self.count_input_dropped(CloseReason::Overloaded, len);
        self.brain.refuse_package(slot);
        true
    }
}
