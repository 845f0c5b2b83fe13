//! What comes up: tasks that are asked, their results and their ends. Every record is hostile.

use ostler_core::ids::{LaneSlot, ProcessKey, Slot};
use ostler_core::task_queue::{
    Asked, Priority, ResultOf, TaskEnd, TaskRefusal, TaskTarget, TaskTerms,
};
use ostler_shm::consumer::Record;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{FLAG_MORE, Header, RecordKind};
use ostler_shm::task_terms::{TERMS_BYTES, TermsBlock};

use super::answers::Answer;
use super::{Tasks, charge_of};
use crate::reactor::ClientSide;
use crate::reactor::budget::Memory;

impl ClientSide {
    /// A worker asks a task, or has a result; or a part of one.
    pub(in crate::reactor) fn task_record(
        &mut self,
        lane: LaneSlot,
        sender: ProcessKey,
        record: &Record,
        bytes: RawBytes<'_>,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let Self { tasks, memory, now, complaints, .. } = self;
        let Some(tasks) = tasks else {
            return Err(ProtocolViolation("a task for a reactor that has none"));
        };
        let Some(body) = tasks.assemble(lane, record, bytes)? else { return Ok(()) };
        match record.kind {
            RecordKind::AskTask => {
                let asked = Asked { sender, lane, number: record.header.subject };
                if let Some(refusal) = tasks.ask(asked, body, memory, *now)?
                    && complaints.task_refused.admits()
                {
                    tracing::warn!(worker = %sender, ?refusal, "a task was not taken in");
                }
                Ok(())
            }
            _ => tasks.result(lane, sender, record.header.cause, body, memory, started),
        }
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
        self.memory.release(charge_of(&body));
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
    ) -> Result<Option<Vec<u8>>, ProtocolViolation> {
        let Header { part_offset, total, flags, subject, cause, .. } = record.header;
        let (offset, more) = (part_offset as usize, flags & FLAG_MORE != 0);
        if total as usize > self.settings.max_length + TERMS_BYTES {
            return Err(ProtocolViolation("a task or a result longer than task_max_length"));
        }
        let number = if record.kind == RecordKind::AskTask { subject } else { cause };
        let (end, total) = (offset + bytes.len(), total as usize);
        let is_last = end == total;
        if end > total || more == is_last {
            return Err(ProtocolViolation("a part of a task in the wrong place"));
        }
        let stray = ProtocolViolation("a part of a task that continues nothing");
        self.parts.add(lane, (record.kind, number), &record.header, bytes, (total, stray))
    }

    /// Takes a task in, or says why not.
    fn ask(
        &mut self,
        asked: Asked,
        body: Vec<u8>,
        memory: &mut Memory,
        now: u64,
    ) -> Result<Option<TaskRefusal>, ProtocolViolation> {
        let terms = TermsBlock::read(&body).ok_or(ProtocolViolation("a task without terms"))?;
        let terms = TaskTerms {
            target: terms.slot.map_or(TaskTarget::Any, |slot| TaskTarget::Slot(Slot(slot))),
            priority: Priority::of_code(terms.priority).unwrap_or_default(),
            delay_ms: terms.delay_ms,
            wants_result: terms.wants_result,
        };
        let charge = charge_of(&body);
        let admitted = self
            .queue
            .admits(&terms)
            .and_then(|()| if memory.charge(charge) { Ok(()) } else { Err(TaskRefusal::NoMemory) });
        if let Err(refusal) = admitted {
            self.queue.refuse();
            if terms.wants_result {
                self.answers.push_back(Answer::end(asked, TaskEnd::Refused(refusal)));
            }
            return Ok(Some(refusal));
        }
        let taken = self.queue.ask(asked, terms, body, now);
        ostler_core::invariant!(taken.is_ok(), "a task that is admitted is taken in");
        Ok(None)
    }

    /// A worker has a result of a task.
    fn result(
        &mut self,
        lane: LaneSlot,
        worker: ProcessKey,
        seq: u64,
        body: Vec<u8>,
        memory: &mut Memory,
        started: u64,
    ) -> Result<(), ProtocolViolation> {
        let result = self.queue.result(lane, seq, started).map_err(ProtocolViolation)?;
        if !result.is_wanted {
            self.queue.count_unheard(1);
        } else if memory.charge(charge_of(&body)) {
            self.answers.push_back(Answer::result(result.asked, worker.slot, body));
        } else {
            self.queue.count_unheard(1);
            self.answers.push_back(Answer::end(result.asked, TaskEnd::ResultLost));
        }
        Ok(())
    }
}
