//! Answers that askers read where they lie: they stay there until their reader is through with
//! them, or dead.

use std::collections::HashMap;

use ostler_core::handed_out::HandedOut;
use ostler_core::ids::LaneSlot;
use ostler_shm::giver::ProtocolViolation;

use super::Tasks;
use super::body::Lying;
use crate::reactor::ClientSide;
use crate::reactor::budget::Memory;
use crate::reactor::destination::Destination;

/// Most bytes of answers that one process reads where they lie, unless it is one answer. More are
/// written into its ring: who never lets go of any takes no more of the area from others.
const BODY_ANSWERS_MAX_BYTES: usize = 16 * 1024 * 1024;

/// An answer, and what it is charged.
type Given = (Lying, u64);

/// Those of all processes.
#[derive(Debug, Default)]
pub(super) struct BodyAnswers {
    of: HashMap<LaneSlot, OfReader>,
}

#[derive(Debug, Default)]
struct OfReader {
    answers: HandedOut<Given>,
    bytes: usize,
}

impl BodyAnswers {
    /// Whether one more may be read where it lies.
    pub(super) fn admits(&self, lane: LaneSlot, answer: &Lying) -> bool {
        let reads = self.of.get(&lane).map_or(0, |reader| reader.bytes);
        reads == 0 || reads + answer.len() <= BODY_ANSWERS_MAX_BYTES
    }

    /// One stands in the ring of its reader.
    pub(super) fn given(&mut self, lane: LaneSlot, answer: Lying, charge: u64) {
        let reader = self.of.entry(lane).or_default();
        reader.bytes += answer.len();
        reader.answers.push((answer, charge));
    }

    /// The reader is dead.
    pub(super) fn reader_ended(&mut self, lane: LaneSlot, memory: &mut Memory) {
        let Some(reader) = self.of.remove(&lane) else { return };
        reader.answers.into_rest().for_each(|(_, charge)| memory.release(charge));
    }
}

impl Tasks {
    /// The answer with this number among those that the process of a lane reads where they lie.
    pub(in crate::reactor) fn body_answer(&self, lane: LaneSlot, number: u64) -> Option<&Lying> {
        let (answer, _) = self.body_answers.of.get(&lane)?.answers.get(number)?;
        Some(answer)
    }
}

impl ClientSide {
    /// What the process of a lane says that it has let go of, if that is news.
    pub(in crate::reactor) fn news_of_let_go(
        &self,
        lane: LaneSlot,
        destination: &Destination,
    ) -> Option<u64> {
        let reader = self.tasks.as_ref()?.body_answers.of.get(&lane)?;
        let count = destination.answers_let_go();
        (count != reader.answers.done()).then_some(count)
    }

    /// It has, and nothing that refers to them is unread.
    pub(in crate::reactor) fn answers_let_go(
        &mut self,
        lane: LaneSlot,
        count: u64,
    ) -> Result<(), ProtocolViolation> {
        let Self { tasks: Some(tasks), memory, .. } = self else { return Ok(()) };
        let Some(reader) = tasks.body_answers.of.get_mut(&lane) else { return Ok(()) };
        for (answer, charge) in reader.answers.let_go(count).map_err(ProtocolViolation)? {
            reader.bytes -= answer.len();
            memory.release(charge);
        }
        Ok(())
    }
}
