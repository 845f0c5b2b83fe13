//! How many workers there are to be, when somebody asks for more or fewer while the server runs, or
//! when that follows the waiting of clients (`workers_grow_after_ms`).

use ostler_core::Millis;
use ostler_core::worker_count::{WorkerCount, WorkerCountSettings};

use super::event_loop::Master;
use crate::control::ToManager;
use crate::options::{Mode, Options};
use crate::reactor::mailbox::ToReactor;

/// Who asks for another number, where nobody in particular does.
const WAITING: &str = "the waiting of clients";
const IDLENESS: &str = "workers without work";

/// The number of workers, and when somebody is to look how many are busy.
#[derive(Debug)]
pub(super) struct Size {
    count: WorkerCount,
    look_at: Millis,
    /// A reactor has said that clients wait; whether workers are without work is asked.
    clients_wait: bool,
}

impl Size {
    pub(super) fn new(options: &Options) -> Self {
        let (min, max) = match options.mode {
            Mode::Process => (options.workers_min, options.workers_room()),
            // Each slot has listeners of its own; what waits in one that is closed would be lost.
            Mode::Base => (options.workers, options.workers),
        };
        let follows = options.workers_grow_after_ms > 0;
        let count = WorkerCount::new(WorkerCountSettings {
            workers: options.workers,
            min,
            max,
            shrink_after_ms: follows.then_some(options.workers_shrink_after_ms),
        });
        Self { count, look_at: 0, clients_wait: false }
    }

    /// Fewest and most that somebody can ask for.
    pub(super) const fn limits(&self) -> (u16, u16) {
        self.count.limits()
    }

    /// How many there are to be.
    pub(super) const fn wanted(&self) -> u16 {
        self.count.wanted()
    }

    /// When somebody is to look how many are busy.
    fn due(&self) -> Option<Millis> {
        self.count.look_every_ms().map(|_| self.look_at)
    }

    /// Whether somebody is to look now, and not again for a while.
    fn is_due(&mut self, now: Millis) -> bool {
        match self.count.look_every_ms() {
            Some(pause) if self.look_at <= now => {
                self.look_at = now.saturating_add(pause);
                true
            }
            _ => false,
        }
    }
}

impl Master {
    /// Somebody asks for one more, or one less.
    pub(super) fn change_workers(&mut self, by: i16, asked_by: &str) {
        // The log tells what becomes of it.
        let _ = self.set_workers(self.size.count.wanted().saturating_add_signed(by), asked_by);
    }

    /// Somebody asks for so many. How many there are to be now, which may be as many as before.
    pub(super) fn set_workers(&mut self, workers: u16, asked_by: &str) -> u16 {
        if self.shutdown.has_begun() {
            return self.size.count.wanted();
        }
        if let Some(workers) = self.size.count.ask(workers) {
            self.resize(workers, asked_by);
            return workers;
        }
        let (wanted, (min, max)) = (self.size.count.wanted(), self.size.count.limits());
        if self.base.is_some() {
            tracing::warn!(
                workers = wanted,
                asked_by,
                "the number of workers is fixed with mode = base, in which each has listeners of \
                 its own"
            );
        } else if workers != wanted {
            let text = "the number of workers stays: it is between workers_min and workers_max";
            tracing::info!(workers = wanted, min, max, asked_by, "{text}");
        }
        wanted
    }

    fn resize(&mut self, workers: u16, asked_by: &str) {
        tracing::info!(workers, asked_by, "the number of workers changes");
        self.send(&ToManager::Resize(workers), Vec::new());
    }

    /// Clients of a reactor wait for a worker. Whether workers have work for others is asked: a
    /// reactor knows of its own only.
    pub(super) fn clients_wait(&mut self) {
        if !self.shutdown.has_begun() {
            // Several reactors may say so before there is an answer.
            if !std::mem::replace(&mut self.size.clients_wait, true) {
                self.send(&ToManager::HowManyAreBusy, Vec::new());
            }
        }
    }

    /// When that is asked next; at the end nobody wants to know.
    pub(super) fn size_due(&self) -> Option<Millis> {
        self.size.due().filter(|_| !self.shutdown.has_begun())
    }

    /// Asks how many workers are busy, when that is due.
    pub(super) fn look_at_workers(&mut self, now: Millis) {
        if !self.shutdown.has_begun() && self.size.is_due(now) {
            self.send(&ToManager::HowManyAreBusy, Vec::new());
        }
    }

    /// So many are.
    pub(super) fn on_busy(&mut self, busy: u16, now: Millis) {
        if self.shutdown.has_begun() {
            return;
        }
        let (changed, asked_by) = match std::mem::take(&mut self.size.clients_wait) {
            true => (self.size.count.somebody_waits(busy), WAITING),
            false => (self.size.count.look(busy, now), IDLENESS),
        };
        if let Some(workers) = changed {
            self.resize(workers, asked_by);
        }
    }

    /// A worker serves in this slot.
    pub(super) fn note_serving(&mut self, slot: u16) {
        self.size.count.serves(slot);
    }

    /// The manager goes over to so many. Those that are to leave are told later.
    pub(super) fn on_resized(&self, workers: u16) {
        self.tell_all(|| ToReactor::ReduceWorkers(workers));
    }

    /// A new manager begins with the number that was there at the start.
    pub(super) fn tell_size(&mut self) {
        // It was not asked anything yet.
        self.size.clients_wait = false;
        let wanted = self.size.count.wanted();
        if wanted != self.options.workers {
            self.send(&ToManager::Resize(wanted), Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stays_within_what_the_options_say() {
        let options = Options { workers: 3, workers_min: 2, workers_max: 5, ..Options::default() };
        assert_eq!(Size::new(&options).count.limits(), (2, 5));
        assert_eq!(Size::new(&options).due(), None, "it does not change by itself");
        let follows = Options { workers_grow_after_ms: 1, ..options.clone() };
        assert_eq!(Size::new(&follows).due(), Some(0));
        let fixed = Size::new(&Options { mode: Mode::Base, ..options });
        assert_eq!(fixed.count.limits(), (3, 3));
        let without = Options { workers: 3, ..Options::default() };
        assert_eq!(Size::new(&without).count.limits().1, 3, "no room unless it is asked for");
    }
}
