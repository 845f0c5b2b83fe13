//! Workers that serve, leave and die, and the end of the server.

use ostler_core::ids::{LaneSlot, ProcessKey, ProcessKind};

use super::Tasks;
use super::answers::Answer;
use crate::reactor::budget::Memory;
use crate::reactor::destination::Destination;
use crate::reactor::{ClientSide, Reactor};

impl Reactor {
    /// Hands on what waits: tasks to workers, answers to askers. True when there may be more at
    /// once.
    pub(in crate::reactor) fn hand_on_tasks(&mut self) -> bool {
        let Some(tasks) = &mut self.clients.tasks else { return false };
        tasks.tell_settled();
        tasks.tell_room(&self.clients.memory);
        let more = tasks.give(&mut self.destinations, self.clients.now);
        let found = tasks.answer(&mut self.destinations, &mut self.clients.memory);
        let leaving = tasks.take_leaving();
        for (lane, violation) in found {
            self.condemn(lane, violation.0);
        }
        for key in leaving {
            self.leave(key);
        }
        more
    }

    /// Takes back what waits behind a slow task while another worker idles; when that is due next.
    pub(in crate::reactor) fn task_recall(&self) -> Option<(LaneSlot, u64)> {
        let tasks = self.clients.tasks.as_ref()?;
        let taken = |lane| self.destinations.get(lane).map_or(0, Destination::taken);
        tasks.queue.recall_candidate(taken)
    }

    /// The server begins to end.
    pub(in crate::reactor) fn tasks_server_ends(&mut self) {
        if let Some(tasks) = &mut self.clients.tasks {
            tasks.queue.server_ends();
        }
    }

    /// The server is over.
    pub(in crate::reactor) fn end_tasks(&mut self) {
        if let Some(tasks) = &mut self.clients.tasks {
            tasks.end(&mut self.clients.memory);
        }
    }

    /// A task worker is ready.
    pub(in crate::reactor) fn task_worker_serves(&mut self, lane: LaneSlot, key: ProcessKey) {
        // Nobody would notice the death of a worker without a pidfd.
        let is_watched = self.destinations.get(lane).is_some_and(Destination::is_watched);
        if let Some(tasks) = self.clients.tasks.as_mut().filter(|_| is_watched) {
            tasks.queue.worker_serves(lane, key.slot);
        }
    }

    /// Whether a process that is told to leave now has to do what waits first: the server ends, and
    /// nobody else would.
    pub(in crate::reactor) fn is_needed_for_tasks(&mut self, key: ProcessKey) -> bool {
        let is_ending = self.clients.draining && !self.clients.closes_all;
        let Some(tasks) = self.clients.tasks.as_mut().filter(|_| is_ending) else { return false };
        if key.kind != ProcessKind::Task || tasks.queue.is_idle() {
            return false;
        }
        tasks.leaving_last.push(key);
        true
    }
}

impl Reactor {
    /// A task worker is about to be killed because its task has passed its deadline, or is not
    /// after all.
    pub(in crate::reactor) fn set_task_late(&mut self, key: ProcessKey, is_late: bool) {
        // It may have died since, and be settled.
        let Some(slot) = self.destinations.find(key) else { return };
        if let Some(tasks) = &mut self.clients.tasks {
            tasks.queue.set_late(slot, is_late);
        }
    }
}

impl ClientSide {
    /// Event workers have so many slots from now on.
    pub(in crate::reactor) fn reduce_heirs(&mut self, slots: u16) {
        if let Some(tasks) = &mut self.tasks {
            tasks.event_slots_are(slots, &mut self.memory);
        }
    }
}

impl Tasks {
    /// The workers that may leave now, because everything is done.
    fn take_leaving(&mut self) -> Vec<ProcessKey> {
        if self.leaving_last.is_empty() || !self.queue.is_idle() {
            return Vec::new();
        }
        std::mem::take(&mut self.leaving_last)
    }

    /// What a worker has not started was taken back; `leaves`: it is given nothing more.
    pub(in crate::reactor) fn recalled(&mut self, lane: LaneSlot, first: u64, leaves: bool) {
        if !self.queue.is_worker(lane) {
            return;
        }
        self.stop_sending(lane);
        if leaves {
            self.queue.leave(lane, first);
        } else {
            self.queue.recalled(lane, first);
        }
    }

    /// The process of a lane is dead, and everything that it has committed was consumed.
    pub(in crate::reactor) fn lane_ended(
        &mut self,
        lane: LaneSlot,
        first: u64,
        is_condemned: bool,
        memory: &mut Memory,
    ) {
        self.parts.give_up(lane);
        self.stop_sending(lane);
        self.body_answers.reader_ended(lane, memory);
        if let Some(answers) = self.waiting.remove(&lane) {
            self.bequeath(answers.into_answers(), memory);
        }
        let mut over = Vec::new();
        self.queue.worker_died(lane, first, is_condemned, &mut over);
        for settled in over {
            memory.release(settled.body.charge());
            if let Some(end) = settled.told {
                self.answers.push_back(Answer::end(settled.asked, end));
            }
        }
    }

    /// The server is over: what is left is counted.
    pub(in crate::reactor) fn end(&mut self, memory: &mut Memory) {
        self.end_heirs(memory);
        self.tell_settled();
        for (_, body) in self.queue.drain() {
            memory.release(body.charge());
        }
        let left = self.queue.counts().left;
        if let Some(keeping) = self.keeping.take() {
            let unkept = keeping.end();
            let left = left.saturating_sub(unkept);
            if left > 0 {
                tracing::info!(left, "tasks are kept for the next start");
            }
            if unkept > 0 {
                tracing::warn!(unkept, "tasks could not be kept before the server ended");
            }
        } else if left > 0 {
            tracing::warn!(left, "tasks were not run before the server ended");
        }
    }
}
