//! Results and ends on their way to those who have asked: into the rings for answers, and until
//! there is room in memory that is charged.

use std::collections::VecDeque;

use ostler_core::ids::{LaneSlot, Slot};
use ostler_core::task_queue::{Asked, TaskEnd};
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::record::{Header, RecordKind};

use super::{Tasks, charge_of};
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
    Result { worker: Slot, bytes: Vec<u8>, written: usize },
    /// It is over.
    End(TaskEnd),
}

impl Answer {
    pub(super) const fn result(asked: Asked, worker: Slot, bytes: Vec<u8>) -> Self {
        Self { asked, what: What::Result { worker, bytes, written: 0 } }
    }

    pub(super) const fn end(asked: Asked, end: TaskEnd) -> Self {
        Self { asked, what: What::End(end) }
    }

    /// Memory that it was charged.
    fn charge(&self) -> u64 {
        match &self.what {
            What::Result { bytes, .. } => charge_of(bytes),
            What::End(_) => 0,
        }
    }

    /// Writes what there is room for; true when that was all of it.
    fn write(
        &mut self,
        destination: &mut Destination,
        payload_max: usize,
    ) -> Result<bool, ProtocolViolation> {
        let subject = self.asked.number;
        match &mut self.what {
            What::End(end) => {
                let kind = RecordKind::TaskEnd as u8;
                let header = Header { kind, subject, total: end.code(), ..Header::default() };
                destination.append_answer(header, &[])
            }
            What::Result { worker, bytes, written } => {
                let kind = RecordKind::Answer as u8;
                let header = Header { kind, port: worker.0, subject, ..Header::default() };
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
        if !self.waiting.is_empty() {
            self.continue_answers(destinations, memory, &mut found);
        }
        while let Some(mut answer) = self.answers.pop_front() {
            let Asked { lane, sender, .. } = answer.asked;
            let destination = destinations.get_mut(lane);
            let Some(destination) = destination.filter(|it| it.key() == sender) else {
                self.unheard(&answer, memory);
                continue;
            };
            if let Some(waiting) = self.waiting.get_mut(&lane) {
                waiting.push_back(answer);
                continue;
            }
            match answer.write(destination, self.settings.answer_max) {
                Ok(true) => memory.release(answer.charge()),
                Ok(false) => {
                    destination.set_answers_wait(AnswersOf::Tasks, true);
                    self.waiting.insert(lane, VecDeque::from([answer]));
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
        self.waiting.retain(|lane, answers| {
            let Some(destination) = destinations.get_mut(*lane) else {
                ostler_core::invariant!(false, "who is gone waits for nothing");
                return false;
            };
            while let Some(answer) = answers.front_mut() {
                match answer.write(destination, answer_max) {
                    Ok(true) => {
                        memory.release(answer.charge());
                        answers.pop_front();
                    }
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
