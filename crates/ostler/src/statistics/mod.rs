//! The figures of a server, in memory that every process of it reads: where they lie, and how they
//! are written and read.
//!
//! Each account has one writer. In PROCESS mode all of them are the master's threads; in BASE mode
//! the processes write their books themselves, and nothing there is believed beyond a bound.

pub(crate) mod roster;

use std::rc::Rc;

use ostler_core::brain::Books;
use ostler_core::statistics::ServerFigures;
use ostler_shm::account::{ACCOUNT_WORDS_MAX, Account};
use ostler_shm::board::Board;
use ostler_shm::commons::Commons;

use crate::base::commons::{COUNT_MAX, SeatOf, read_books};

/// How often a reader begins anew while the master moves what a dead process has counted. It does
/// that for microseconds; for ever if a process has written into the word that says so.
const READS_MAX: usize = 64;

/// Where the figures lie.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The master's threads write them.
    Board(Rc<Board>),
    /// Each process writes its own, and the master those of processes that are gone and of its
    /// switch, which has a board.
    Commons(SeatOf, Option<Rc<Board>>),
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
    /// Reads them. What a dead process has counted is nowhere for a moment, on its way from its
    /// seat to the account of those that are gone: a reader begins anew then, so that nothing that
    /// counts goes backwards.
    pub(crate) fn read(&self) -> Figures {
        match self {
            Self::Board(board) => read_board(board),
            Self::Commons(seat, switch) => read_commons(seat.commons(), switch.as_deref()),
        }
    }
}

/// The figures that the master's threads write; see [`Source::read`].
pub(crate) fn read_board(board: &Board) -> Figures {
    let mut figures = read_master(board.server_account(), board.rest_account(), u64::MAX);
    add_reactors(&mut figures.books, board, u64::MAX);
    figures
}

/// The figures of BASE mode; see [`Source::read`].
pub(crate) fn read_commons(commons: &Commons, switch: Option<&Board>) -> Figures {
    read_between_moves(commons, || {
        // The processes can write all of the commons.
        let most = COUNT_MAX;
        let mut figures = read_master(commons.server_account(), commons.rest_account(), most);
        (0..commons.seats()).for_each(|seat| figures.books.add(&read_books(commons, seat)));
        if let Some(board) = switch {
            add_reactors(&mut figures.books, board, most);
        }
        figures
    })
}

fn read_master(server: Option<Account<'_>>, rest: Option<Account<'_>>, most: u64) -> Figures {
    Figures {
        server: server.map_or_else(ServerFigures::default, read_server),
        books: rest.map_or_else(Books::default, |account| read_account(account, most)),
    }
}

fn add_reactors(books: &mut Books, board: &Board, most: u64) {
    (0..board.reactors())
        .filter_map(|reactor| board.reactor_account(reactor))
        .for_each(|account| books.add(&read_account(account, most)));
}

/// Reads while nothing is on its way, if that is ever so.
fn read_between_moves<T>(commons: &Commons, mut read: impl FnMut() -> T) -> T {
    for _ in 0..READS_MAX {
        let moves = commons.moves();
        let figures = read();
        if moves.are_over() && commons.have_not_moved_since(moves) {
            return figures;
        }
        // The master is at it, which may want this processor.
        std::thread::yield_now();
    }
    read()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_while_numbers_move_is_read_anew_but_not_for_ever() {
        let (commons, _fd) = Commons::create(1, Default::default()).unwrap();
        let mut reads = 0;
        let read = read_between_moves(&commons, || {
            reads += 1;
            match reads {
                1 => commons.set_moves(1), // the first read was too early
                2 => commons.set_moves(2), // and the second was in the middle
                _ => {}
            }
            reads
        });
        assert_eq!(read, 3);
        commons.set_moves(3);
        let mut reads = 0;
        read_between_moves(&commons, || reads += 1);
        assert_eq!(reads, READS_MAX + 1);
    }

    #[test]
    fn what_a_process_has_written_makes_no_sum_overflow() {
        let (commons, fd) = Commons::create(2, Default::default()).unwrap();
        let all = [u64::MAX; ACCOUNT_WORDS_MAX];
        commons.rest_account().unwrap().write(&all);
        (0..2).for_each(|number| commons.seat(number).unwrap().books().write(&all));
        let figures = Source::Commons(SeatOf::open(&fd, 0).unwrap(), None).read();
        assert_eq!(figures.books.accepted, 3 * COUNT_MAX);
        let _ = figures.books.check();
    }
}
