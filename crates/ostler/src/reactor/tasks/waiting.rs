//! Answers that wait for room in the ring of one asker.

use std::collections::VecDeque;

use ostler_core::ids::ProcessKey;
use ostler_core::task_queue::ENDS_BEYOND_TASKS_MAX;

use super::answers::Answer;
use super::heirs::ORPHANS_MAX;

/// What waits for one asker.
#[derive(Debug)]
pub(super) struct WaitingAnswers {
    /// Who that is.
    reader: ProcessKey,
    answers: VecDeque<Answer>,
    /// How many of them are ends of its own tasks.
    ends: usize,
    /// The same of tasks that it inherits: it knows nothing of those, and may have asked as many of
    /// its own as ends are kept for it.
    inherited_ends: usize,
}

impl WaitingAnswers {
    pub(super) fn new(reader: ProcessKey, answer: Answer) -> Self {
        let mut waiting = Self { reader, answers: VecDeque::new(), ends: 0, inherited_ends: 0 };
        if answer.is_end() {
            *waiting.ends_with(&answer) += 1;
        }
        waiting.answers.push_back(answer);
        waiting
    }

    /// The number of ends to which this one belongs.
    fn ends_with(&mut self, end: &Answer) -> &mut usize {
        if end.asker() == self.reader { &mut self.ends } else { &mut self.inherited_ends }
    }

    /// One more waits. It comes back when that would be too many: an asker that does not read would
    /// fill the memory of the master.
    pub(super) fn push(&mut self, answer: Answer, tasks_max: usize) -> Result<(), Answer> {
        if answer.is_end() {
            let is_own = answer.asker() == self.reader;
            let most = tasks_max.saturating_add(ENDS_BEYOND_TASKS_MAX);
            let most = if is_own { most } else { ORPHANS_MAX };
            let ends = self.ends_with(&answer);
            if *ends >= most {
                return Err(answer);
            }
            *ends += 1;
        }
        self.answers.push_back(answer);
        Ok(())
    }

    /// The next.
    pub(super) fn front_mut(&mut self) -> Option<&mut Answer> {
        self.answers.front_mut()
    }

    /// The next is written.
    pub(super) fn pop_front(&mut self) {
        if let Some(end) = self.answers.pop_front().filter(Answer::is_end) {
            *self.ends_with(&end) -= 1;
        }
    }

    /// Their asker is gone.
    pub(super) fn into_answers(self) -> VecDeque<Answer> {
        self.answers
    }
}

#[cfg(test)]
mod tests {
    use ostler_core::ids::{LaneSlot, Slot};
    use ostler_core::task_queue::{Asked, TaskEnd, TaskRefusal};

    use super::super::body::TaskBody;
    use super::*;

    const READER: ProcessKey = ProcessKey::event(0, 2);

    const fn asked_by(sender: ProcessKey) -> Asked {
        Asked { sender, lane: LaneSlot(0), number: 7 }
    }

    const fn end_of(sender: ProcessKey) -> Answer {
        Answer::end(asked_by(sender), TaskEnd::Refused(TaskRefusal::QueueFull))
    }

    fn result() -> Answer {
        Answer::result(asked_by(READER), Slot(0), TaskBody::Heap(vec![1]))
    }

    #[test]
    fn ends_that_wait_are_bounded_and_results_are_not_counted() {
        let end = || end_of(READER);
        let mut waiting = WaitingAnswers::new(READER, result());
        for _ in 0..10 + ENDS_BEYOND_TASKS_MAX {
            assert!(waiting.push(end(), 10).is_ok());
        }
        assert!(waiting.push(end(), 10).is_err());
        assert!(waiting.push(result(), 10).is_ok(), "its memory is charged");
        waiting.pop_front();
        assert!(waiting.push(end(), 10).is_err(), "that was a result");
        waiting.pop_front();
        assert!(waiting.push(end(), 10).is_ok());
        assert!(waiting.push(end(), 10).is_err());
        assert_eq!(waiting.into_answers().len(), 10 + ENDS_BEYOND_TASKS_MAX + 1);
    }

    /// Who reads them has asked no more of its own than ends are kept for it.
    #[test]
    fn what_somebody_inherits_takes_no_place_of_its_own_ends() {
        let inherited = || end_of(ProcessKey::event(0, 1));
        let mut waiting = WaitingAnswers::new(READER, inherited());
        for number in 2..=ORPHANS_MAX {
            assert!(waiting.push(inherited(), 10).is_ok(), "{number}");
        }
        assert!(waiting.push(inherited(), 10).is_err());
        for number in 1..=10 + ENDS_BEYOND_TASKS_MAX {
            assert!(waiting.push(end_of(READER), 10).is_ok(), "{number}");
        }
        assert!(waiting.push(end_of(READER), 10).is_err());
        waiting.pop_front();
        assert!(waiting.push(end_of(READER), 10).is_err(), "that was another one's");
        assert!(waiting.push(inherited(), 10).is_ok());
    }
}
