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
const ORPHANS_MAX: usize = 10_000;

/// Where the processes of a slot follow each other.
type Place = (ProcessKind, Slot);

/// Who inherits what.
#[derive(Debug, Default)]
pub(super) struct Heirs {
    /// Who serves in each slot.
    serving: HashMap<Place, (LaneSlot, ProcessKey)>,
    /// What waits for somebody to serve there.
    orphans: HashMap<Place, VecDeque<Answer>>,
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
        let orphans = heirs.orphans.entry(place).or_default();
        if orphans.len() >= ORPHANS_MAX {
            self.unheard(&answer, memory);
        } else {
            orphans.push_back(answer);
        }
        None
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
