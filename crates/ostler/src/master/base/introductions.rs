//! Introductions: each process knows the session tables of the others, and is given the ways that
//! others make to it (BASE mode).
//!
//! A process that does not look is told no more than a few of them at once, because descriptors
//! that are on the way are limited, and what waits for it here is bounded.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use ostler_core::Millis;
use ostler_core::ids::ProcessKey;

use super::seats::{Seat, Seats};
use crate::control::ToProcess;
use crate::sys::clock;

/// Introductions that a process was sent and has not received: fewer than a socket has room for.
const UNMET_MAX: usize = 32;
/// How long a process that had no descriptor for one is left alone.
pub(super) const HOLD_MS: Millis = 1_000;
/// The same when there is none here.
const RETRY_MS: Millis = 10;

/// Something that a process is to be told of others.
#[derive(Debug)]
pub(super) enum Introduction {
    /// The session table of another one.
    Board { seat: u16, worker: ProcessKey },
    /// Another one is gone.
    Gone { seat: u16, worker: ProcessKey },
    /// A way from another one.
    Way { from: ProcessKey, socket: OwnedFd },
}

impl Introduction {
    /// Whether it is a way from this process.
    fn is_way_of(&self, process: ProcessKey) -> bool {
        matches!(self, Self::Way { from, .. } if *from == process)
    }

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
    /// Nothing is sent before: descriptors were lacking.
    held_until: Option<Millis>,
}

impl Introductions {
    /// It has received one.
    pub(super) const fn note_met(&mut self) {
        self.unmet = self.unmet.saturating_sub(1);
    }

    /// When those that wait are sent on, because descriptors were lacking.
    pub(super) const fn held_until(&self) -> Option<Millis> {
        self.held_until
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
            Introduction::Board { worker, .. } => {
                self.waiting.retain(|one| !one.shows(*worker));
            }
            // Whoever makes another one has found the first one closed.
            Introduction::Way { from, .. } => self.waiting.retain(|one| !one.is_way_of(*from)),
        }
        self.waiting.push_back(new);
    }

    fn next(&mut self, now: Millis) -> Option<Introduction> {
        if self.held_until.is_some_and(|until| now < until) {
            return None;
        }
        self.held_until = None;
        let next = (self.unmet < UNMET_MAX).then(|| self.waiting.pop_front()).flatten()?;
        self.unmet += 1;
        Some(next)
    }

    /// It could not be sent.
    fn put_back(&mut self, one: Introduction, now: Millis) {
        self.unmet = self.unmet.saturating_sub(1);
        self.waiting.push_front(one);
        self.held_until = Some(now.saturating_add(RETRY_MS));
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

    /// A process has made a way to another one: the first, or one in the place of one that was
    /// closed. If that process is gone the other end finds this one closed.
    pub(super) fn open_way(&mut self, from: usize, to: u16, worker: ProcessKey, socket: OwnedFd) {
        let to = usize::from(to);
        let is_there = self.get(to).is_some_and(|seat| seat.key() == worker);
        if let Some(from) = self.get(from).filter(|_| is_there).map(Seat::key) {
            self.introduce(to, Introduction::Way { from, socket });
        }
    }

    /// A process had no descriptor for the table of another one: it is shown it later.
    pub(super) fn show_again(&mut self, to: usize, seat: u16, worker: ProcessKey, now: Millis) {
        let shown = self.get(usize::from(seat)).filter(|seat| seat.key() == worker);
        if !shown.is_some_and(Seat::has_board) {
            return;
        }
        if let Some(process) = self.get_mut(to) {
            process.introductions().push(Introduction::Board { seat, worker });
            process.introductions().held_until = Some(now.saturating_add(HOLD_MS));
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
        let now = clock::monotonic_ms();
        while let Some(next) = self.get_mut(to).and_then(|seat| seat.introductions().next(now)) {
            let (message, descriptors) = match next {
                Introduction::Board { seat, worker } => match self.board_of(seat, worker) {
                    Some(board) => (ToProcess::Board { seat, worker }, vec![board]),
                    None => return self.put_back(to, next, now),
                },
                Introduction::Gone { seat, worker } => {
                    (ToProcess::Gone { seat, worker }, Vec::new())
                }
                Introduction::Way { from, socket } => {
                    (ToProcess::Way { worker: from }, vec![socket])
                }
            };
            if let Some(seat) = self.get_mut(to) {
                seat.tell(message, descriptors);
            }
        }
    }

    /// A copy of the table of a process. None: there is no descriptor for that now.
    fn board_of(&self, seat: u16, worker: ProcessKey) -> Option<OwnedFd> {
        let shown = self.get(usize::from(seat)).filter(|seat| seat.key() == worker);
        shown.and_then(Seat::board)
    }

    fn put_back(&mut self, to: usize, one: Introduction, now: Millis) {
        if let Some(seat) = self.get_mut(to) {
            seat.introductions().put_back(one, now);
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
            let from = ProcessKey::event(number as u16 % 3, 1);
            introductions.push(board(number));
            let _ = introductions.next(0);
            introductions.push(gone(number));
            let _ = introductions.next(0);
            introductions.push(Introduction::Way { from, socket: eventfd::create().unwrap() });
            let _ = introductions.next(0);
        }
        assert_eq!(introductions.unmet, UNMET_MAX);
        let most = 3 + UNMET_MAX;
        assert!(introductions.waiting.len() <= most, "{}", introductions.waiting.len());
        introductions.note_met();
        assert!(introductions.next(0).is_some() && introductions.next(0).is_none());
    }

    #[test]
    fn nothing_is_sent_while_descriptors_are_lacking_and_then_in_order() {
        let mut introductions = Introductions::default();
        introductions.push(board(1));
        introductions.push(board(2));
        let first = introductions.next(5).unwrap();
        introductions.put_back(first, 5);
        assert_eq!(introductions.held_until(), Some(5 + RETRY_MS));
        assert!(introductions.next(5 + RETRY_MS - 1).is_none());
        for number in 1..=2 {
            assert!(
                matches!(introductions.next(5 + RETRY_MS), Some(Introduction::Board { worker, .. })
                if worker == ProcessKey::event(1, number))
            );
        }
        assert_eq!((introductions.unmet, introductions.held_until()), (2, None));
    }

    #[test]
    fn of_one_who_was_never_told_of_nobody_is_told_that_it_is_gone() {
        let mut introductions = Introductions::default();
        introductions.push(board(1));
        introductions.push(board(2));
        introductions.push(gone(1));
        assert!(matches!(introductions.next(0), Some(Introduction::Board { worker, .. })
            if worker == ProcessKey::event(1, 2)));
        introductions.push(gone(2));
        assert!(matches!(introductions.next(0), Some(Introduction::Gone { .. })));
        assert!(introductions.next(0).is_none());
    }
}
