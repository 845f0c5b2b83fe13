//! The figures of a server, in memory that every process of it reads: where they lie, and how they
//! are written and read.
//!
//! Each account has one writer. In PROCESS mode all of them are the master's threads; in BASE mode
//! the processes write their books themselves, and nothing there is believed beyond a bound.

use std::rc::Rc;

use ostler_core::brain::Books;
use ostler_core::statistics::ServerFigures;
use ostler_shm::account::{ACCOUNT_WORDS_MAX, Account};
use ostler_shm::board::Board;

use crate::base::commons::{SeatOf, read_books};

/// Where the figures lie.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The master's threads write them.
    Board(Rc<Board>),
    /// Each process writes its own, and the master those of processes that are gone.
    Commons(SeatOf),
}

/// The figures of one moment; those of one reactor are of exactly one, those of several of nearly
/// the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// What the master knows.
    pub(crate) server: ServerFigures,
    /// The books of all reactors, and of those that are gone.
    pub(crate) books: Books,
}

impl Source {
    /// Reads them.
    pub(crate) fn read(&self) -> Figures {
        let (server, rest) = match self {
            Self::Board(board) => (board.server_account(), board.rest_account()),
            Self::Commons(seat) => (seat.commons().server_account(), seat.commons().rest_account()),
        };
        let read = |account| read_account(account, u64::MAX);
        let mut books = rest.map_or_else(Books::default, read);
        match self {
            Self::Board(board) => (0..board.reactors())
                .filter_map(|reactor| board.reactor_account(reactor))
                .for_each(|account| books.add(&read(account))),
            Self::Commons(seat) => (0..seat.commons().seats())
                .for_each(|number| books.add(&read_books(seat.commons(), number))),
        }
        Figures { server: server.map_or_else(ServerFigures::default, read_server), books }
    }
}

/// Writes books into an account.
pub(crate) fn write_books(account: Account<'_>, books: &Books) {
    let mut books = books.clone();
    write_words(account, |visit| books.visit(visit));
}

/// Writes what the master knows.
pub(crate) fn write_server(account: Account<'_>, figures: &ServerFigures) {
    let mut figures = *figures;
    write_words(account, |visit| figures.visit(visit));
}

fn write_words(account: Account<'_>, each: impl FnOnce(&mut dyn FnMut(&mut u64))) {
    let (mut words, mut used) = ([0; ACCOUNT_WORDS_MAX], 0);
    each(&mut |count| {
        if let Some(word) = words.get_mut(used) {
            *word = *count;
        }
        used += 1;
    });
    account.write(words.get(..used).unwrap_or(&words));
}

/// The books that lie in an account; none of their numbers is believed beyond `most`.
pub(crate) fn read_account(account: Account<'_>, most: u64) -> Books {
    let mut books = Books::default();
    read_words(account, most, |visit| books.visit(visit));
    books
}

fn read_server(account: Account<'_>) -> ServerFigures {
    let mut figures = ServerFigures::default();
    read_words(account, u64::MAX, |visit| figures.visit(visit));
    figures
}

fn read_words(account: Account<'_>, most: u64, each: impl FnOnce(&mut dyn FnMut(&mut u64))) {
    let words = account.read_words();
    let mut words = words.iter();
    each(&mut |count| *count = words.next().map_or(0, |word| (*word).min(most)));
}
