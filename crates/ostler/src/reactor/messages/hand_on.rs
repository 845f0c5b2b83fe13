//! Handing on what was read in a turn: into the rings of receivers, and what does not fit waits.

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::messages::{Letter, cost_of};
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::record::{Header, RecordKind};

use super::{Incoming, Messages};
use crate::reactor::Reactor;
use crate::reactor::budget::Memory;
use crate::reactor::complaints::Complaints;
use crate::reactor::destination::{AnswersOf, Destination, Destinations};

/// Who has written something impossible.
type Found = Vec<(LaneSlot, ProtocolViolation)>;

impl Reactor {
    /// Hands on messages, and tells senders what did not reach anybody.
    pub(in crate::reactor) fn hand_on_messages(&mut self) {
        let Some(messages) = &mut self.clients.messages else { return };
        if messages.is_idle() {
            return;
        }
        let mut found = Found::new();
        let (memory, complaints) = (&mut self.clients.memory, &self.clients.complaints);
        messages.admit_all(&self.destinations, memory, complaints, &mut found);
        messages.write_all(&mut self.destinations, memory, &mut found);
        messages.failures.write_all(&mut self.destinations, &mut messages.exchange, &mut found);
        messages.note_full(&mut self.destinations);
        self.answer_operators();
        for (lane, violation) in found {
            self.condemn(lane, violation.0);
        }
    }
}

impl Messages {
    /// Takes in what was read, or says why not.
    fn admit_all(
        &mut self,
        destinations: &Destinations,
        memory: &mut Memory,
        complaints: &Complaints,
        found: &mut Found,
    ) {
        for Incoming { sender, to, form, bytes } in std::mem::take(&mut self.incoming) {
            if let Some(lane) = self.exchange.receiver_of(to) {
                self.look(lane, destinations, found);
            }
            let charge = |bytes| memory.charge(bytes);
            if let Err(end) = self.exchange.send(sender, to, form, bytes, charge) {
                self.fail(sender, end);
                // An operator is told in any case.
                if sender.key != ProcessKey::OPERATOR && complaints.message_refused.admits() {
                    let (from, to) = (sender.key, to.slot_name());
                    tracing::warn!(%from, to, why = ?end, "a message was not taken in");
                }
            }
        }
    }

    /// Sees what a process has taken.
    pub(super) fn look(&mut self, lane: LaneSlot, destinations: &Destinations, found: &mut Found) {
        let Some(destination) = destinations.get(lane) else { return };
        if let Err(why) = self.exchange.look(lane, destination.messages_taken()) {
            found.push((lane, ProtocolViolation(why)));
        }
    }

    fn write_all(
        &mut self,
        destinations: &mut Destinations,
        memory: &mut Memory,
        found: &mut Found,
    ) {
        let answer_max = self.settings.answer_max;
        let operator = &mut self.operator;
        self.exchange.hand_on(|lane, letter| {
            let Some(destination) = destinations.get_mut(lane).filter(|it| !it.is_condemned())
            else {
                return false;
            };
            match write(letter, destination, answer_max) {
                Ok(false) => false,
                Ok(true) => {
                    memory.release(cost_of(&letter.bytes));
                    operator.given(letter.sender, lane);
                    true
                }
                Err(violation) => {
                    found.push((lane, violation));
                    false
                }
            }
        });
    }

    /// Says which rings are waited for.
    fn note_full(&mut self, destinations: &mut Destinations) {
        let lanes = destinations.slots().filter(|lane| self.waits_for(*lane));
        let full = lanes.map(|lane| lane.0).collect();
        let before = std::mem::replace(&mut self.full, full);
        for lane in before.symmetric_difference(&self.full) {
            // Who is gone is waited for by nobody.
            if let Some(destination) = destinations.get_mut(LaneSlot(*lane)) {
                destination.set_answers_wait(AnswersOf::Messages, self.full.contains(lane));
            }
        }
    }
}

/// Writes as much of a message as there is room for; true when that was the rest.
fn write(
    letter: &mut Letter,
    destination: &mut Destination,
    payload_max: usize,
) -> Result<bool, ProtocolViolation> {
    let header = Header {
        kind: RecordKind::Message as u8,
        port: letter.form,
        subject: letter.sender.number,
        cause: letter.sender.key.pack(),
        ..Header::default()
    };
    let (bytes, written) = (&letter.bytes, &mut letter.written);
    destination.append_answer_in_parts(header, bytes, written, payload_max)
}
