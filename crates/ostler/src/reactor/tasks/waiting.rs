//! Answers that wait for room in the ring of one asker.

use std::collections::VecDeque;

use ostler_core::task_queue::ENDS_BEYOND_TASKS_MAX;

use super::answers::Answer;

/// What waits for one asker.
#[derive(Debug)]
pub(super) struct WaitingAnswers {
    answers: VecDeque<Answer>,
    /// How many of them are ends.
    ends: usize,
}

impl WaitingAnswers {
    pub(super) fn new(answer: Answer) -> Self {
        let ends = usize::from(answer.is_end());
        Self { answers: VecDeque::from([answer]), ends }
    }

    /// One more waits. It comes back when that would be too many: an asker that does not read would
    /// fill the memory of the master.
    pub(super) fn push(&mut self, answer: Answer, tasks_max: usize) -> Result<(), Answer> {
        if answer.is_end() {
            if self.ends >= tasks_max.saturating_add(ENDS_BEYOND_TASKS_MAX) {
                return Err(answer);
            }
            self.ends += 1;
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
        if self.answers.pop_front().is_some_and(|answer| answer.is_end()) {
            self.ends -= 1;
        }
    }

    /// Their asker is gone.
    pub(super) fn into_answers(self) -> VecDeque<Answer> {
        self.answers
    }
}

#[cfg(test)]
mod tests {
    use ostler_core::ids::{LaneSlot, ProcessKey, Slot};
    use ostler_core::task_queue::{Asked, TaskEnd, TaskRefusal};

    use super::super::body::TaskBody;
    use super::*;

    fn asked() -> Asked {
        Asked { sender: ProcessKey::event(0, 1), lane: LaneSlot(0), number: 7 }
    }

    #[test]
    fn ends_that_wait_are_bounded_and_results_are_not_counted() {
        let end = || Answer::end(asked(), TaskEnd::Refused(TaskRefusal::QueueFull));
        let result = || Answer::result(asked(), Slot(0), TaskBody::Heap(vec![1]));
        let mut waiting = WaitingAnswers::new(result());
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
}
