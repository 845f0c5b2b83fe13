//! What the reactors share about memory: the budget, the shortage, and each other's mailboxes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ostler_core::budget::{Budget, Shortage};
use ostler_core::invariant;

use super::mailbox::{Mailbox, ToReactor};

/// One for all reactors. The shortage is locked only while memory is lacking, for a few
/// instructions.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    budget: Arc<Budget>,
    shortage: Mutex<Shortage>,
    mailboxes: Vec<Arc<Mailbox>>,
}

impl SharedMemory {
    /// A budget of `limit` bytes for the reactors with these mailboxes.
    pub(crate) fn new(limit: u64, mailboxes: Vec<Arc<Mailbox>>) -> Arc<Self> {
        let shortage = Mutex::new(Shortage::new(mailboxes.len()));
        Arc::new(Self { budget: Budget::new(limit), shortage, mailboxes })
    }

    pub(super) const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(super) fn shortage(&self) -> MutexGuard<'_, Shortage> {
        self.shortage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one reactor is all there is: it need not wait for the others.
    pub(super) fn is_alone(&self) -> bool {
        self.mailboxes.len() == 1
    }

    pub(super) fn tell(&self, reactor: usize, message: ToReactor) {
        match self.mailboxes.get(reactor) {
            Some(mailbox) => mailbox.push(message),
            None => invariant!(false, "only a reactor that has bid is told to pay"),
        }
    }

    pub(super) fn tell_others(&self, own: usize, message: impl Fn() -> ToReactor) {
        for (index, mailbox) in self.mailboxes.iter().enumerate() {
            if index != own {
                mailbox.push(message());
            }
        }
    }
}
