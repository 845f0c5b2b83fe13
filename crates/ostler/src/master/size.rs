//! How many workers there are to be, when somebody asks for more or fewer while the server runs.

use super::event_loop::Master;
use crate::control::ToManager;
use crate::options::{Mode, Options};
use crate::reactor::mailbox::ToReactor;

/// The number of workers that was asked for last, and its limits.
#[derive(Debug)]
pub(super) struct Size {
    wanted: u16,
    min: u16,
    max: u16,
}

impl Size {
    pub(super) fn new(options: &Options) -> Self {
        let (min, max) = match options.mode {
            Mode::Process => (options.workers_min, options.workers_room()),
            // Each slot has listeners of its own; what waits in one that is closed would be lost.
            Mode::Base => (options.workers, options.workers),
        };
        Self { wanted: options.workers, min, max }
    }

    /// The nearest number that there can be, if that is another one than now.
    fn set(&mut self, workers: u16) -> Option<u16> {
        let workers = workers.clamp(self.min, self.max);
        let before = std::mem::replace(&mut self.wanted, workers);
        (workers != before).then_some(workers)
    }
}

impl Master {
    /// Somebody asks for one more, or one less.
    pub(super) fn change_workers(&mut self, by: i16, asked_by: &str) {
        self.set_workers(self.size.wanted.saturating_add_signed(by), asked_by);
    }

    /// Somebody asks for so many.
    pub(super) fn set_workers(&mut self, workers: u16, asked_by: &str) {
        if self.shutdown.has_begun() {
            return;
        }
        if let Some(workers) = self.size.set(workers) {
            tracing::info!(workers, asked_by, "the number of workers changes");
            self.send(&ToManager::Resize(workers), Vec::new());
            return;
        }
        let (wanted, min, max) = (self.size.wanted, self.size.min, self.size.max);
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
    }

    /// The manager goes over to so many. Those that are to leave are told later.
    pub(super) fn on_resized(&self, workers: u16) {
        self.tell_all(|| ToReactor::ReduceWorkers(workers));
    }

    /// A new manager begins with the number that was there at the start.
    pub(super) fn tell_size(&mut self) {
        if self.size.wanted != self.options.workers {
            self.send(&ToManager::Resize(self.size.wanted), Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_brought_into_its_limits_and_told_when_it_is_new() {
        let options = Options { workers: 3, workers_min: 2, workers_max: 5, ..Options::default() };
        let mut size = Size::new(&options);
        assert_eq!((size.set(3), size.set(4), size.set(4)), (None, Some(4), None));
        assert_eq!((size.set(9), size.set(6), size.set(0)), (Some(5), None, Some(2)));
        let mut fixed = Size::new(&Options { mode: Mode::Base, ..options });
        assert_eq!((fixed.set(2), fixed.set(9)), (None, None));
        let without = Options { workers: 3, ..Options::default() };
        assert_eq!(Size::new(&without).set(9), None, "there is no room unless it is asked for");
    }
}
