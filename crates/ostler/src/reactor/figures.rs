//! What a reactor tells while it runs: its books, in memory that every process reads.
//!
//! They are written when they are a while old, and not in each turn: that would cost as much as
//! serving a small package. Before a sleep without an end they are written in any case.

use ostler_core::Nanos;
use ostler_core::accepting::AcceptCounts;
use ostler_core::brain::Books;
use ostler_core::traffic::Traffic;

use super::{ClientSide, Reactor};
use crate::statistics;

/// How old they may become, nanoseconds.
const AGE_MAX_NS: Nanos = 1_000_000;

/// What there is to tell.
#[derive(Debug, Default)]
pub(super) struct Figures {
    written_at: Nanos,
    /// There was a turn since then.
    owes: bool,
    /// What was counted by who accepts in the reactor's thread.
    accepting: AcceptCounts,
}

impl Figures {
    /// A turn begins.
    pub(super) const fn begin_turn(&mut self) {
        self.owes = true;
    }
}

impl Reactor {
    /// Who accepts clients in this thread has counted so much, since the beginning.
    pub(crate) const fn note_accepting(&mut self, counts: &AcceptCounts) {
        self.figures.accepting = *counts;
    }

    /// Tells the figures if they are old enough; else when they will be.
    pub(super) fn tell_old_figures(&mut self, now: Nanos) -> Option<Nanos> {
        if !self.figures.owes {
            return None;
        }
        let age = now.saturating_sub(self.figures.written_at);
        if age < AGE_MAX_NS {
            return Some(self.figures.written_at.saturating_add(AGE_MAX_NS));
        }
        self.tell_figures(now);
        None
    }

    /// Tells them.
    pub(crate) fn tell_figures(&mut self, now: Nanos) {
        (self.figures.owes, self.figures.written_at) = (false, now);
        self.look_for_taken_messages();
        if let Some(account) = self.clients.board.reactor_account(self.clients.index) {
            let mut books = self.books();
            books.accepting.add(&self.figures.accepting);
            statistics::write_books(account, &books);
        }
    }

    /// The books as they stand.
    pub(crate) fn books(&self) -> Books {
        let mut books = self.clients.brain.books().clone();
        books.handshakes.add(&self.clients.counts);
        books.proxy_headers.add(&self.clients.header_counts);
        books.accepting.add(&self.clients.accept_counts);
        books.files.add(&self.clients.file_counts);
        books.groups.add(&self.clients.groups.counts());
        if let Some(tasks) = &self.clients.tasks {
            books.tasks.add(tasks.counts());
        }
        if let Some(messages) = &self.clients.messages {
            books.messages.add(messages.counts());
        }
        books.traffic.add(&self.clients.traffic());
        books
    }
}

impl ClientSide {
    fn traffic(&self) -> Traffic {
        Traffic {
            charged_bytes: self.memory.used(),
            long_states: self.states.long_ones(),
            state_bytes: self.states.used_bytes(),
            ..self.traffic
        }
    }
}
