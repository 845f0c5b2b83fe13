//! Results and ends on their way to those who have asked: into the rings for answers, and until
//! there is room in memory that is charged.

use ostler_core::ids::{LaneSlot, ProcessKey, Slot};
use ostler_core::task_queue::{Asked, TaskEnd};
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::record::{FLAG_IN_AREA, Header, RecordKind, place_in_area};

use super::Tasks;
use super::body::{Lying, TaskBody};
use super::body_answers::BodyAnswers;
use super::waiting::WaitingAnswers;
use crate::reactor::budget::Memory;
use crate::reactor::destination::{AnswersOf, Destination, Destinations};

/// Something for an asker.
#[derive(Debug)]
pub(super) struct Answer {
    asked: Asked,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A result of the worker of this slot; so much of it is written.
    Result { worker: Slot, body: TaskBody, written: usize },
    /// It is over.
    End(TaskEnd),
}

impl Answer {
    pub(super) const fn result(asked: Asked, worker: Slot, body: TaskBody) -> Self {
        Self { asked, what: What::Result { worker, body, written: 0 } }
    }

    pub(super) const fn end(asked: Asked, end: TaskEnd) -> Self {
        Self { asked, what: What::End(end) }
    }

    /// Who has asked.
    pub(super) const fn asker(&self) -> ProcessKey {
        self.asked.sender
    }

    /// Where it goes.
    pub(super) const fn lane(&self) -> LaneSlot {
        self.asked.lane
    }

    /// It goes to another process than that which has asked.
    pub(super) const fn send_to(&mut self, lane: LaneSlot) {
        self.asked.lane = lane;
    }

    /// Who was to hear it has heard a part at most.
    pub(super) const fn begin_again(&mut self) {
        if let What::Result { written, .. } = &mut self.what {
            *written = 0;
        }
    }

    /// It has no bytes, and is charged nothing.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self.what, What::End(_))
    }

    /// Memory that it was charged.
    pub(super) fn charge(&self) -> u64 {
        match &self.what {
            What::Result { body, .. } => body.charge(),
            What::End(_) => 0,
        }
    }

    /// Its bytes, if its asker is to read them where they lie.
    fn lying(&self) -> Option<&Lying> {
        match &self.what {
            What::Result { body, written: 0, .. } => body.lying(),
            _ => None,
        }
    }

    /// Writes what there is room for; true when that was all of it. `in_place`: its bytes are read
    /// where they lie.
    fn write(
        &mut self,
        destination: &mut Destination,
        payload_max: usize,
        in_place: bool,
    ) -> Result<bool, ProtocolViolation> {
        let (subject, cause) = (self.asked.number, self.asked.sender.pack());
        match &mut self.what {
            What::End(end) => {
                let kind = RecordKind::TaskEnd as u8;
                let header =
                    Header { kind, subject, cause, total: end.code(), ..Header::default() };
                destination.append_answer(header, &[])
            }
            What::Result { worker, body, written } => {
                let kind = RecordKind::Answer as u8;
                let header = Header { kind, port: worker.0, subject, cause, ..Header::default() };
                let bytes = match body {
                    TaskBody::Lying(lying, _) if in_place => {
                        let total = lying.len() as u32;
                        let header = Header { flags: FLAG_IN_AREA, total, ..header };
                        return destination.append_answer(header, &place_in_area(lying.place()));
                    }
                    TaskBody::Lying(lying, _) => lying.bytes(),
                    TaskBody::Heap(bytes) => bytes,
                };
                destination.append_answer_in_parts(header, bytes, written, payload_max)
            }
        }
    }
}

impl Tasks {
    /// Brings what was said in this turn, and what waited, to the askers. Returns who has written
    /// something impossible.
    pub(super) fn answer(
        &mut self,
        destinations: &mut Destinations,
        memory: &mut Memory,
    ) -> Vec<(LaneSlot, ProtocolViolation)> {
        let mut found = Vec::new();
        let payload_max = self.settings.answer_max;
        if !self.waiting.is_empty() {
            self.continue_answers(destinations, memory, &mut found);
        }
        while let Some(answer) = self.answers.pop_front() {
            let Some(mut answer) = self.addressed(answer, destinations, memory) else { continue };
            let lane = answer.lane();
            let Some(destination) = destinations.get_mut(lane) else {
                ostler_core::invariant!(false, "an answer goes to somebody who is there");
                continue;
            };
            if let Some(waiting) = self.waiting.get_mut(&lane) {
                if let Err(answer) = waiting.push(answer, self.settings.queue.tasks_max) {
                    self.unheard(&answer, memory);
                }
                continue;
            }
            match bring(&mut answer, destination, payload_max, &mut self.body_answers, memory) {
                Ok(true) => {}
                Ok(false) => {
                    destination.set_answers_wait(AnswersOf::Tasks, true);
                    self.waiting.insert(lane, WaitingAnswers::new(destination.key(), answer));
                }
                Err(violation) => {
                    self.unheard(&answer, memory);
                    found.push((lane, violation));
                }
            }
        }
        found
    }

    fn continue_answers(
        &mut self,
        destinations: &mut Destinations,
        memory: &mut Memory,
        found: &mut Vec<(LaneSlot, ProtocolViolation)>,
    ) {
        let answer_max = self.settings.answer_max;
        let body_answers = &mut self.body_answers;
        self.waiting.retain(|lane, answers| {
            let Some(destination) = destinations.get_mut(*lane) else {
                ostler_core::invariant!(false, "who is gone waits for nothing");
                return false;
            };
            while let Some(answer) = answers.front_mut() {
                match bring(answer, destination, answer_max, body_answers, memory) {
                    Ok(true) => answers.pop_front(),
                    Ok(false) => return true,
                    Err(violation) => {
                        found.push((*lane, violation));
                        return true; // until its worker is dead
                    }
                }
            }
            destination.set_answers_wait(AnswersOf::Tasks, false);
            false
        });
    }

    /// Nobody is there for it any more.
    pub(super) fn unheard(&mut self, answer: &Answer, memory: &mut Memory) {
        self.queue.count_unheard(1);
        memory.release(answer.charge());
    }
}

/// Writes what there is room for of an answer; true when that was all of it. Then it is charged no
/// more, unless its asker reads it where it lies: until that is through with it.
fn bring(
    answer: &mut Answer,
    destination: &mut Destination,
    payload_max: usize,
    body_answers: &mut BodyAnswers,
    memory: &mut Memory,
) -> Result<bool, ProtocolViolation> {
    let lane = answer.asked.lane;
    let in_place = answer.lying().is_some_and(|lying| body_answers.admits(lane, lying));
    if !answer.write(destination, payload_max, in_place)? {
        return Ok(false);
    }
    match answer.lying().filter(|_| in_place) {
        Some(lying) => body_answers.given(lane, lying.clone(), answer.charge()),
        None => memory.release(answer.charge()),
    }
    Ok(true)
}
