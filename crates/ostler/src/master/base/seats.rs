//! Who of BASE mode lives, and the books of who does not.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_core::Millis;
use ostler_core::brain::Books;
use ostler_core::ids::ProcessKey;
use ostler_shm::commons::{Commons, RELAYS};

use super::SeatToken;
use super::introductions::{HOLD_MS, Introductions};
use crate::base::commons::read_books;
use crate::control::{Channel, FromProcess, ToProcess};
use crate::master::watched::Watched;
use crate::sys::epoll::Epoll;
use crate::sys::pidfd::PidFd;

/// A process, from the time that it is asked for to its death.
pub(super) struct Seat {
    key: ProcessKey,
    link: Channel<ToProcess, FromProcess>,
    /// Once it was forked.
    pidfd: Option<PidFd>,
    /// It was told to serve.
    serves: bool,
    /// It has said that no session is left.
    is_drained: bool,
    /// It was told to leave.
    leaves: bool,
    datagrams: Datagrams,
    /// Its session table, once it has shown that.
    board: Option<OwnedFd>,
    introductions: Introductions,
    /// It is told then what it shows clients of encrypted ports: it could not be before.
    certificates_at: Option<Millis>,
    watched: Watched,
}

/// Who reads the datagrams of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Datagrams {
    /// Not this process, until now.
    Unread,
    /// This one, or it has some of them in hand.
    Read,
    /// This process did, and has none in hand.
    Settled,
}

impl Seat {
    /// A process that will be forked.
    pub(super) fn new(key: ProcessKey, link: Channel<ToProcess, FromProcess>) -> Self {
        Self {
            key,
            link,
            pidfd: None,
            serves: false,
            is_drained: false,
            leaves: false,
            datagrams: Datagrams::Unread,
            board: None,
            introductions: Introductions::default(),
            certificates_at: None,
            watched: Watched::default(),
        }
    }

    /// Begins to watch its link, at the seat with this number.
    pub(super) fn begin_to_watch(&mut self, number: usize, epoll: &Epoll) -> io::Result<()> {
        self.watched = Watched::begin(&self.link, SeatToken::Link(number).pack(), epoll)?;
        Ok(())
    }

    /// Watches for room while something waits for that, and no longer: it is there all the time.
    fn watch_link(&mut self, number: usize, epoll: &Epoll) {
        let token = SeatToken::Link(number).pack();
        self.watched.follow(self.link.interest(), &self.link, token, epoll);
    }

    /// Nothing is heard or told any more: its end is told by its pidfd.
    pub(super) fn end_link(&mut self, epoll: &Epoll) {
        self.watched.end(&self.link, epoll);
    }

    pub(super) const fn key(&self) -> ProcessKey {
        self.key
    }

    pub(super) const fn link(&self) -> &Channel<ToProcess, FromProcess> {
        &self.link
    }

    pub(super) const fn link_mut(&mut self) -> &mut Channel<ToProcess, FromProcess> {
        &mut self.link
    }

    /// Its session table. False: it has shown one before.
    pub(super) fn set_board(&mut self, board: OwnedFd) -> bool {
        self.board.is_none() && self.board.replace(board).is_none()
    }

    pub(super) const fn has_board(&self) -> bool {
        self.board.is_some()
    }

    /// A copy of it, for another process. None when there is none, or no descriptor for it.
    pub(super) fn board(&self) -> Option<OwnedFd> {
        self.board.as_ref()?.try_clone().ok()
    }

    pub(super) const fn introductions(&mut self) -> &mut Introductions {
        &mut self.introductions
    }

    pub(super) const fn pidfd(&self) -> Option<&PidFd> {
        self.pidfd.as_ref()
    }

    pub(super) fn watch(&mut self, pidfd: PidFd) {
        self.pidfd = Some(pidfd);
    }

    pub(super) const fn note_drained(&mut self) {
        self.is_drained = true;
    }

    /// It reads no datagrams any more. Whoever says that before it was told to leave reads on: no
    /// other process of its slot waits for it.
    pub(super) const fn note_settled(&mut self) {
        self.datagrams = Datagrams::Settled;
    }

    /// Tells it something. If it cannot be reached it is dying, which its pidfd tells.
    pub(super) fn tell(&mut self, message: ToProcess, descriptors: Vec<OwnedFd>) {
        self.serves |= message == ToProcess::Serve;
        self.leaves |= message == ToProcess::Leave;
        if let Err(error) = self.link.send(&message, descriptors) {
            tracing::debug!(worker = %self.key, %error, "cannot be reached");
        }
    }

    /// When what it is to be told is tried again.
    pub(super) fn retry_at(&self) -> Option<Millis> {
        let held_until = self.introductions.held_until();
        [self.link.retry_at(), held_until, self.certificates_at].into_iter().flatten().min()
    }

    /// It could not be told what it shows clients of encrypted ports: for want of a descriptor, for
    /// example.
    pub(super) const fn lacks_certificates(&mut self, now: Millis) {
        self.certificates_at = Some(now.saturating_add(HOLD_MS));
    }

    /// Whether it is time to tell it that.
    pub(super) fn is_to_have_certificates(&mut self, now: Millis) -> bool {
        self.certificates_at.take_if(|at| now >= *at).is_some()
    }
}

/// All seats.
pub(super) struct Seats {
    commons: Arc<Commons>,
    seats: Vec<Option<Seat>>,
    /// Of those that are gone.
    books: Books,
    /// Outputs for sessions of other processes that those which are gone have counted.
    relays: [u64; RELAYS],
    /// How often books were taken from a seat, or have come to where everybody reads them: odd
    /// while some are in neither place.
    moves: u64,
}

impl Seats {
    pub(super) fn new(commons: Arc<Commons>) -> Self {
        let seats = (0..commons.seats()).map(|_| None).collect();
        Self { commons, seats, books: Books::default(), relays: [0; RELAYS], moves: 0 }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.seats.len()
    }

    /// Outputs for sessions of other processes that were counted, by kind.
    pub(super) const fn relays(&self) -> &[u64; RELAYS] {
        &self.relays
    }

    /// The number of a free seat, which this process has from now on.
    pub(super) fn take(&mut self, seat: Seat) -> Option<usize> {
        let number = self.seats.iter().position(Option::is_none)?;
        *self.seats.get_mut(number)? = Some(seat);
        Some(number)
    }

    pub(super) fn get(&self, number: usize) -> Option<&Seat> {
        self.seats.get(number)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Seat> {
        self.seats.get_mut(number)?.as_mut()
    }

    pub(super) fn find(&mut self, key: ProcessKey) -> Option<(usize, &mut Seat)> {
        let mut seats = self.seats.iter_mut().enumerate();
        seats.find_map(|(number, seat)| {
            seat.as_mut().filter(|seat| seat.key == key).map(|seat| (number, seat))
        })
    }

    pub(super) fn retry_at(&self) -> Option<Millis> {
        self.seats.iter().flatten().filter_map(Seat::retry_at).min()
    }

    /// Tells them what they could not be told before.
    pub(super) fn tell_again(&mut self, now: Millis) {
        for number in 0..self.seats.len() {
            let Some(seat) = self.get_mut(number) else { continue };
            if seat.retry_at().is_some_and(|at| now >= at) {
                // One that cannot be reached is dying, which its pidfd tells.
                let _ = seat.link.send_again(now);
                self.post(number);
            }
        }
    }

    /// Whatever they were told since the last time: watches for room where something waits for it.
    pub(super) fn watch_links(&mut self, epoll: &Epoll) {
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if let Some(seat) = seat {
                seat.watch_link(number, epoll);
            }
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = ProcessKey> + '_ {
        self.seats.iter().flatten().map(|seat| seat.key)
    }

    /// A process is gone: its books count, and what it had open has ended with it.
    pub(super) fn free(&mut self, key: ProcessKey) -> Option<Seat> {
        let (number, _) = self.find(key)?;
        let mut books = read_books(&self.commons, number);
        books.end_with_process();
        self.books.add(&books);
        self.begin_moving();
        if let Some(seat) = self.commons.seat(number) {
            for (all, more) in self.relays.iter_mut().zip(seat.relays()) {
                *all = all.saturating_add(more);
            }
            seat.clear();
        }
        self.commons.address_counts().clear(number);
        let seat = self.seats.get_mut(number)?.take()?;
        if seat.has_board() {
            self.tell_of_end(number, key);
        }
        Some(seat)
    }

    /// Books leave their seat, and are nowhere to be read until [`Seats::moved`].
    fn begin_moving(&mut self) {
        if self.moves & 1 == 0 {
            self.moves += 1;
            self.commons.set_moves(self.moves);
        }
    }

    /// The books of those that are gone were written where everybody reads them.
    pub(super) fn moved(&mut self) {
        if self.moves & 1 == 1 {
            self.moves += 1;
            self.commons.set_moves(self.moves);
        }
    }

    /// Who reads the datagrams of its slot from now on, because nobody else does.
    pub(super) fn take_next_readers(&mut self) -> Vec<ProcessKey> {
        let reads = |seat: &Seat, slot| seat.datagrams == Datagrams::Read && seat.key.slot == slot;
        let mut readers = Vec::new();
        for number in 0..self.seats.len() {
            let Some(seat) = self.get(number) else { continue };
            let (key, waits) = (seat.key, seat.datagrams == Datagrams::Unread);
            if !waits || !seat.serves || seat.leaves {
                continue;
            }
            if self.seats.iter().flatten().any(|seat| reads(seat, key.slot)) {
                continue;
            }
            if let Some(seat) = self.get_mut(number) {
                seat.datagrams = Datagrams::Read;
                readers.push(key);
            }
        }
        readers
    }

    /// Whether nobody who was told to serve has a session left.
    pub(super) fn are_drained(&self) -> bool {
        self.seats.iter().flatten().all(|seat| seat.is_drained || !seat.serves)
    }

    /// Connections that are open in all processes.
    pub(super) fn open(&self) -> u64 {
        self.commons.open_elsewhere(usize::MAX)
    }

    pub(super) const fn books(&self) -> &Books {
        &self.books
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::commons::SeatOf;
    use crate::sys::control_socket;
    use ostler_core::brain::CloseReason;

    fn seat(slot: u16) -> (Seat, std::os::fd::OwnedFd) {
        let (near, far) = control_socket::pair().unwrap();
        (Seat::new(ProcessKey::event(slot, 1), Channel::new(near)), far)
    }

    #[test]
    fn seats_are_used_again_and_the_books_of_the_dead_add_up() {
        let (commons, fd) = Commons::create(2, Default::default()).unwrap();
        let mut seats = Seats::new(Arc::new(commons));
        let (one, _far) = seat(0);
        let (two, _far) = seat(1);
        let (three, _far) = seat(2);
        let (four, _far) = seat(3);
        assert_eq!((seats.take(one), seats.take(two), seats.take(three)), (Some(0), Some(1), None));
        let process = SeatOf::open(&fd, 1).unwrap();
        process.set_open(3);
        let mut words = [0; 2];
        words.copy_from_slice(&[5, 3]); // accepted, open
        process.commons().seat(1).unwrap().books().write(&words);
        assert!(seats.free(ProcessKey::event(1, 1)).is_some());
        assert!(seats.free(ProcessKey::event(1, 1)).is_none());
        let books = seats.books();
        assert_eq!((books.accepted, books.open), (5, 0));
        assert_eq!(books.closed[CloseReason::WorkerDied as usize], 3);
        assert_eq!(process.commons().seat(1).unwrap().open(), 0, "for its successor");
        assert_eq!(seats.take(four), Some(1));
        // They are on their way until the master has told them.
        assert!(!process.commons().moves().are_over());
        seats.moved();
        assert!(process.commons().moves().are_over());
    }

    #[test]
    fn the_datagrams_of_a_slot_have_one_reader_at_a_time() {
        let (commons, _fd) = Commons::create(4, Default::default()).unwrap();
        let mut seats = Seats::new(Arc::new(commons));
        let mut ends = Vec::new();
        for (slot, generation) in [(0, 1), (1, 1), (0, 2), (0, 3)] {
            let (near, far) = control_socket::pair().unwrap();
            let key = ProcessKey::event(slot, generation);
            seats.take(Seat::new(key, Channel::new(near))).unwrap();
            ends.push(far);
        }
        let [first, other, second, third] =
            [(0, 1), (1, 1), (0, 2), (0, 3)].map(|(slot, n)| ProcessKey::event(slot, n));
        let tell = |seats: &mut Seats, key, message| {
            seats.find(key).unwrap().1.tell(message, Vec::new());
            seats.take_next_readers()
        };
        assert_eq!(seats.take_next_readers(), []);
        assert_eq!(tell(&mut seats, first, ToProcess::Serve), [first]);
        assert_eq!(tell(&mut seats, other, ToProcess::Serve), [other]);
        assert_eq!(tell(&mut seats, second, ToProcess::Serve), [], "one reads");
        assert_eq!(tell(&mut seats, first, ToProcess::Leave), [], "and has some in hand");
        // It is replaced before it has begun.
        assert_eq!(tell(&mut seats, third, ToProcess::Serve), []);
        assert_eq!(tell(&mut seats, second, ToProcess::Leave), []);
        seats.find(first).unwrap().1.note_settled();
        assert_eq!(seats.take_next_readers(), [third]);
        assert_eq!(seats.take_next_readers(), [], "it is told once");
        // A death settles everything.
        tell(&mut seats, third, ToProcess::Leave);
        seats.free(third);
        let (near, _far) = control_socket::pair().unwrap();
        let fourth = ProcessKey::event(0, 4);
        seats.take(Seat::new(fourth, Channel::new(near))).unwrap();
        assert_eq!(tell(&mut seats, fourth, ToProcess::Serve), [fourth]);
    }

    #[test]
    fn a_server_is_drained_when_everybody_who_served_has_said_so_or_is_gone() {
        let (commons, _fd) = Commons::create(3, Default::default()).unwrap();
        let mut seats = Seats::new(Arc::new(commons));
        let mut ends = Vec::new();
        for slot in 0..3 {
            let (seat, far) = seat(slot);
            seats.take(seat).unwrap();
            ends.push(far);
        }
        assert!(seats.are_drained(), "nobody serves");
        seats.get_mut(0).unwrap().tell(ToProcess::Serve, Vec::new());
        seats.get_mut(1).unwrap().tell(ToProcess::Serve, Vec::new());
        seats.get_mut(0).unwrap().note_drained();
        assert!(!seats.are_drained());
        seats.free(ProcessKey::event(1, 1));
        assert!(seats.are_drained());
    }
}
