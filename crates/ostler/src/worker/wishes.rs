//! What user code asks of the server: said to the manager between two rounds of the loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::control::WantedReload;

/// What was asked for and has not been said.
#[derive(Default)]
pub(crate) struct Wishes {
    workers: Cell<Option<u16>>,
    reloads: RefCell<VecDeque<(u32, WantedReload)>>,
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

    /// This shall be reloaded, and answered by this number.
    pub(super) fn want_reload(&self, ticket: u32, wanted: WantedReload) {
        self.reloads.borrow_mut().push_back((ticket, wanted));
    }

    /// One of those that are to be said.
    pub(super) fn take_reload(&self) -> Option<(u32, WantedReload)> {
        self.reloads.borrow_mut().pop_front()
    }
}
