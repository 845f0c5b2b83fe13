//! Tasks in a process: what it has asked and not heard the end of, and the way of its words.
//!
//! Answers are taken whenever the loop looks; callbacks run between deliveries. While a callback
//! waits for a task, answers to others are parked: no callback runs inside another.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::invariant;
use ostler_core::task_queue::{ENDS_BEYOND_TASKS_MAX, TaskEnd};
use ostler_core::trace::TraceContext;
use ostler_shm::record::{FLAG_REFERENCE, Header, RecordKind};
use ostler_shm::task_terms::{TermsBlock, TermsBytes, TraceBlock};

use super::context::WorkerContext;
use super::handlers::HandlerId;
use super::output::Output;
use super::owned_output::NO_SESSION;
use super::parts::append_in_parts;
use super::port::FoundAnswer;
use super::running::RunningDelivery;
use super::send::Sender;
use crate::api::outcome::Outcome;
use crate::api::send_error::SendError;
use crate::api::task_error::{TaskError, TaskErrorKind};
use crate::api::task_result::TaskResult;
use crate::api::worker::Worker;
use crate::options::{Options, TaskCrash};

/// What a process has to know of the tasks of its server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskLimits {
    /// How many task workers there are.
    workers: u16,
    max_length: usize,
    /// Most tasks of whose end this process wants to hear and has not: more ends the master does
    /// not keep for it.
    open_max: usize,
    /// Results are held back until their task is finished.
    pub(super) holds_results: bool,
    /// Of a task that ends with its worker nobody is called back.
    drops: bool,
}

impl TaskLimits {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            workers: options.task_workers,
            max_length: options.task_max_length,
            open_max: options.task_queue_max.saturating_add(ENDS_BEYOND_TASKS_MAX),
            holds_results: options.task_crash_policy == TaskCrash::Redeliver,
            drops: options.task_crash_policy == TaskCrash::Drop,
        }
    }

    /// Whether this ends its task, and nobody is called back for it.
    pub(super) const fn ends_silently(&self, result: &TaskResult) -> bool {
        result.is_good_end() || (self.drops && result.is_loss())
    }
}

/// A task that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskToAsk<'a> {
    /// What this process calls it.
    pub(super) number: u64,
    /// Its terms, as the record has them.
    pub(super) terms: TermsBytes,
    pub(super) bytes: &'a [u8],
}

/// What is called with each result of a task, and with its failure.
pub(crate) type OnResult = Box<dyn FnMut(&mut dyn Any, &Worker, &TaskResult) -> Outcome>;

/// Who wants to hear of a task.
pub(crate) enum Asker {
    /// `on_finish` of this handler.
    Handler(HandlerId),
    /// This function, with this handler; `None` while it runs.
    Callback(HandlerId, Option<OnResult>),
    /// A callback that waits for it.
    Waits,
    /// Nobody any more: who has waited has its first result, or its time was over. The end is still
    /// to come.
    Over,
}

/// Tasks that this process has asked and that are not over.
#[derive(Default)]
pub(crate) struct Tasks {
    last: Cell<u64>,
    /// Who has asked each, and in which trace.
    askers: RefCell<HashMap<u64, (Asker, Option<TraceContext>)>>,
    /// Results and ends that came while a callback waited for something else.
    parked: RefCell<VecDeque<TaskResult>>,
    /// How many of them nobody wants to hear of any more.
    over: Cell<usize>,
}

impl Tasks {
    fn next_number(&self) -> u64 {
        self.last.set(self.last.get() + 1);
        self.last.get()
    }

    /// Whether somebody wants to hear of a task that is not over.
    pub(super) fn are_awaited(&self) -> bool {
        self.awaited() > 0
    }

    /// How many of them there are.
    pub(super) fn awaited(&self) -> usize {
        self.askers.borrow().len() - self.over.get()
    }

    /// Tasks of whose end this process has not heard.
    fn open(&self) -> usize {
        self.askers.borrow().len()
    }

    /// Who has waited for a task does so no more. `has_ended`: nothing of it comes any more.
    fn waited(&self, number: u64, has_ended: bool) {
        let mut askers = self.askers.borrow_mut();
        if has_ended {
            askers.remove(&number);
        } else if let Some((asker, _)) = askers.get_mut(&number) {
            *asker = Asker::Over;
            self.over.set(self.over.get() + 1);
        }
    }

    /// Whether a result is of a task for which nobody waits any more. The end is the last of it.
    pub(super) fn is_over(&self, result: &TaskResult) -> bool {
        let mut askers = self.askers.borrow_mut();
        let is_own = !result.is_inherited();
        let asker = askers.get(&result.task()).filter(|_| is_own);
        let is_over = matches!(asker, Some((Asker::Over, _)));
        if is_over && result.is_last() {
            askers.remove(&result.task());
            self.over.set(self.over.get() - 1);
        }
        is_over
    }

    /// Something came that nobody waits for now.
    pub(super) fn park(&self, result: TaskResult) {
        self.parked.borrow_mut().push_back(result);
    }

    /// A task was never asked, because there was no room for it. Its asker is told, if it has one.
    pub(super) fn lost(&self, number: u64) {
        if !self.askers.borrow().contains_key(&number) {
            return;
        }
        self.parked.borrow_mut().push_back(TaskResult::failed(number, TaskErrorKind::LaneFull));
    }

    /// Whether there is something that was parked.
    pub(super) fn has_parked(&self) -> bool {
        !self.parked.borrow().is_empty()
    }

    /// What was parked, the oldest first.
    pub(super) fn take_parked(&self) -> Option<TaskResult> {
        self.parked.borrow_mut().pop_front()
    }

    /// Who is called with this result, and in which trace it was asked. One that ends the task is
    /// the last.
    pub(super) fn asker_of(&self, result: &TaskResult) -> Option<(Asker, Option<TraceContext>)> {
        if result.is_inherited() {
            return Some((Asker::Handler(HandlerId::Server), None));
        }
        if self.is_over(result) {
            return None;
        }
        let mut askers = self.askers.borrow_mut();
        let known = askers.contains_key(&result.task());
        invariant!(known, "what is heard of a task comes before its end, which comes once");
        if result.is_last() {
            return askers.remove(&result.task());
        }
        let (asker, trace) = askers.get_mut(&result.task())?;
        let asker = match asker {
            Asker::Handler(handler) => Asker::Handler(*handler),
            Asker::Callback(handler, callback) => Asker::Callback(*handler, callback.take()),
            Asker::Waits | Asker::Over => return None,
        };
        Some((asker, *trace))
    }

    /// A callback has returned; it is called again with the next result.
    pub(super) fn give_back(&self, number: u64, returned: OnResult) {
        let mut askers = self.askers.borrow_mut();
        if let Some((Asker::Callback(_, callback), _)) = askers.get_mut(&number) {
            *callback = Some(returned);
        }
    }
}

impl WorkerContext {
    /// Whether a task can be asked.
    fn check_task(&self, terms: &TermsBlock, len: usize) -> Result<(), TaskError> {
        let TaskLimits { workers, max_length, open_max, .. } = self.settings.tasks;
        if workers == 0 {
            return Err(TaskErrorKind::NoWorkers.into());
        }
        if let Some(slot) = terms.slot.filter(|slot| *slot >= workers) {
            return Err(TaskErrorKind::NoSuchWorker { slot, workers }.into());
        }
        if len > max_length {
            return Err(TaskErrorKind::TooLong { len, most: max_length }.into());
        }
        if terms.wants_result && self.tasks.open() >= open_max {
            return Err(TaskErrorKind::QueueFull.into());
        }
        Ok(())
    }

    /// Asks a task; an output of the running callback, if there is one. Who wants to hear of it has
    /// to run the loop that takes answers.
    pub(crate) fn ask_task(
        &self,
        terms: TermsBlock,
        bytes: &[u8],
        asker: Option<Asker>,
    ) -> Result<u64, TaskError> {
        let terms = TermsBlock { wants_result: asker.is_some(), ..terms };
        self.check_task(&terms, bytes.len())?;
        if asker.is_some() && !self.key.kind.is_worker() {
            return Err(TaskErrorKind::NoLoop.into());
        }
        let number = self.tasks.next_number();
        let asked_in = self.traces.context();
        let trace = asked_in.map(block_of);
        let terms = TermsBlock { trace, ..terms }.to_bytes();
        let output = Output::Task(TaskToAsk { number, terms, bytes });
        // First: under no circumstances comes an answer before it is known whose that is.
        if let Some(asker) = asker {
            self.tasks.askers.borrow_mut().insert(number, (asker, asked_in));
        }
        self.output_checked(NO_SESSION, output).map_err(|error| {
            self.tasks.askers.borrow_mut().remove(&number);
            TaskError::from(error)
        })?;
        Ok(number)
    }

    /// Asks tasks and waits for the first result of each, all in all at most so long.
    pub(crate) fn wait_for_tasks(
        &self,
        terms: TermsBlock,
        payloads: &[&[u8]],
        timeout: Duration,
    ) -> Vec<Result<Vec<u8>, TaskError>> {
        let until = Instant::now().checked_add(timeout);
        let trace = self.traces.context().map(block_of);
        let terms = TermsBlock { wants_result: true, trace, ..terms };
        let asked = payloads.iter().map(|bytes| self.ask_now(terms, bytes));
        let mut waited: Vec<Waited> = asked.collect();
        self.publish_now();
        while waited.iter().any(Waited::is_open) {
            let left = time_left(until);
            let problem = match self.take_results(&mut waited) {
                Err(error) => Some(error),
                // Also if there is more: others may be told of results for ever.
                Ok(_) if left.is_zero() && waited.iter().any(Waited::is_open) => {
                    Some(TaskErrorKind::TimedOut.into())
                }
                Ok(true) => continue,
                Ok(false) => {
                    let slept = self.sleep_for_answer(left);
                    slept.err().map(|error| TaskErrorKind::CannotWait(error.kind()).into())
                }
            };
            if let Some(problem) = problem {
                waited.iter_mut().for_each(|waited| waited.give_up(problem));
            }
        }
        waited.into_iter().map(|waited| self.forget(waited)).collect()
    }

    /// Asks a task at once, whatever its delivery holds back.
    fn ask_now(&self, terms: TermsBlock, bytes: &[u8]) -> Waited {
        if self.key.kind == ProcessKind::Task {
            return Waited::over(Err(TaskErrorKind::InTaskWorker.into()));
        }
        if let Err(error) = self.check_task(&terms, bytes.len()) {
            return Waited::over(Err(error));
        }
        let number = self.tasks.next_number();
        self.tasks.askers.borrow_mut().insert(number, (Asker::Waits, None));
        let task = TaskToAsk { number, terms: terms.to_bytes(), bytes };
        match self.append_now(|sender, running| sender.append_task(task, running)) {
            Ok(()) => Waited { number: Some(number), result: None, has_ended: false },
            Err(error) => {
                let result = Some(Err(TaskError::from(error)));
                Waited { number: Some(number), result, has_ended: true }
            }
        }
    }

    /// Takes the answers that are there; whether there was one.
    fn take_results(&self, waited: &mut [Waited]) -> Result<bool, TaskError> {
        let Some(result) = self.next_answer().map_err(|Broken| TaskErrorKind::ServerEnds)? else {
            return Ok(false);
        };
        let is_mine =
            |waited: &&mut Waited| !result.is_inherited() && waited.number == Some(result.task());
        match waited.iter_mut().find(is_mine) {
            Some(waited) => waited.hear(result),
            None if self.tasks.is_over(&result) => {}
            None => self.tasks.parked.borrow_mut().push_back(result),
        }
        Ok(true)
    }

    fn forget(&self, waited: Waited) -> Result<Vec<u8>, TaskError> {
        if let Some(number) = waited.number {
            self.tasks.waited(number, waited.has_ended);
        }
        waited.result.unwrap_or(Err(TaskErrorKind::TimedOut.into()))
    }

    /// The next answer that the lanes have.
    pub(super) fn next_answer(&self) -> Result<Option<TaskResult>, Broken> {
        loop {
            let (header, bytes) = match self.sender.port().take_answer() {
                FoundAnswer::Nothing => return Ok(None),
                FoundAnswer::Broken => return Err(Broken),
                FoundAnswer::Answer(header, bytes) => (header, bytes),
            };
            let number = header.subject;
            let asker = ProcessKey::unpack(header.cause);
            let is_inherited = asker.is_some_and(|asker| asker != self.key);
            match RecordKind::from_byte(header.kind) {
                Some(RecordKind::Answer) => {
                    let result = TaskResult::result(number, header.port, bytes);
                    return Ok(Some(result.inherited(is_inherited)));
                }
                Some(RecordKind::TaskEnd) => {
                    let end = TaskEnd::of_code(header.total).unwrap_or(TaskEnd::ResultLost);
                    return Ok(Some(TaskResult::end(number, end).inherited(is_inherited)));
                }
                Some(kind @ (RecordKind::Message | RecordKind::MessageEnd)) => {
                    self.park(kind, &header, bytes.into_vec());
                }
                _ => tracing::warn!(kind = header.kind, "an answer of an unknown kind is skipped"),
            }
        }
    }

    /// Sends a result of the running task.
    pub(crate) fn finish_task(&self, seq: u64, bytes: &[u8]) -> Result<(), TaskError> {
        let most = self.settings.tasks.max_length;
        if bytes.len() > most {
            return Err(TaskErrorKind::TooLong { len: bytes.len(), most }.into());
        }
        let mut running = self.running.delivery().filter(|running| running.seq == seq);
        let Some(current) = running.as_mut() else {
            return Err(TaskErrorKind::Over.into());
        };
        let sent = self.sender.append_result(seq, bytes, current);
        let current = *current;
        self.running.update(running);
        if current.exposed {
            self.release_held(&current);
            self.sender.publish();
        }
        Ok(sent?)
    }
}

/// How long may still be waited; `None`: as long as it takes.
pub(super) fn time_left(until: Option<Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
}

/// A context, as the terms of a task have it.
fn block_of(context: TraceContext) -> TraceBlock {
    TraceBlock { ids: context.ids(), flags: context.flags() }
}

/// The lanes hold nonsense.
pub(super) struct Broken;

/// A task that a callback waits for.
struct Waited {
    /// `None`: it was never asked.
    number: Option<u64>,
    result: Option<Result<Vec<u8>, TaskError>>,
    /// Nothing of it comes any more.
    has_ended: bool,
}

impl Waited {
    const fn over(result: Result<Vec<u8>, TaskError>) -> Self {
        Self { number: None, result: Some(result), has_ended: true }
    }

    const fn is_open(&self) -> bool {
        self.result.is_none()
    }

    /// The first result counts; an end without one is told as that.
    fn hear(&mut self, result: TaskResult) {
        self.has_ended |= result.is_last();
        if self.result.is_none() {
            self.result = Some(result.into_bytes());
        }
    }

    fn give_up(&mut self, error: TaskError) {
        self.result.get_or_insert(Err(error));
    }
}

impl Sender {
    /// Appends a task for the reactor that has them, in parts if it is longer than a record. One of
    /// which not all parts find room is not asked: its reactor forgets it.
    pub(super) fn append_task(
        &self,
        task: TaskToAsk<'_>,
        for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let header =
            Header { kind: RecordKind::AskTask as u8, subject: task.number, ..Header::default() };
        self.append_for_tasks(header, &task.terms, task.bytes, for_delivery)
    }

    /// Appends a result of a task.
    fn append_result(
        &self,
        seq: u64,
        bytes: &[u8],
        delivery: &mut RunningDelivery,
    ) -> Result<(), SendError> {
        let header = Header { kind: RecordKind::Result as u8, cause: seq, ..Header::default() };
        self.append_for_tasks(header, &[], bytes, Some(delivery))
    }

    /// The running delivery and where in it these bytes lie, if the reactor of tasks has given
    /// them: it has them still, and they need not be copied.
    fn given(&self, bytes: &[u8], running: Option<&RunningDelivery>) -> Option<(u64, u32)> {
        let offset = self.offset_in_delivery(self.switch(), bytes, running)?;
        Some((running?.seq, offset))
    }

    /// In front of the bytes stands what is the record's own; they are referred to, if they may be.
    fn append_for_tasks(
        &self,
        header: Header,
        front: &[u8],
        bytes: &[u8],
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let lane = self.switch();
        if let Some((cause, part_offset)) = self.given(bytes, for_delivery.as_deref()) {
            let total = bytes.len() as u32;
            let header = Header { flags: FLAG_REFERENCE, cause, part_offset, total, ..header };
            return self.append_waiting(lane, header, front, for_delivery);
        }
        append_in_parts(header, [front, &[]], bytes, self.payload_max(lane), |header, pieces| {
            let delivery = for_delivery.as_deref_mut();
            self.append_pieces_waiting(lane, header, pieces, delivery)
        })
    }
}

#[cfg(test)]
mod tests;
