//! Falling asleep without missing a bell, and when to wake without one.

use std::io;
use std::time::Duration;

use ostler_core::{Nanos, invariant};

use super::Reactor;
use super::destination::Destination;
use super::mailbox::FromReactor;
use super::token;
use crate::log::Quotas as _;
use crate::sys::clock;
use crate::sys::epoll::Events;

/// A time that has come already: the wait is a look.
pub(super) const AT_ONCE: Nanos = 0;

/// What has ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// Something has happened, or is due.
    Up,
    /// Nothing has happened, and what was due when the alarm was set may have been done since.
    ByAlarm,
}

/// So far from now on.
pub(super) fn from_now(time: Duration) -> Nanos {
    if time.is_zero() {
        return AT_ONCE;
    }
    let time = Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX);
    clock::monotonic_ns().saturating_add(time)
}

impl Reactor {
    /// Announces the sleep, then looks at every lane once more. True: there are news, do not sleep.
    pub(super) fn fall_asleep(&mut self) -> bool {
        match self.clients.board.reactor_sleep(self.clients.index) {
            Some(word) => self.sleeper.announce(word),
            None => invariant!(false, "every reactor has a word for its sleep"),
        }
        self.has_news()
    }

    /// Announces that the reactor is awake.
    pub(super) fn wake(&mut self) {
        if let Some(word) = self.clients.board.reactor_sleep(self.clients.index) {
            self.sleeper.awake(word);
        }
    }

    /// Waits until something happens, or until this time has come; `None`: until something happens.
    pub(super) fn wait(&mut self, events: &mut Events, due: Option<Nanos>) -> io::Result<Woken> {
        let rest = due.map(|due| match due {
            AT_ONCE => Duration::ZERO,
            due => Duration::from_nanos(due.saturating_sub(clock::monotonic_ns())),
        });
        let is_due = rest == Some(Duration::ZERO);
        let is_set = match due {
            Some(_) if is_due => Ok(()),
            Some(due) => self.alarm.ring_by(due),
            None => self.alarm.silence(),
        };
        // Whoever has no alarm, for whatever reason, has a timeout.
        let timeout = if is_due || is_set.is_err() { rest } else { None };
        self.clients.epoll.wait(events, timeout)?;
        let is_alarm = |(token, _)| token == token::alarm();
        if is_due || !events.iter().all(is_alarm) {
            return Ok(Woken::Up);
        }
        self.alarm.has_rung();
        Ok(Woken::ByAlarm)
    }

    /// When it has something to do by the clock; `None`: not before something happens. An idle
    /// reactor has nothing to wait for.
    pub(super) fn due(&self) -> Option<Nanos> {
        let recall = self.recall_candidate().map(|(_, due)| due);
        let task_recall = self.task_recall().map(|(_, due)| due);
        let tasks = self.clients.tasks.as_ref().and_then(|tasks| tasks.due());
        let refusal = self.refusal_due();
        let timers = self.clients.timers.next_due();
        let complaints = self.clients.complaints.next_due();
        let handshakes = self.clients.newcomers.next_due();
        let due = [
            recall,
            task_recall,
            tasks,
            self.clients.brain.rehash_due(),
            self.clients.brain.queue_due(),
            self.clients.brain.lack_due(),
            self.clients.brain.deferred_due(),
            self.clients.memory.due(),
            refusal,
            timers,
            complaints,
            handshakes,
        ];
        due.into_iter().flatten().min()
    }

    /// What is due by the clock: timers of connections, recall for idle workers, sessions of a slot
    /// that is down.
    pub(super) fn run_due(&mut self) {
        self.clients.run_timers();
        self.clients.complaints.tell_due();
        if let Some((lane, due)) = self.recall_candidate()
            && due <= self.clients.now
        {
            self.recall(lane);
        }
        if let Some((lane, due)) = self.task_recall()
            && due <= self.clients.now
        {
            self.recall(lane);
        }
        self.look_for_lack();
        self.refuse_overdue();
        if self.clients.brain.deferred_due().is_some_and(|due| due <= self.clients.now) {
            self.clients.brain.close_overdue_deferred();
        }
        if self.refusal_due().is_some_and(|due| due <= self.clients.now) {
            // Each reactor finds out for itself; one says it.
            if self.clients.index == 0 {
                tracing::warn!("no worker serves: clients that ask for something are refused");
            }
            self.clients.brain.begin_refusing();
        }
        if self.clients.brain.rehash_due().is_some_and(|due| due <= self.clients.now) {
            self.clients.brain.rehash(self.clients.now);
        }
    }

    /// Who has waited for too long is refused, when nothing of it is at a worker any more.
    fn refuse_overdue(&mut self) {
        if self.clients.brain.queue_due().is_none_or(|due| due > self.clients.now) {
            return;
        }
        // Each may have to be recalled once; who came back from the last is refused behind that.
        for _ in 0..=self.destinations.slots().count() {
            let taken = |lane| self.destinations.get(lane).map_or(0, Destination::taken);
            let Some(lane) = self.clients.brain.refuse_overdue(self.clients.now, taken) else {
                break;
            };
            self.recall(lane);
        }
        // Before anything is given: a worker that seems to have nothing to do would be given them
        // again, and they would wait for it without an end.
        self.clients.carry_out();
    }

    /// Tells the master when clients wait for a worker.
    fn look_for_lack(&mut self) {
        let taken = |lane| self.destinations.get(lane).map_or(0, Destination::taken);
        if self.clients.brain.lacks_workers(self.clients.now, taken) {
            self.clients.reports.queue.push(FromReactor::ClientsWait);
        }
    }

    /// A server that drains ends its workers: nobody is refused because of that.
    fn refusal_due(&self) -> Option<Nanos> {
        self.clients.brain.refusal_due().filter(|_| !self.clients.draining)
    }

    fn recall_candidate(&self) -> Option<(ostler_core::brain::LaneSlot, u64)> {
        self.clients.brain.recall_candidate(self.clients.now, |lane| {
            self.destinations.get(lane).map_or(0, Destination::taken)
        })
    }
}
