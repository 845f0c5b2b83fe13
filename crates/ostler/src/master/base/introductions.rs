//! Introductions: each process knows the session tables of the others, and is given the ways that
//! others make to it (BASE mode).
//!
//! A process that does not look is told no more than a few of them at once, because descriptors
//! that are on the way are limited, and what waits for it here is bounded.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use ostler_core::ids::ProcessKey;

use super::seats::Seats;
use crate::control::ToProcess;

/// Introductions that a process was sent and has not received: fewer than a socket has room for.
const UNMET_MAX: usize = 32;
/// Ways that wait for a process that does not look. Who made more finds them closed.
const WAYS_WAITING_MAX: usize = 64;

/// Something that a process is to be told of others.
#[derive(Debug)]
pub(super) enum Introduction {
    /// The session table of another one.
    Board { seat: u16, worker: ProcessKey },
    /// Another one is gone.
    Gone { seat: u16, worker: ProcessKey },
    /// A way from another one.
    Way(OwnedFd),
}

impl Introduction {
    /// Whether it tells of this process.
    fn shows(&self, process: ProcessKey) -> bool {
        matches!(self, Self::Board { worker, .. } if *worker == process)
    }
}

/// What one process was told, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Introductions {
    /// Sent, and not received yet.
    unmet: usize,
    waiting: VecDeque<Introduction>,
}

impl Introductions {
    /// It has received one.
    pub(super) const fn note_met(&mut self) {
        self.unmet = self.unmet.saturating_sub(1);
    }

    fn push(&mut self, new: Introduction) {
        match &new {
            // Whom it was not told of, nobody has to take back.
            Introduction::Gone { worker: gone, .. } => {
                let before = self.waiting.len();
                self.waiting.retain(|one| !one.shows(*gone));
                if self.waiting.len() < before {
                    return;
                }
            }
            Introduction::Way(_) if self.waiting.len() >= WAYS_WAITING_MAX => return,
            _ => {}
        }
        self.waiting.push_back(new);
    }

    fn next(&mut self) -> Option<Introduction> {
        let next = (self.unmet < UNMET_MAX).then(|| self.waiting.pop_front()).flatten()?;
        self.unmet += 1;
        Some(next)
    }
}

impl Seats {
    /// A process has shown its session table: the others are told. Only once: the table of a
    /// process does not change.
    pub(super) fn show_board(&mut self, number: usize, board: OwnedFd) {
        let Some(seat) = self.get_mut(number) else { return };
        let worker = seat.key();
        if !seat.set_board(board) {
            return;
        }
        let others = (0..self.len()).filter(|other| *other != number);
        for other in others {
            self.introduce(other, Introduction::Board { seat: number as u16, worker });
        }
    }

    /// A new process is told of all that have shown their tables.
    pub(super) fn show_all_boards(&mut self, to: usize) {
        for number in 0..self.len() {
            let shown = self.get(number).filter(|seat| seat.has_board());
            if let Some(worker) = shown.map(|seat| seat.key()) {
                self.introduce(to, Introduction::Board { seat: number as u16, worker });
            }
        }
    }

    /// A process has made a way to another one. One for each is enough.
    pub(super) fn open_way(&mut self, from: usize, to: u16, worker: ProcessKey, socket: OwnedFd) {
        let to = usize::from(to);
        // If that one is gone the other end finds this one closed.
        let is_there = self.get(to).is_some_and(|seat| seat.key() == worker);
        if is_there && self.get_mut(from).is_some_and(|seat| seat.add_way(worker)) {
            self.introduce(to, Introduction::Way(socket));
        }
    }

    /// A process is gone: those who were told of it are told.
    pub(super) fn tell_of_end(&mut self, number: usize, worker: ProcessKey) {
        for other in 0..self.len() {
            self.introduce(other, Introduction::Gone { seat: number as u16, worker });
        }
    }

    fn introduce(&mut self, to: usize, new: Introduction) {
        if let Some(seat) = self.get_mut(to) {
            seat.introductions().push(new);
            self.post(to);
        }
    }

    /// Sends a process what waits for it, as far as it keeps up.
    pub(super) fn post(&mut self, to: usize) {
        while let Some(next) = self.get_mut(to).and_then(|seat| seat.introductions().next()) {
            let (message, descriptors) = match next {
                Introduction::Board { seat, worker } => {
                    let shown = self.get(usize::from(seat)).filter(|seat| seat.key() == worker);
                    let board = shown.and_then(|seat| seat.board());
                    (ToProcess::Board { seat, worker }, board.into_iter().collect())
                }
                Introduction::Gone { seat, worker } => {
                    (ToProcess::Gone { seat, worker }, Vec::new())
                }
                Introduction::Way(socket) => (ToProcess::Way, vec![socket]),
            };
            if let Some(seat) = self.get_mut(to) {
                seat.tell(message, descriptors);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;

    fn board(number: u32) -> Introduction {
        Introduction::Board { seat: 1, worker: ProcessKey::event(1, number) }
    }

    fn gone(number: u32) -> Introduction {
        Introduction::Gone { seat: 1, worker: ProcessKey::event(1, number) }
    }

    #[test]
    fn who_does_not_look_is_sent_a_few_and_what_waits_is_bounded() {
        let mut introductions = Introductions::default();
        for number in 0..10_000 {
            introductions.push(board(number));
            let _ = introductions.next();
            introductions.push(gone(number));
            let _ = introductions.next();
            introductions.push(Introduction::Way(eventfd::create().unwrap()));
            let _ = introductions.next();
        }
        assert_eq!(introductions.unmet, UNMET_MAX);
        assert!(introductions.waiting.len() <= WAYS_WAITING_MAX + UNMET_MAX);
        introductions.note_met();
        assert!(introductions.next().is_some() && introductions.next().is_none());
    }

    #[test]
    fn of_one_who_was_never_told_of_nobody_is_told_that_it_is_gone() {
        let mut introductions = Introductions::default();
        introductions.push(board(1));
        introductions.push(board(2));
        introductions.push(gone(1));
        assert!(matches!(introductions.next(), Some(Introduction::Board { worker, .. })
            if worker == ProcessKey::event(1, 2)));
        introductions.push(gone(2));
        assert!(matches!(introductions.next(), Some(Introduction::Gone { .. })));
        assert!(introductions.next().is_none());
    }
}
