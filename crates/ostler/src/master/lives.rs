//! Processes that do not start, that leave, and that are gone.

use ostler_core::ids::{ProcessKey, ProcessKind};

use super::event_loop::Master;
use crate::control::{ShortText, ToProcess};
use crate::error::Error;
use crate::reactor::mailbox::ToReactor;

impl Master {
    /// Every slot has failed to start a worker. At the first boot there is nothing to wait for: the
    /// code does not start. Later others have served, and may again.
    pub(super) fn on_nobody_starts(&mut self, why: ShortText) {
        if self.boot_deadline.take().is_some() {
            let workers = usize::from(self.options.workers);
            self.exit = Some(Err(match self.memory_failure.take() {
                Some(error) => Error::memory("the lane memory of a worker", error),
                None => Error::nobody_starts(workers, why.as_str()),
            }));
        }
    }

    /// A process takes no more packages, or in BASE mode no more clients.
    pub(super) fn let_leave(&mut self, key: ProcessKey) {
        self.managers.note_leaves(key);
        self.figures.process_leaves(key);
        self.service_left(key);
        self.tell_all(|| ToReactor::Leave(key));
        self.tell_process(key, ToProcess::Leave);
    }

    /// A process is gone, or never came. For whoever does not have its pidfd; the others settle it
    /// when that is readable.
    pub(super) fn release(&mut self, key: ProcessKey) {
        self.companion_released(key);
        self.figures.process_gone(key);
        self.service_left(key);
        self.tell_all(|| ToReactor::Release(key));
        self.release_seat(key);
    }

    pub(super) fn name_of(&self, key: ProcessKey) -> Option<&str> {
        if key.kind == ProcessKind::Companion {
            return Some("companion");
        }
        self.process_names.get(usize::from(key.slot.0)).map(String::as_str)
    }
}
