//! Answers whose asker is gone: with `task_result_to = successor` they are for the next process of
//! its slot, and wait for that.

use std::collections::{HashMap, VecDeque};

use ostler_core::ids::{LaneSlot, ProcessKey, ProcessKind, Slot};

use super::Tasks;
use super::answers::Answer;
use crate::reactor::budget::Memory;
use crate::reactor::destination::{Destination, Destinations};

/// Most answers that wait for the successor of one process; what is more is nobody's. Their bytes
/// are charged to the memory budget besides.
pub(super) const ORPHANS_MAX: usize = 10_000;

/// Where the processes of a slot follow each other.
type Place = (ProcessKind, Slot);

/// Who inherits what.
#[derive(Debug, Default)]
pub(super) struct Heirs {
    /// Who serves in each slot.
    serving: HashMap<Place, (LaneSlot, ProcessKey)>,
    /// What waits for somebody to serve there.
    orphans: HashMap<Place, VecDeque<Answer>>,
    /// Event workers have the slots below this one: in others nobody will serve. `None`: they were
    /// never changed.
    event_slots: Option<u16>,
}

impl Heirs {
    /// Whether somebody will serve there.
    fn expects(&self, (kind, slot): Place) -> bool {
        kind != ProcessKind::Event || self.event_slots.is_none_or(|slots| slot.0 < slots)
    }
}

const fn place_of(key: ProcessKey) -> Place {
    (key.kind, key.slot)
}

impl Tasks {
    /// An answer with the lane to which it goes: its asker's, or that of the heir. `None`: it
    /// waits, or is nobody's.
    pub(super) fn addressed(
        &mut self,
        mut answer: Answer,
        destinations: &Destinations,
        memory: &mut Memory,
    ) -> Option<Answer> {
        let asker = answer.asker();
        let is_at = |lane, key| destinations.get(lane).map(Destination::key) == Some(key);
        if is_at(answer.lane(), asker) {
            return Some(answer);
        }
        let place = place_of(asker);
        let Some(heirs) = self.heirs.as_mut().filter(|_| asker.kind.is_worker()) else {
            self.unheard(&answer, memory);
            return None;
        };
        if let Some((lane, key)) = heirs.serving.get(&place).copied()
            && key.generation > asker.generation
            && is_at(lane, key)
        {
            answer.send_to(lane);
            return Some(answer);
        }
        if !heirs.expects(place) {
            self.unheard(&answer, memory);
            return None;
        }
        let orphans = heirs.orphans.entry(place).or_default();
        if orphans.len() >= ORPHANS_MAX {
            self.unheard(&answer, memory);
        } else {
            orphans.push_back(answer);
        }
        None
    }

    /// Event workers have so many slots from now on. What waits for somebody in another one is
    /// nobody's: it would stay until there is such a slot again, if there ever is.
    pub(in crate::reactor) fn event_slots_are(&mut self, slots: u16, memory: &mut Memory) {
        let Some(heirs) = &mut self.heirs else { return };
        heirs.event_slots = Some(slots);
        let is_beyond = |place: &Place| place.0 == ProcessKind::Event && place.1.0 >= slots;
        let gone: Vec<Answer> =
            heirs.orphans.extract_if(|place, _| is_beyond(place)).flat_map(|it| it.1).collect();
        for answer in gone {
            self.unheard(&answer, memory);
        }
    }

    /// A process begins to serve: what waited for it follows.
    pub(in crate::reactor) fn heir_serves(&mut self, lane: LaneSlot, key: ProcessKey) {
        let Some(heirs) = &mut self.heirs else { return };
        heirs.serving.insert(place_of(key), (lane, key));
        self.answers.extend(heirs.orphans.remove(&place_of(key)).into_iter().flatten());
    }

    /// The asker of these is dead, and has not heard them to their end.
    pub(super) fn bequeath(&mut self, answers: VecDeque<Answer>, memory: &mut Memory) {
        for mut answer in answers {
            if self.heirs.is_some() {
                answer.begin_again();
                self.answers.push_back(answer);
            } else {
                self.unheard(&answer, memory);
            }
        }
    }

    /// The server is over, and nobody inherits any more.
    pub(super) fn end_heirs(&mut self, memory: &mut Memory) {
        let orphans = self.heirs.take().into_iter().flat_map(|heirs| heirs.orphans);
        for answer in orphans.flat_map(|(_, answers)| answers) {
            self.unheard(&answer, memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use ostler_core::task_queue::Asked;

    use super::super::body::TaskBody;
    use super::*;
    use crate::options::{Options, TaskResultTo};
    use crate::reactor::tests::booting;

    /// A result for the successor of a process of this slot.
    fn result(slot: u16) -> Answer {
        let asked = Asked { sender: ProcessKey::event(slot, 1), lane: LaneSlot(7), number: 1 };
        Answer::result(asked, Slot(0), TaskBody::Heap(vec![1; 100]))
    }

    #[test]
    fn what_waits_in_a_slot_that_is_taken_away_is_nobodys() {
        let task_result_to = TaskResultTo::Successor;
        let options = Options { task_workers: 1, workers: 2, task_result_to, ..Options::default() };
        let clients = &mut booting(&options).clients;
        let (Some(tasks), memory) = (&mut clients.tasks, &mut clients.memory) else { panic!() };
        let (nobody, before) = (Destinations::default(), memory.used());
        let comes = |tasks: &mut Tasks, memory: &mut Memory, slot| {
            let answer = result(slot);
            assert!(memory.charge(answer.charge()));
            assert!(tasks.addressed(answer, &nobody, memory).is_none());
            (tasks.counts().unheard, memory.used() - before)
        };
        let one = result(0).charge();
        assert_eq!(comes(tasks, memory, 0), (0, one));
        assert_eq!(comes(tasks, memory, 1), (0, 2 * one));
        tasks.event_slots_are(1, memory);
        assert_eq!((tasks.counts().unheard, memory.used() - before), (1, one), "of the second");
        assert_eq!(comes(tasks, memory, 1), (2, one), "it came later");
        tasks.event_slots_are(2, memory);
        assert_eq!(comes(tasks, memory, 1), (2, 2 * one), "there will be somebody");
    }
}
