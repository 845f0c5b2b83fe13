//! How far this process is on its way out, and what holds it.

use std::cell::Cell;

/// The leaving state of a worker.
#[derive(Default)]
pub(crate) struct Leaving {
    /// Tokens of user code and deferred deliveries: the process does not end while there are any.
    holders: Cell<usize>,
    /// User code asked to be replaced.
    is_wanted: Cell<bool>,
    /// Nothing will be given any more: the process ends when nothing holds it.
    has_begun: Cell<bool>,
    /// What a process that serves nobody had to do is done: it ends when nothing keeps it.
    is_done: Cell<bool>,
    /// It was not done well.
    has_failed: Cell<bool>,
}

impl Leaving {
    /// One more holds this process.
    pub(crate) fn hold(&self) {
        self.holders.set(self.holders.get() + 1);
    }

    /// One of those does so no more.
    pub(crate) fn release(&self) {
        ostler_core::invariant!(self.holders.get() > 0, "who lets a process go has held it");
        self.holders.set(self.holders.get().saturating_sub(1));
    }

    /// How many hold it.
    pub(super) fn holders(&self) -> usize {
        self.holders.get()
    }

    /// User code asks to be replaced.
    pub(crate) fn want(&self) {
        self.is_wanted.set(true);
    }

    /// Whether it has.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.get()
    }

    /// A process that serves nobody has done its work, well or not.
    pub(super) fn work_is_done(&self, has_failed: bool) {
        self.is_done.set(true);
        self.has_failed.set(has_failed);
    }

    /// Whether it has.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// Whether that went wrong.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// Every lane was left.
    pub(super) fn begin(&self) {
        self.has_begun.set(true);
    }

    /// Whether every lane was left.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }
}
