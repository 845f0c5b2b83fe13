//! Tasks in the first reactor, which is the switch for them: every process has a lane to it.
//!
//! Responsible for: taking in what is asked, writing tasks to task workers, bringing results and
//! ends to those who have asked. What is to be done is decided by
//! [`ostler_core::task_queue::TaskQueue`]; this is its driver. Must never: wait for a worker,
//! believe a byte that one wrote, or keep bytes that the memory budget was not charged.
//!
//! `body` (where bytes are), `ask` (what comes up), `give` (tasks to workers), `answers` (results
//! and ends to askers), `waiting` (those without room), `body_answers` (those that askers read
//! where they lie), `heirs` (who inherits them), `ends` (workers that leave or die, and the end of
//! the server), `kept` (tasks that outlive the server).

mod answers;
mod ask;
mod body;
mod body_answers;
mod ends;
mod give;
mod heirs;
mod kept;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ostler_core::Nanos;
use ostler_core::ids::{LaneSlot, ProcessKey};
use ostler_core::task_queue::{TaskCounts, TaskQueue, TaskQueueSettings};
use ostler_shm::body_area::BodyArea;
use ostler_shm::layout::Sizes;
use ostler_shm::record::RecordKind;

use super::parts::Parts;
use crate::options::{Options, TaskResultTo};
use answers::Answer;
use body::{Gathered, TaskBody};
use body_answers::BodyAnswers;
use give::Sending;
use heirs::Heirs;
use kept::Keeping;
use waiting::WaitingAnswers;

pub(super) use body::Lying;

/// The reactor that has the tasks.
const TASK_REACTOR: usize = ostler_core::placement::TASK_REACTOR;

/// What a reactor has to know of tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskSettings {
    queue: TaskQueueSettings,
    /// Longest payload of a task or of a result.
    max_length: usize,
    /// Longest payload of a record of a package ring.
    payload_max: usize,
    /// Longest payload of an answer's record.
    answer_max: usize,
    /// Answers for askers that are gone are for their successors.
    has_heirs: bool,
}

impl TaskSettings {
    /// `None`: the server has no task workers.
    pub(super) fn new(options: &Options, sizes: &Sizes) -> Option<Self> {
        (options.task_workers > 0).then(|| Self {
            queue: options.task_queue_settings(),
            max_length: options.task_max_length,
            payload_max: sizes.payload_max(),
            answer_max: sizes.answer_payload_max(),
            has_heirs: options.task_result_to == TaskResultTo::Successor,
        })
    }
}

/// The tasks of the server.
pub(super) struct Tasks {
    settings: TaskSettings,
    queue: TaskQueue<TaskBody>,
    /// Where longer bodies are kept.
    area: Option<Arc<BodyArea>>,
    /// What came in parts and is not whole: by its kind, and the number of a task or the delivery
    /// that has a result.
    parts: Parts<(RecordKind, u64), Gathered>,
    /// Tasks of several parts that are being written.
    sending: HashMap<LaneSlot, Sending>,
    /// Answers of this turn.
    answers: VecDeque<Answer>,
    /// Answers that wait for room in the rings of their askers.
    waiting: HashMap<LaneSlot, WaitingAnswers>,
    /// `None`: what is for somebody who is gone is nobody's.
    heirs: Option<Heirs>,
    /// Answers that askers read where they lie.
    body_answers: BodyAnswers,
    /// Workers that are told to leave when everything is done.
    leaving_last: Vec<ProcessKey>,
    /// Where tasks are kept, if they are.
    keeping: Option<Keeping>,
}

impl Tasks {
    /// The tasks of the server, if this is the reactor that has them.
    pub(super) fn new(
        settings: Option<TaskSettings>,
        reactor: usize,
        area: Option<Arc<BodyArea>>,
    ) -> Option<Box<Self>> {
        let settings = settings.filter(|_| reactor == TASK_REACTOR)?;
        Some(Box::new(Self {
            settings,
            queue: TaskQueue::new(settings.queue),
            area,
            parts: Parts::default(),
            sending: HashMap::new(),
            answers: VecDeque::new(),
            waiting: HashMap::new(),
            heirs: settings.has_heirs.then(Heirs::default),
            body_answers: BodyAnswers::default(),
            leaving_last: Vec::new(),
            keeping: None,
        }))
    }

    /// What became of all of them.
    pub(super) const fn counts(&self) -> &TaskCounts {
        self.queue.counts()
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.queue.due()
    }

    /// The outputs of a lane were consumed, and its worker has given back the package ring below
    /// this position: it may have room again.
    pub(super) fn consumed(&mut self, lane: LaneSlot, work_ns: Nanos, freed: u64) {
        if self.queue.is_worker(lane) {
            self.queue.set_work(lane, work_ns);
            self.queue.freed(lane, freed);
            self.queue.room_freed(lane);
        }
    }

    /// Whether something waits for room in the package ring of a lane, or for the end of a
    /// callback.
    pub(super) fn awaits_freed(&self, lane: LaneSlot) -> bool {
        self.queue.awaits_freed(lane)
    }
}
