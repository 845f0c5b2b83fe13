//! What comes up: tasks that are asked, their results and their ends. Every record is hostile.

use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::task_queue::{Asked, ResultOf, TaskEnd, TaskRefusal};
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{FLAG_MORE, FLAG_REFERENCE, Header, RecordKind};
use ostler_shm::task_terms::{TERMS_BYTES_MAX, TermsBlock};

use super::Tasks;
use super::answers::Answer;
use super::body::{Gathered, Lying, TaskBody};
use super::kept::task_terms;
use crate::reactor::ClientSide;
use crate::reactor::budget::Memory;
use crate::reactor::destination::Destination;
use crate::reactor::destination::reference::Referred;
use crate::reactor::parts::Gathers as _;

const TOO_LONG: ProtocolViolation =
    ProtocolViolation("a task or a result longer than task_max_length");

/// A task with its terms; a result has none.
struct TermsAndBody {
    terms: Option<TermsBlock>,
    body: TaskBody,
}

impl TermsAndBody {
    fn of(whole: Gathered, kind: RecordKind) -> Self {
        match kind {
            RecordKind::AskTask => {
                let terms = whole.terms();
                Self { terms, body: whole.finish(terms.as_ref()) }
            }
            _ => Self { terms: None, body: whole.finish(None) },
        }
    }
}

impl ClientSide {
    /// A worker asks a task, or has a result; or a part of one.
    pub(in crate::reactor) fn task_record(
        &mut self,
        lane: LaneSlot,
        destination: &Destination,
        record: &Record,
        bytes: RawBytes<'_>,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        if self.tasks.is_none() {
            return Err(ProtocolViolation("a task for a reactor that has none"));
        }
        let referred = match record.header.flags & FLAG_REFERENCE {
            0 => None,
            _ => Some(self.referred(lane, destination, &record.header, started)?),
        };
        let Self { tasks: Some(tasks), memory, now, complaints, .. } = self else { return Ok(()) };
        let body = match referred {
            Some(referred) => Some(tasks.take_referred(record, bytes, &referred)?),
            None => tasks.assemble(lane, record, bytes)?,
        };
        let Some(TermsAndBody { terms, body }) = body else { return Ok(()) };
        let sender = destination.key();
        match record.kind {
            RecordKind::AskTask => {
                let asked = Asked { sender, lane, number: record.header.subject };
                if let Some(refusal) = tasks.ask(asked, terms, body, memory, *now)?
                    && complaints.task_refused.admits()
                {
                    tracing::warn!(worker = %sender, ?refusal, "a task was not taken in");
                }
                Ok(())
            }
            _ => tasks.result(lane, sender, record.header.cause, body, memory, started),
        }
    }

    /// The bytes of a task that a worker has in hand and reads where they lie.
    pub(in crate::reactor) fn task_in_hand(
        &self,
        lane: LaneSlot,
        seq: u64,
        started: u64,
    ) -> Result<&Lying, ProtocolViolation> {
        let none = ProtocolViolation("a reference to a task that does not lie in the area");
        let queue = &self.tasks.as_ref().ok_or(none)?.queue;
        let body = queue.body_in_hand(lane, seq, started).map_err(ProtocolViolation)?;
        body.lying().ok_or(none)
    }

    /// A task worker acknowledges a task, or what that causes is seen from now on.
    pub(in crate::reactor) fn task_progress(
        &mut self,
        lane: LaneSlot,
        kind: RecordKind,
        seq: u64,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let Some(tasks) = &mut self.tasks else {
            return Err(ProtocolViolation("the end of a task that it was not given"));
        };
        if kind == RecordKind::Expose {
            return tasks.queue.expose(lane, seq, started).map_err(ProtocolViolation);
        }
        let (body, ResultOf { asked, is_wanted }) =
            tasks.queue.finish(lane, seq, started).map_err(ProtocolViolation)?;
        self.memory.release(body.charge());
        if is_wanted {
            tasks.answers.push_back(Answer::end(asked, TaskEnd::Finished));
        }
        Ok(())
    }
}

impl Tasks {
    /// Puts the parts of a message together; `None` while it is not whole.
    fn assemble(
        &mut self,
        lane: LaneSlot,
        record: &Record,
        bytes: RawBytes<'_>,
    ) -> Result<Option<TermsAndBody>, ProtocolViolation> {
        let Header { part_offset, total, flags, subject, cause, .. } = record.header;
        let (offset, more) = (part_offset as usize, flags & FLAG_MORE != 0);
        if total as usize > self.settings.max_length + TERMS_BYTES_MAX {
            return Err(TOO_LONG);
        }
        let number = if record.kind == RecordKind::AskTask { subject } else { cause };
        let (end, total) = (offset + bytes.len(), total as usize);
        let is_last = end == total;
        if end > total || more == is_last {
            return Err(ProtocolViolation("a part of a task in the wrong place"));
        }
        let stray = ProtocolViolation("a part of a task that continues nothing");
        let key = (record.kind, number);
        let area = self.area.as_ref();
        let begin = || Gathered::begin(area, total);
        let whole = self.parts.add_to(lane, key, &record.header, bytes, (begin, stray))?;
        Ok(whole.map(|whole| TermsAndBody::of(whole, record.kind)))
    }

    /// A body of which some worker was given the bytes before.
    fn take_referred(
        &self,
        record: &Record,
        payload: RawBytes<'_>,
        referred: &Referred<'_>,
    ) -> Result<TermsAndBody, ProtocolViolation> {
        let own = payload.to_vec();
        // A result has no terms.
        let terms = TermsBlock::read(&own).filter(|_| record.kind == RecordKind::AskTask);
        let in_front = terms.map_or(0, |terms| terms.to_bytes().len());
        if own.len() != in_front {
            return Err(ProtocolViolation("a reference that has bytes of its own"));
        }
        let bytes = match referred {
            Referred::Lying(lying) if lying.len() > self.settings.max_length => {
                return Err(TOO_LONG);
            }
            Referred::Lying(lying) if lying.is_a_small_part() => RawBytes::of(lying.bytes()),
            Referred::Lying(lying) => {
                let in_front = terms.map(|terms| Box::new(terms.to_bytes()));
                return Ok(TermsAndBody { terms, body: TaskBody::Lying(lying.clone(), in_front) });
            }
            Referred::Raw(bytes) if bytes.len() > self.settings.max_length => {
                return Err(TOO_LONG);
            }
            Referred::Raw(bytes) => *bytes,
        };
        let mut whole = Gathered::begin(self.area.as_ref(), in_front + bytes.len());
        whole.append(payload);
        whole.append(bytes);
        Ok(TermsAndBody::of(whole, record.kind))
    }

    /// Takes a task in, or says why not.
    fn ask(
        &mut self,
        asked: Asked,
        terms: Option<TermsBlock>,
        body: TaskBody,
        memory: &mut Memory,
        now: u64,
    ) -> Result<Option<TaskRefusal>, ProtocolViolation> {
        let block = terms.ok_or(ProtocolViolation("a task without terms"))?;
        let terms = task_terms(&block);
        let charge = body.charge();
        let admitted = self
            .queue
            .admits(&terms)
            .and_then(|()| self.room_to_keep(body.task_bytes().len()))
            .and_then(|()| if memory.charge(charge) { Ok(()) } else { Err(TaskRefusal::NoMemory) });
        if let Err(refusal) = admitted {
            match refusal {
                TaskRefusal::KeptTooSlowly => self.queue.refuse_to_keep(),
                _ => self.queue.refuse(),
            }
            if terms.wants_result || block.wants_acceptance {
                self.answers.push_back(Answer::end(asked, TaskEnd::Refused(refusal)));
            }
            return Ok(Some(refusal));
        }
        if self.keeping.is_some() {
            self.keep(asked, &block, body, now);
            return Ok(None);
        }
        let taken = self.queue.ask(asked, terms, body, now);
        ostler_core::invariant!(taken.is_ok(), "a task that is admitted is taken in");
        if block.wants_acceptance {
            self.answers.push_back(Answer::end(asked, TaskEnd::TakenIn));
        }
        Ok(None)
    }

    /// A worker has a result of a task.
    fn result(
        &mut self,
        lane: LaneSlot,
        worker: ProcessKey,
        seq: u64,
        body: TaskBody,
        memory: &mut Memory,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let result = self.queue.result(lane, seq, started).map_err(ProtocolViolation)?;
        if !result.is_wanted {
            self.queue.count_unheard(1);
        } else if memory.charge(body.charge()) {
            self.answers.push_back(Answer::result(result.asked, worker.slot, body));
        } else {
            self.queue.count_unheard(1);
            self.answers.push_back(Answer::end(result.asked, TaskEnd::ResultLost));
            // For its asker that is the end, which comes once.
            self.queue.tell_no_more(lane, seq, started).map_err(ProtocolViolation)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ostler_core::ids::Slot;
    use ostler_core::task_queue::TaskTerms;

    use super::*;
    use crate::options::Options;
    use crate::reactor::tests::booting;

    #[test]
    fn a_result_that_is_lost_is_the_only_end_that_its_asker_hears_of() {
        let options = Options { task_workers: 1, ..Options::default() };
        let clients = &mut booting(&options).clients;
        let (Some(tasks), memory) = (&mut clients.tasks, &mut clients.memory) else { panic!() };
        let (lane, worker) = (LaneSlot(3), ProcessKey::event(0, 1));
        let asked = Asked { sender: worker, lane: LaneSlot(0), number: 1 };
        let terms = TaskTerms { wants_result: true, ..TaskTerms::default() };
        tasks.queue.worker_serves(lane, Slot(0));
        tasks.queue.ask(asked, terms, TaskBody::Heap(Vec::new()), 0).unwrap();
        let gift = tasks.queue.next_gift(0).unwrap();
        tasks.queue.written(&gift, 0);
        assert!(memory.charge(TaskBody::Heap(Vec::new()).charge()), "that of the task");
        let long = || TaskBody::Heap(vec![0; 1 << 20]);
        while memory.charge(long().charge()) {}
        for _ in 0..2 {
            tasks.result(lane, worker, gift.seq, long(), memory, u64::MAX - 1).unwrap();
        }
        clients.task_progress(lane, RecordKind::Fin, gift.seq, u64::MAX - 1).unwrap();
        let tasks = clients.tasks.as_ref().unwrap();
        assert_eq!((tasks.answers.len(), tasks.counts().unheard), (1, 2));
    }
}
