//! Who asks for something and has no worker yet: how many sessions of a port, and since when.
//! Beyond the limits of the port they are refused (P23).
//!
//! The bytes stay in the kernel; what stands here are sessions. One counts from when its client has
//! asked for something until a worker is through with a package of it; a delivery that waits at a
//! worker, unstarted, is taken back for it. What a session asks for behind something that a worker
//! has begun waits for that, and not for a worker. Who only connects asks for nothing, although its
//! connect event may wait as well.

use std::collections::VecDeque;

use super::run_lists::RunListId;
use super::{Brain, BrainSettings, CloseReason, Phase, PortSettings};
use crate::Nanos;
use crate::ids::{ConnectionSlot, LaneSlot, PortId, Subject};

/// Stale entries behind the oldest that are kept before all of them are thrown out.
const STALE_MIN: usize = 64;

/// Since when a session waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    since: Nanos,
    /// Its entry in the queue; the numbers of successive entries grow.
    ticket: u64,
    /// Nothing of it is at a worker.
    in_master: bool,
}

/// Those of one port, oldest first. Who has left leaves a stale entry behind.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<(u64, ConnectionSlot)>,
    /// Entries that are not stale.
    present: usize,
    /// Of those, how many have nothing at a worker.
    in_master: u32,
    next_ticket: u64,
}

impl Queue {
    /// One for each port, if any of them has limits or somebody asks whether workers are lacking.
    pub(super) fn of_ports(settings: &BrainSettings) -> Vec<Self> {
        let ports = &settings.ports;
        let is_limited = ports.iter().any(PortSettings::limits_queue);
        if is_limited || settings.lack_after_ns > 0 {
            ports.iter().map(|_| Self::default()).collect()
        } else {
            Vec::new()
        }
    }

    /// Those who wait, and those of them who have nothing at a worker.
    #[cfg(test)]
    pub(super) const fn counted(&self) -> (usize, usize) {
        (self.present, self.in_master as usize)
    }
}

/// What becomes of a session that has waited for too long.
pub(super) enum Overdue {
    Refused,
    /// A worker is at it, or there is nothing to refuse any more.
    Served,
    /// Its deliveries wait at this lane.
    AtLane(LaneSlot),
}

impl Brain {
    /// The session waits from now on, if it does and somebody wants to know.
    pub(super) fn begin_waiting(&mut self, slot: ConnectionSlot) {
        if !self.limits_who_waits() {
            return;
        }
        let (now, reading) = (self.now, self.takes_fresh_input());
        let Some(connection) = self.sessions.get_mut(slot) else { return };
        // Alone at a worker its connect event may be, begun or not.
        let may_begin = match connection.outstanding {
            0 => connection.link.list() != RunListId::No,
            _ => !connection.has_package_out(),
        };
        let waits = may_begin && connection.wants(reading) && connection.phase == Phase::Open;
        let in_master = connection.outstanding == 0;
        let is_limited = self.settings.ports.get(connection.port).limits_queue()
            || self.settings.lack_after_ns > 0;
        if !waits || !is_limited || connection.waiting.is_some() {
            return;
        }
        let Some(queue) = self.queues.get_mut(usize::from(connection.port.0)) else { return };
        queue.next_ticket += 1;
        let ticket = queue.next_ticket;
        connection.waiting = Some(Waiting { since: now, ticket, in_master });
        queue.entries.push_back((ticket, slot));
        queue.present += 1;
        queue.in_master += u32::from(in_master);
    }

    /// Deliveries of the session came to a worker, or back.
    pub(super) fn recount_waiting(&mut self, slot: ConnectionSlot) {
        if !self.limits_who_waits() {
            return;
        }
        let Some(connection) = self.sessions.get_mut(slot) else { return };
        let Some(waiting) = &mut connection.waiting else { return };
        let Some(queue) = self.queues.get_mut(usize::from(connection.port.0)) else { return };
        let in_master = connection.outstanding == 0;
        match (waiting.in_master, in_master) {
            (true, false) => queue.in_master -= 1,
            (false, true) => queue.in_master += 1,
            _ => {}
        }
        waiting.in_master = in_master;
    }

    /// A worker is through with a package of the session, or it asks for nothing any more.
    pub(super) fn end_waiting(&mut self, slot: ConnectionSlot) {
        if !self.limits_who_waits() {
            return;
        }
        let Some(connection) = self.sessions.get_mut(slot) else { return };
        let Some(waiting) = connection.waiting.take() else { return };
        let port = usize::from(connection.port.0);
        let Some(queue) = self.queues.get_mut(port) else { return };
        queue.present -= 1;
        queue.in_master -= u32::from(waiting.in_master);
        let sessions = &self.sessions;
        let is_live = |(ticket, slot): &(u64, ConnectionSlot)| {
            let waiting = sessions.get(*slot).and_then(|connection| connection.waiting);
            waiting.is_some_and(|waiting| waiting.ticket == *ticket)
        };
        while queue.entries.front().is_some_and(|entry| !is_live(entry)) {
            queue.entries.pop_front();
        }
        while queue.entries.back().is_some_and(|entry| !is_live(entry)) {
            queue.entries.pop_back();
        }
        if queue.entries.len() > 2 * queue.present + STALE_MIN {
            queue.entries.retain(is_live);
        }
    }

    /// Whether anybody wants to know who waits.
    pub(super) const fn limits_who_waits(&self) -> bool {
        !self.queues.is_empty()
    }

    /// Something keeps the session from being read: if it asks for nothing else, it waits no more.
    pub(super) fn look_whether_it_waits(&mut self, slot: ConnectionSlot) {
        let waits = self.sessions.get(slot).is_some_and(|connection| {
            connection.has_package_out() || connection.wants(self.takes_fresh_input())
        });
        if !waits {
            self.end_waiting(slot);
        }
    }

    /// When [`Brain::refuse_overdue`] is due. `None` while nobody waits or the server drains: then
    /// what was received is served.
    #[must_use]
    pub fn queue_due(&self) -> Option<Nanos> {
        if !self.reading {
            return None;
        }
        let limits = self.settings.ports.iter().map(|port| port.queue_wait_max_ns);
        let due = limits.enumerate().filter(|(_, limit)| *limit > 0).filter_map(|(port, limit)| {
            let (_, since) = self.oldest_waiting(port)?;
            Some(since.saturating_add(limit))
        });
        due.min()
    }

    /// Who of this port has waited for longest, and since when.
    pub(super) fn oldest_waiting(&self, port: usize) -> Option<(ConnectionSlot, Nanos)> {
        let (_, slot) = self.queues.get(port)?.entries.front()?;
        Some((*slot, self.sessions.get(*slot)?.waiting?.since))
    }

    /// Refuses sessions that have waited for as long as their port allows. `taken` bounds what the
    /// worker at a lane has started. Returns a lane that has to be recalled first; then this is to
    /// be called again.
    pub fn refuse_overdue(
        &mut self,
        now: Nanos,
        taken: impl Fn(LaneSlot) -> u64,
    ) -> Option<LaneSlot> {
        if !self.reading {
            return None;
        }
        for index in 0..self.queues.len() {
            let port = PortId(u16::try_from(index).unwrap_or(u16::MAX));
            let limit = self.settings.ports.get(port).queue_wait_max_ns;
            while let Some((slot, since)) = self.oldest_waiting(index) {
                if limit == 0 || since.saturating_add(limit) > now {
                    break;
                }
                match self.overdue(slot, &taken) {
                    Overdue::Refused if self.answers_refused(slot) => self.answer_refused(slot),
                    Overdue::Refused => {
                        self.books.session_waited_too_long();
                        self.turn_away(slot, CloseReason::Overloaded);
                    }
                    Overdue::Served => self.end_waiting(slot),
                    Overdue::AtLane(lane) => return Some(lane),
                }
            }
        }
        None
    }

    pub(super) fn overdue(&self, slot: ConnectionSlot, taken: impl Fn(LaneSlot) -> u64) -> Overdue {
        if self.waits_for_worker(slot) {
            return Overdue::Refused;
        }
        let Some(connection) = self.sessions.get(slot) else { return Overdue::Served };
        if connection.phase != Phase::Open || connection.outstanding == 0 {
            return Overdue::Served;
        }
        // Who is bound to none is given only to those who begin at once.
        let Some(lane) = connection.bound else { return Overdue::Served };
        let Some(ledger) = self.lanes.get(lane).map(|lane| &lane.ledger) else {
            return Overdue::Served;
        };
        let started = taken(lane);
        let own = |subject| subject == Subject::Session(slot);
        let is_begun = ledger.iter().any(|e| own(e.subject) && !e.done && e.position < started);
        if is_begun { Overdue::Served } else { Overdue::AtLane(lane) }
    }

    /// Refuses the newest of those who are more than their port allows. Does nothing in a turn in
    /// which [`Brain::next_give`] has not answered `None`: who waits may be served in the next.
    pub fn refuse_beyond(&mut self) {
        if !self.reading || !self.has_given_all {
            return;
        }
        for index in 0..self.queues.len() {
            let port = PortId(u16::try_from(index).unwrap_or(u16::MAX));
            let limit = self.settings.ports.get(port).queue_max;
            while limit > 0
                && let Some(queue) = self.queues.get(index).filter(|queue| queue.in_master > limit)
                && let Some(slot) = self.newest_in_master(queue)
            {
                if self.answers_refused(slot) {
                    self.answer_refused(slot);
                } else if self.waits_for_worker(slot) {
                    self.books.session_beyond_queue();
                    self.turn_away(slot, CloseReason::Overloaded);
                } else {
                    self.end_waiting(slot);
                }
            }
        }
    }

    fn newest_in_master(&self, queue: &Queue) -> Option<ConnectionSlot> {
        let newest = queue.entries.iter().rev().find(|(ticket, slot)| {
            let connection = self.sessions.get(*slot).filter(|one| one.phase == Phase::Open);
            let waiting = connection.and_then(|connection| connection.waiting);
            waiting.is_some_and(|waiting| waiting.ticket == *ticket && waiting.in_master)
        });
        newest.map(|(_, slot)| *slot)
    }

    /// Closes a session that waits for a worker, when its output is written.
    pub(super) fn turn_away(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        self.lists.unlink(&mut self.sessions, slot);
        self.close(slot, reason);
        // While its output is written it is still owed the events that it was owed before.
        self.enqueue(slot);
    }

    /// Whether a client still waits for a worker to begin with what it has asked: it may have been
    /// paused since, or be gone.
    pub(super) fn waits_for_worker(&self, slot: ConnectionSlot) -> bool {
        let reading = self.takes_fresh_input();
        self.asks_for_worker(slot)
            && self.sessions.get(slot).is_some_and(|connection| connection.wants(reading))
    }

    /// Whether nothing of a session is at a worker, and something waits for one: also an event.
    pub(super) fn asks_for_worker(&self, slot: ConnectionSlot) -> bool {
        let reading = self.takes_fresh_input();
        self.sessions.get(slot).is_some_and(|connection| {
            connection.phase == Phase::Open
                && connection.outstanding == 0
                && connection.asks(reading)
        })
    }
}
