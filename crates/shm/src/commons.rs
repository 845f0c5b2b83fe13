//! What processes that serve clients themselves have in common (BASE mode): one memory file that
//! the master makes and all of them write — the counter of session ids, a seat for each living
//! process with its open connections and its books, and what is known of clients' addresses. (The
//! last also where the master alone serves clients, with a seat for each reactor.)
//!
//! A seat is written by the process that has it, and read by anybody, also when that process is
//! dead: its books are an [`Account`](crate::account::Account). What a process writes is not
//! trusted: it can make its numbers wrong, and nothing else.

use crate::sync::AtomicU64;

/// The most seats: four for each of the most workers, of both kinds, that the options allow, and
/// two for each of the most other processes.
pub const SEATS_MAX: usize = 8_448;

/// The first line of the file.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CommonsHead {
    /// [`crate::layout::COMMONS_MAGIC`].
    pub magic: AtomicU64,
    /// [`crate::layout::PROTOCOL`].
    pub protocol: AtomicU64,
    /// How many seats there are.
    pub seats: AtomicU64,
    /// Places for what is known of the connections of addresses.
    pub count_places: AtomicU64,
    /// Places for what is known of the rates of addresses.
    pub rate_places: AtomicU64,
    /// What makes the numbers of addresses, so that no client can foresee them.
    pub secret: [AtomicU64; 2],
    /// How often the master began or ended to move what a process has counted, see [`Moves`].
    pub moves: AtomicU64,
}

/// How often the master began or ended to move numbers from the seat of a dead process to the
/// account of those that are gone: odd while some are in neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moves(u64);

impl Moves {
    /// Whether every number is in one place.
    #[must_use]
    pub const fn are_over(self) -> bool {
        self.0 & 1 == 0
    }
}

/// For how many addresses there is room. The default: nothing is to be known of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressRoom {
    /// Places for [`AddressCounts`](crate::addresses::AddressCounts): a power of two, or none.
    pub counts: usize,
    /// Places for [`AddressRates`](crate::addresses::AddressRates): a power of two, or none.
    pub rates: usize,
    /// Random.
    pub secret: [u64; 2],
}

/// The first line of a seat.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct SeatHead {
    /// Open connections of its process.
    pub open: AtomicU64,
    /// How often the books were written: an odd number says that the second copy counts.
    pub turn: AtomicU64,
    /// Outputs for sessions of other processes, see [`Relay`].
    pub relays: [AtomicU64; RELAYS],
}

/// What became of an output for a session of another process. Each is counted by the process that
/// did it, at once, so that its death loses no count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// It was sent to the process that has the session.
    Sent,
    /// It was received from another process.
    Taken,
    /// It was received, and cannot be.
    Refused,
}

/// How many kinds there are.
pub const RELAYS: usize = 3;

#[cfg(not(loom))]
pub use file::{Commons, Seat};

#[cfg(not(loom))]
mod file {
    use super::{AddressRoom, AtomicU64, CommonsHead, Moves, RELAYS, Relay, SEATS_MAX, SeatHead};
    use crate::account::{Account, COPIES_WORDS};
    use crate::addresses::{AddressCounts, AddressRates, PLACE_WORDS};
    use crate::board::NewestSession;
    use crate::layout::{COMMONS_MAGIC, PAGE, PROTOCOL};
    use crate::mapping::{self, Mapping, Writer};
    use crate::sync::{Ordering, fence};
    use rustix::fd::{AsFd, OwnedFd};
    use std::io;

    /// No room for addresses is believed beyond this many places.
    const PLACES_MAX: usize = 1 << 24;
    const PLACE_LEN: u64 = (PLACE_WORDS * size_of::<AtomicU64>()) as u64;
    const NEWEST_AT: u64 = size_of::<CommonsHead>() as u64;
    /// How many accounts the master has.
    const ACCOUNTS: u64 = 2;
    const _: () = assert!(size_of::<SeatHead>() + COPIES_WORDS * 8 <= PAGE as usize);

    /// A writable mapping of the file.
    #[derive(Debug)]
    pub struct Commons {
        mapping: Mapping,
        seats: usize,
        addresses: AddressRoom,
    }

    /// Where the accounts of the master lie: behind the seats, each on a page.
    const fn account_at(seats: usize, number: u64) -> u64 {
        PAGE * (1 + seats as u64 + number)
    }

    /// Where seats and accounts end.
    const fn seats_end(seats: usize) -> u64 {
        account_at(seats, ACCOUNTS)
    }

    const fn len_for(seats: usize, addresses: &AddressRoom) -> u64 {
        seats_end(seats) + (addresses.counts + addresses.rates) as u64 * PLACE_LEN
    }

    const fn is_possible(seats: usize, addresses: &AddressRoom) -> bool {
        let AddressRoom { counts, rates, .. } = *addresses;
        1 <= seats
            && seats <= SEATS_MAX
            && (counts == 0 || counts.is_power_of_two())
            && (rates == 0 || rates.is_power_of_two())
            && counts <= PLACES_MAX
            && rates <= PLACES_MAX
    }

    impl Commons {
        /// Master: makes the file; the descriptor is for the processes.
        ///
        /// # Errors
        /// Those of memfd_create(2), fallocate(2) and mmap(2); also an impossible number of seats.
        pub fn create(seats: usize, addresses: AddressRoom) -> io::Result<(Self, OwnedFd)> {
            if !is_possible(seats, &addresses) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "impossible seats"));
            }
            let len = len_for(seats, &addresses);
            let fd = mapping::create("ostler-commons", len, true)?;
            let mapping = Mapping::new(&fd, len, true)?;
            mapping::seal(&fd, Writer::Receiver)?;
            let commons = Self { mapping, seats, addresses };
            let head = commons.head().ok_or(io::ErrorKind::InvalidData)?;
            head.magic.store(COMMONS_MAGIC, Ordering::Relaxed);
            head.protocol.store(PROTOCOL, Ordering::Relaxed);
            head.count_places.store(addresses.counts as u64, Ordering::Relaxed);
            head.rate_places.store(addresses.rates as u64, Ordering::Relaxed);
            for (word, secret) in head.secret.iter().zip(addresses.secret) {
                word.store(secret, Ordering::Relaxed);
            }
            head.seats.store(seats as u64, Ordering::Release);
            Ok((commons, fd))
        }

        /// Process: maps the file, and checks that it speaks this protocol.
        ///
        /// # Errors
        /// When it does not, or mapping fails.
        pub fn open(fd: impl AsFd) -> io::Result<Self> {
            let wrong = |text: &'static str| io::Error::new(io::ErrorKind::InvalidData, text);
            let size = rustix::fs::fstat(&fd)?.st_size;
            let len = u64::try_from(size).unwrap_or(0);
            let mapping = Mapping::new(&fd, len, true)?;
            let mut commons = Self { mapping, seats: 0, addresses: AddressRoom::default() };
            let head = commons.head().ok_or_else(|| wrong("the commons are too short"))?;
            let is_ours = head.magic.load(Ordering::Acquire) == COMMONS_MAGIC
                && head.protocol.load(Ordering::Relaxed) == PROTOCOL;
            let read =
                |word: &AtomicU64| usize::try_from(word.load(Ordering::Relaxed)).unwrap_or(0);
            let (seats, counts) = (read(&head.seats), read(&head.count_places));
            let (rates, secret) = (read(&head.rate_places), head.secret.each_ref());
            let secret = secret.map(|word| word.load(Ordering::Relaxed));
            let addresses = AddressRoom { counts, rates, secret };
            if !is_ours || !is_possible(seats, &addresses) || len_for(seats, &addresses) > len {
                return Err(wrong("the file is not the commons of this protocol"));
            }
            (commons.seats, commons.addresses) = (seats, addresses);
            Ok(commons)
        }

        fn head(&self) -> Option<&CommonsHead> {
            self.mapping.words::<CommonsHead>(0)
        }

        /// How many seats there are.
        #[must_use]
        pub const fn seats(&self) -> usize {
            self.seats
        }

        /// The session id that was issued last, by whichever process.
        #[must_use]
        pub fn newest_session(&self) -> Option<&AtomicU64> {
            self.mapping.words::<NewestSession>(NEWEST_AT).map(|newest| &newest.id)
        }

        /// What makes the numbers of addresses.
        #[must_use]
        pub const fn address_secret(&self) -> [u64; 2] {
            self.addresses.secret
        }

        /// The connections of each address.
        #[must_use]
        pub fn address_counts(&self) -> AddressCounts<'_> {
            let at = seats_end(self.seats);
            let words = self.mapping.word_slice(at, self.addresses.counts * PLACE_WORDS);
            AddressCounts::new(words.unwrap_or_default(), self.seats)
        }

        /// The rates of each address.
        #[must_use]
        pub fn address_rates(&self) -> AddressRates<'_> {
            let at = seats_end(self.seats) + self.addresses.counts as u64 * PLACE_LEN;
            let words = self.mapping.word_slice(at, self.addresses.rates * PLACE_WORDS);
            AddressRates::new(words.unwrap_or_default())
        }

        /// A seat; `None` when there is none with this number.
        #[must_use]
        pub fn seat(&self, number: usize) -> Option<Seat<'_>> {
            if number >= self.seats {
                return None;
            }
            let at = PAGE * (1 + number as u64);
            let head = self.mapping.words::<SeatHead>(at)?;
            let copies_at = at + size_of::<SeatHead>() as u64;
            Some(Seat { head, copies: self.mapping.word_slice(copies_at, COPIES_WORDS)? })
        }

        /// What the master writes of the life of the server.
        #[must_use]
        pub fn server_account(&self) -> Option<Account<'_>> {
            Account::of_page(&self.mapping, account_at(self.seats, 0))
        }

        /// What the master writes of processes that are gone.
        #[must_use]
        pub fn rest_account(&self) -> Option<Account<'_>> {
            Account::of_page(&self.mapping, account_at(self.seats, 1))
        }

        /// Master: so often it began or ended to move numbers, by its own count: an odd number
        /// before it clears a seat, an even one when they are in the account.
        pub fn set_moves(&self, moves: u64) {
            if let Some(head) = self.head() {
                head.moves.store(moves, Ordering::Release);
                // Who sees one of the numbers that follow sees this word too.
                fence(Ordering::Release);
            }
        }

        /// How often that was, before something is read.
        #[must_use]
        pub fn moves(&self) -> Moves {
            Moves(self.head().map_or(0, |head| head.moves.load(Ordering::Acquire)))
        }

        /// Whether what was read since is of before or after all moves, and of none in between.
        #[must_use]
        pub fn have_not_moved_since(&self, moves: Moves) -> bool {
            fence(Ordering::Acquire);
            self.head().is_none_or(|head| head.moves.load(Ordering::Relaxed) == moves.0)
        }

        /// Open connections of all processes but that of one seat.
        #[must_use]
        pub fn open_elsewhere(&self, own: usize) -> u64 {
            let others = (0..self.seats).filter(|number| *number != own);
            others
                .filter_map(|number| self.seat(number))
                .fold(0, |sum, seat| sum.saturating_add(seat.open()))
        }
    }

    /// One seat.
    #[derive(Clone, Copy, Debug)]
    pub struct Seat<'a> {
        head: &'a SeatHead,
        copies: &'a [AtomicU64],
    }

    impl<'a> Seat<'a> {
        /// Open connections of its process.
        #[must_use]
        pub fn open(&self) -> u64 {
            self.head.open.load(Ordering::Relaxed)
        }

        /// Process: so many connections are open.
        pub fn set_open(&self, connections: u64) {
            self.head.open.store(connections, Ordering::Relaxed);
        }

        /// Process: one more.
        pub fn count(&self, relay: Relay) {
            if let Some(count) = self.head.relays.get(relay as usize) {
                let more = count.load(Ordering::Relaxed).wrapping_add(1);
                count.store(more, Ordering::Relaxed);
            }
        }

        /// How many of each kind were counted, in the order of [`Relay`].
        #[must_use]
        pub fn relays(&self) -> [u64; RELAYS] {
            self.head.relays.each_ref().map(|count| count.load(Ordering::Relaxed))
        }

        /// The books of its process.
        #[must_use]
        pub const fn books(&self) -> Account<'a> {
            Account::new(&self.head.turn, self.copies)
        }

        /// Master: the seat is for another process.
        pub fn clear(&self) {
            self.head.open.store(0, Ordering::Relaxed);
            self.head.relays.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            self.books().clear();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::account::ACCOUNT_WORDS_MAX;

        #[test]
        fn a_seat_that_is_cleared_is_empty() {
            let (master, fd) = Commons::create(3, AddressRoom::default()).unwrap();
            let process = Commons::open(&fd).unwrap();
            let seat = process.seat(2).unwrap();
            let read = || {
                let mut words = [0; 2];
                assert!(master.seat(2).unwrap().books().read(&mut words));
                words
            };
            seat.books().write(&[1, 2]);
            assert_eq!(read(), [1, 2]);
            seat.count(Relay::Sent);
            (0..2).for_each(|_| seat.count(Relay::Taken));
            assert_eq!(master.seat(2).unwrap().relays(), [1, 2, 0]);
            master.seat(2).unwrap().clear();
            assert_eq!((read(), seat.relays()), ([0, 0], [0; RELAYS]));
        }

        #[test]
        fn who_reads_while_numbers_are_moved_is_told() {
            let (master, fd) = Commons::create(2, AddressRoom::default()).unwrap();
            let process = Commons::open(&fd).unwrap();
            let before = process.moves();
            assert!(before.are_over() && process.have_not_moved_since(before));
            master.set_moves(1);
            assert!(!process.have_not_moved_since(before));
            assert!(!process.moves().are_over());
            master.set_moves(2);
            assert!(process.moves().are_over() && !process.have_not_moved_since(before));
        }

        #[test]
        fn connections_of_others_are_counted_and_there_is_one_counter_of_sessions() {
            let (master, fd) = Commons::create(3, AddressRoom::default()).unwrap();
            let process = Commons::open(&fd).unwrap();
            (0..3).for_each(|number| master.seat(number).unwrap().set_open(1 << number));
            assert_eq!(process.open_elsewhere(1), 5);
            master.newest_session().unwrap().store(9, Ordering::Relaxed);
            assert_eq!(process.newest_session().unwrap().load(Ordering::Relaxed), 9);
            assert!(process.seat(3).is_none());
        }

        #[test]
        fn what_is_known_of_addresses_is_known_in_all_processes() {
            let room = AddressRoom { counts: 64, rates: 32, secret: [3, 4] };
            let (master, fd) = Commons::create(2, room).unwrap();
            let process = Commons::open(&fd).unwrap();
            assert_eq!(process.address_secret(), [3, 4]);
            assert!(process.address_counts().take(1, 9, 1));
            assert!(!master.address_counts().take(0, 9, 1));
            master.address_counts().clear(1);
            assert!(master.address_counts().take(0, 9, 1));
            // No other words.
            process.seat(1).unwrap().books().write(&[u64::MAX; ACCOUNT_WORDS_MAX]);
            assert!(master.address_rates().change(9, 1, |word| Some(word + 5)));
            assert_eq!(process.address_rates().word(9), 5);
            assert_eq!(master.address_counts().open(9), 1);
        }

        #[test]
        fn strange_files_and_numbers_are_refused() {
            let create = |seats, counts, rates| {
                Commons::create(seats, AddressRoom { counts, rates, secret: [0; 2] })
            };
            assert!(create(0, 0, 0).is_err() && create(SEATS_MAX + 1, 0, 0).is_err());
            assert!(create(1, 3, 0).is_err() && create(1, 0, 2 * PLACES_MAX).is_err());
            assert!(Commons::open(mapping::create("strange", 1 << 16, false).unwrap()).is_err());
            assert!(Commons::open(mapping::create("short", 8, false).unwrap()).is_err());
        }
    }
}
