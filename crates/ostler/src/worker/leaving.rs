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

    /// Every lane was left.
    pub(super) fn begin(&self) {
        self.has_begun.set(true);
    }

    /// Whether every lane was left.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }
}
