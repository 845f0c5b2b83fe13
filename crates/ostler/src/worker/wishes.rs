//! What user code asks of the server: said to the manager between two rounds of the loop.

use std::cell::Cell;

/// What was asked for and has not been said.
#[derive(Default)]
pub(crate) struct Wishes {
    workers: Cell<Option<u16>>,
}

impl Wishes {
    /// There shall be so many workers. The last word counts.
    pub(crate) fn set_workers(&self, workers: u16) {
        self.workers.set(Some(workers));
    }

    /// What is to be said of that.
    pub(super) fn take_workers(&self) -> Option<u16> {
        self.workers.take()
    }
}
