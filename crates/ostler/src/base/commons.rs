//! The seat of this process in the memory that all processes of BASE mode have in common.

use std::os::fd::AsFd;
use std::sync::Arc;

use ostler_core::brain::Books;
use ostler_shm::commons::{Commons, Relay};

use crate::statistics;

/// The commons, and which seat there is this process's.
#[derive(Clone, Debug)]
pub(crate) struct SeatOf {
    commons: Arc<Commons>,
    number: usize,
}

impl SeatOf {
    /// Maps the commons.
    ///
    /// # Errors
    /// When the file is none, or there is no such seat.
    pub(crate) fn open(fd: impl AsFd, number: usize) -> std::io::Result<Self> {
        let commons = Commons::open(fd)?;
        match commons.seat(number) {
            Some(_) => Ok(Self { commons: Arc::new(commons), number }),
            None => Err(std::io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The first of the seats of this process, which made the commons.
    pub(crate) fn own(commons: Commons) -> Self {
        Self { commons: Arc::new(commons), number: 0 }
    }

    /// Which seat it is.
    pub(crate) const fn number(&self) -> usize {
        self.number
    }

    /// The commons.
    pub(crate) fn commons(&self) -> &Commons {
        &self.commons
    }

    /// Connections that other processes have open.
    pub(crate) fn open_elsewhere(&self) -> u64 {
        self.commons.open_elsewhere(self.number)
    }

    /// One more output for a session of another process, or from there.
    pub(crate) fn note_relay(&self, relay: Relay) {
        if let Some(seat) = self.commons.seat(self.number) {
            seat.count(relay);
        }
    }

    /// So many connections are open here.
    pub(crate) fn set_open(&self, connections: u64) {
        if let Some(seat) = self.commons.seat(self.number) {
            seat.set_open(connections);
        }
    }

    /// Writes the books, so that they outlive this process.
    pub(super) fn write_books(&self, books: &Books) {
        if let Some(seat) = self.commons.seat(self.number) {
            statistics::write_books(seat.books(), books);
        }
    }
}

/// No counter of a process is believed beyond this, so that no sum of them overflows: a process may
/// have written anything.
pub(crate) const COUNT_MAX: u64 = 1 << 48;

/// The books of the process that has, or had, a seat.
pub(crate) fn read_books(commons: &Commons, seat: usize) -> Books {
    let seat = commons.seat(seat);
    seat.map_or_else(Books::default, |seat| statistics::read_account(seat.books(), COUNT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::account::ACCOUNT_WORDS_MAX;

    #[test]
    fn books_come_back_as_they_were_written() {
        let (commons, fd) = Commons::create(2, Default::default()).unwrap();
        let (mut books, mut next, mut counters) = (Books::default(), 1.., 0);
        books.visit(&mut |count| {
            *count = next.next().unwrap();
            counters += 1;
        });
        assert!(counters <= ACCOUNT_WORDS_MAX, "{counters} counters: the seats are too small");
        SeatOf::open(&fd, 1).unwrap().write_books(&books);
        assert_eq!(read_books(&commons, 1), books);
        assert_eq!(read_books(&commons, 0), Books::default());
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let (commons, _fd) = Commons::create(1, Default::default()).unwrap();
        commons.seat(0).unwrap().books().write(&[u64::MAX; ACCOUNT_WORDS_MAX]);
        let mut all = Books::default();
        (0..9).for_each(|_| all.add(&read_books(&commons, 0)));
        assert_eq!(all.accepted, 9 * COUNT_MAX);
    }
}
