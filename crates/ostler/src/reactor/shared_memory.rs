//! What the reactors share about memory: the budget, the shortage, and each other's mailboxes; and
//! the places for files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ostler_core::budget::{Budget, Shortage};
use ostler_core::invariant;

use super::file_places::FilePlaces;
use super::mailbox::{Mailbox, ToReactor};
use crate::options::Options;

/// One for all reactors. The shortage is locked only while memory is lacking, for a few
/// instructions.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    budget: Arc<Budget>,
    shortage: Mutex<Shortage>,
    mailboxes: Vec<Arc<Mailbox>>,
    files: Arc<FilePlaces>,
}

impl SharedMemory {
    /// What the options allow the reactors with these mailboxes.
    pub(crate) fn new(options: &Options, mailboxes: Vec<Arc<Mailbox>>) -> Arc<Self> {
        Self::with_budget(options, mailboxes, None)
    }

    /// The same with a budget that somebody else charges, too.
    pub(crate) fn with_budget(
        options: &Options,
        mailboxes: Vec<Arc<Mailbox>>,
        budget: Option<Arc<Budget>>,
    ) -> Arc<Self> {
        let shortage = Mutex::new(Shortage::new(mailboxes.len()));
        let budget = budget.unwrap_or_else(|| Budget::new(options.memory_budget as u64));
        let files = FilePlaces::new(options.sendfile_max.into());
        Arc::new(Self { budget, shortage, mailboxes, files })
    }

    pub(super) const fn files(&self) -> &Arc<FilePlaces> {
        &self.files
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
