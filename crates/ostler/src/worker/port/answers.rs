//! Answers: taken whenever the worker looks, whatever it does besides.

use std::io;
use std::time::Duration;

use ostler_shm::answers::{AnswerTaker, TakeAnswer};
use ostler_shm::outbox::Committer;
use ostler_shm::record::{FLAG_MORE, Header, RecordKind};

use super::{LaneEnd, Port, ring_if_asleep, words};

/// What [`Port::take_answer`] found.
pub(crate) enum FoundAnswer {
    /// An answer: the header of its last part, and its bytes.
    Answer(Header, Vec<u8>),
    /// Nothing on any lane.
    Nothing,
    /// The master wrote something impossible: this process must end.
    Broken,
}

impl Port {
    /// Whether there is an answer.
    pub(crate) fn has_answers(&self) -> bool {
        self.lanes.iter().any(|end| end.answers.has_news(end.lane.down()))
    }

    /// Takes the next answer. From then on it is this process's, also when that dies at once.
    pub(crate) fn take_answer(&mut self) -> FoundAnswer {
        for (index, end) in self.lanes.iter_mut().enumerate() {
            match take_from(end) {
                FoundAnswer::Nothing => {
                    if std::mem::take(&mut end.owes_answer_bell) {
                        Committer::fence();
                        if AnswerTaker::is_awaited(end.lane.down()) {
                            ring_if_asleep(end, &self.board, index);
                        }
                    }
                }
                found => return found,
            }
        }
        FoundAnswer::Nothing
    }

    /// Sleeps until an answer comes, at most so long. Whatever else happens may end it, too.
    pub(crate) fn wait_for_answer(&mut self, timeout: Duration) -> io::Result<()> {
        let Some(process) = words(&self.memory) else { return Ok(()) };
        self.sleeper.announce(&process.sleep.worker_sleep);
        let waited = match self.has_answers() {
            true => Ok(0),
            false => self.epoll.wait(&mut self.events, Some(timeout)),
        };
        if let Some(process) = words(&self.memory) {
            self.sleeper.awake(&process.sleep.worker_sleep);
        }
        waited.map(|_| ())
    }
}

fn take_from(end: &mut LaneEnd) -> FoundAnswer {
    loop {
        let (header, position) = match end.answers.take(end.lane.down(), &end.lane.answers) {
            TakeAnswer::Empty => return FoundAnswer::Nothing,
            TakeAnswer::Broken => return FoundAnswer::Broken,
            TakeAnswer::Record { header, position } => (header, position),
        };
        let bytes = end.lane.answer(position, &header);
        end.answers.done(end.lane.up());
        end.owes_answer_bell = true;
        if header.flags & FLAG_MORE == 0 && header.part_offset == 0 {
            return FoundAnswer::Answer(header, bytes);
        }
        let is_message = header.kind == RecordKind::Message as u8;
        let parts = if is_message { &mut end.message_parts } else { &mut end.answer_parts };
        if header.part_offset == 0 {
            parts.clear(); // the rest of what came before went to another process
        }
        parts.extend_from_slice(&bytes);
        if header.flags & FLAG_MORE == 0 {
            return FoundAnswer::Answer(header, std::mem::take(parts));
        }
    }
}
