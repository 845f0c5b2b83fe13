//! The books: every session and every package is somewhere, at any time.

use super::close_reason::{CLOSE_REASONS, CloseReason};
use super::datagram_books::DatagramBooks;
use crate::accepting::AcceptCounts;
use crate::file_counts::FileCounts;
use crate::handshakes::HandshakeCounts;
use crate::proxy_protocol::HeaderCounts;

/// What became of a package that was at a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackageFate {
    /// Its handler finished.
    Finished,
    /// It came back and waits to be given again.
    Waits,
    /// The crash policy `drop` forgot it.
    DroppedWorkerDied,
    /// Its session had ended.
    DroppedSessionGone,
    /// Its session was closed because of it.
    ClosedBy(CloseReason),
    /// It was never given: its client was told that it is refused.
    Refused,
}

/// Counters of one reactor. They change only by the methods below, each of which keeps the balance;
/// those of several are added up with [`Books::add`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Sessions accepted.
    pub accepted: u64,
    /// Sessions open now.
    pub open: u64,
    /// Sessions closed, by reason.
    pub closed: [u64; CLOSE_REASONS],
    /// Packages read from clients (given to a worker for the first time; bytes in the kernel are
    /// not received yet).
    pub received: u64,
    /// Packages whose handler finished.
    pub finished: u64,
    /// Packages at a worker now.
    pub in_hand: u64,
    /// Packages taken back from a worker and waiting now.
    pub recalled: u64,
    /// Packages refused: answered by the server because no worker took them in time.
    pub refused: u64,
    /// Started packages dropped by the crash policy `drop`.
    pub dropped_worker_died: u64,
    /// Packages that waited and were dropped because their session had ended or been closed.
    pub dropped_session_gone: u64,
    /// Packages that ended with their session closed because of them, by reason.
    pub closed_by: [u64; CLOSE_REASONS],
    /// Packages started again after a worker's death (not part of the balance).
    pub redelivered: u64,
    /// Packages taken back before they were started (not part of the balance).
    pub recalls: u64,
    /// Outputs for sessions that had ended (not part of the balance).
    pub output_session_gone: u64,
    /// Shortages of memory that this reactor was the first to notice (not part of the balance).
    pub memory_shortages: u64,
    /// Bytes of such outputs, and of unsent output dropped with its session (not part of the
    /// balance).
    pub output_dropped_bytes: u64,
    /// Bytes that clients had sent and nobody was given, by the reason for which they were thrown
    /// away (not part of the balance, which counts packages).
    pub input_dropped_bytes: [u64; CLOSE_REASONS],
    /// Finished packages of which a part was not used and was given again (not part of the balance:
    /// with what came since it is another package).
    pub continued: u64,
    /// Sessions refused because too many waited for a worker (not part of the balance, which has
    /// them as closed).
    pub refused_queue_full: u64,
    /// Sessions refused because they had waited for a worker for too long (the same).
    pub refused_queue_wait: u64,
    /// How often a session was not read for a while because it had sent more than it may in a time
    /// (not part of the balance).
    pub held_back: u64,
    /// Packages that were refused, with their sessions or alone, because the address of their
    /// client had sent as many as it may (not part of the balance).
    pub refused_package_rate: u64,
    /// The books of datagrams, which have an equation of their own.
    pub datagrams: DatagramBooks,
    /// What became of connections before they were sessions (not part of the balance).
    pub handshakes: HandshakeCounts,
    /// What became of those of which a proxy's header was awaited (not part of the balance).
    pub proxy_headers: HeaderCounts,
    /// Connections that were refused when they were accepted (not part of the balance).
    pub accepting: AcceptCounts,
    /// What became of files that workers sent (not part of the balance).
    pub files: FileCounts,
}

impl Books {
    /// Adds another reactor's books.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.open += other.open;
        self.received += other.received;
        self.finished += other.finished;
        self.in_hand += other.in_hand;
        self.recalled += other.recalled;
        self.refused += other.refused;
        self.dropped_worker_died += other.dropped_worker_died;
        self.dropped_session_gone += other.dropped_session_gone;
        self.redelivered += other.redelivered;
        self.recalls += other.recalls;
        self.output_session_gone += other.output_session_gone;
        self.memory_shortages += other.memory_shortages;
        self.output_dropped_bytes += other.output_dropped_bytes;
        self.continued += other.continued;
        self.refused_queue_full += other.refused_queue_full;
        self.refused_queue_wait += other.refused_queue_wait;
        self.held_back += other.held_back;
        self.refused_package_rate += other.refused_package_rate;
        self.datagrams.add(&other.datagrams);
        self.handshakes.add(&other.handshakes);
        self.proxy_headers.add(&other.proxy_headers);
        self.accepting.add(&other.accepting);
        self.files.add(&other.files);
        for (to, from) in self.closed.iter_mut().zip(other.closed) {
            *to += from;
        }
        for (to, from) in self.closed_by.iter_mut().zip(other.closed_by) {
            *to += from;
        }
        for (to, from) in self.input_dropped_bytes.iter_mut().zip(other.input_dropped_bytes) {
            *to += from;
        }
    }

    /// A session was accepted.
    pub(super) const fn session_accepted(&mut self) {
        self.accepted += 1;
        self.open += 1;
    }

    /// A session was closed.
    pub(super) fn session_closed(&mut self, reason: CloseReason) {
        self.open = self.open.saturating_sub(1);
        if let Some(count) = self.closed.get_mut(reason as usize) {
            *count += 1;
        }
    }

    /// A package was read from a client and given to a worker.
    pub(super) const fn package_received(&mut self) {
        self.received += 1;
        self.in_hand += 1;
    }

    /// A package that had come back was given to a worker.
    pub(super) const fn package_given_again(&mut self) {
        self.recalled = self.recalled.saturating_sub(1);
        self.in_hand += 1;
    }

    /// A package at a worker is there no more: it is finished, waits, or ended in another way.
    pub(super) fn package_left_worker(&mut self, fate: PackageFate) {
        self.in_hand = self.in_hand.saturating_sub(1);
        match fate {
            PackageFate::Finished => self.finished += 1,
            PackageFate::Waits => self.recalled += 1,
            PackageFate::DroppedWorkerDied => self.dropped_worker_died += 1,
            PackageFate::DroppedSessionGone => self.dropped_session_gone += 1,
            PackageFate::Refused => self.refused += 1,
            PackageFate::ClosedBy(reason) => {
                if let Some(count) = self.closed_by.get_mut(reason as usize) {
                    *count += 1;
                }
            }
        }
    }

    /// Packages that waited were dropped because their session had ended.
    pub(super) const fn waiting_dropped(&mut self, packages: u64) {
        self.recalled = self.recalled.saturating_sub(packages);
        self.dropped_session_gone += packages;
    }

    /// A package that waited is refused.
    pub(super) const fn waiting_refused(&mut self) {
        self.recalled = self.recalled.saturating_sub(1);
        self.refused += 1;
    }

    /// A delivery was taken back before it was started.
    pub(super) const fn delivery_recalled(&mut self) {
        self.recalls += 1;
    }

    /// A package is started again after a worker's death.
    pub(super) const fn package_redelivered(&mut self) {
        self.redelivered += 1;
    }

    /// An output came for a session that had ended.
    pub(super) const fn output_gone(&mut self, bytes: u64) {
        self.output_session_gone += 1;
        self.output_dropped_bytes += bytes;
    }

    /// Unsent output was dropped with its session.
    pub(super) const fn output_dropped(&mut self, bytes: u64) {
        self.output_dropped_bytes += bytes;
    }

    /// Input was thrown away.
    pub(super) fn input_dropped(&mut self, reason: CloseReason, bytes: u64) {
        if let Some(count) = self.input_dropped_bytes.get_mut(reason as usize) {
            *count += bytes;
        }
    }

    /// A part of a finished package is given again.
    pub(super) const fn package_continued(&mut self) {
        self.continued += 1;
    }

    /// A session was refused because too many wait for a worker.
    pub(super) const fn session_beyond_queue(&mut self) {
        self.refused_queue_full += 1;
    }

    /// A session was refused because it had waited for a worker for too long.
    pub(super) const fn session_waited_too_long(&mut self) {
        self.refused_queue_wait += 1;
    }

    /// A session is not read for a while.
    pub(super) const fn session_held_back(&mut self) {
        self.held_back += 1;
    }

    /// The address of a client has sent as many packages as it may.
    pub(super) const fn package_over_rate(&mut self) {
        self.refused_package_rate += 1;
    }

    /// Bytes of input thrown away for any reason.
    #[must_use]
    pub fn input_dropped_total(&self) -> u64 {
        self.input_dropped_bytes.iter().sum()
    }

    /// This reactor was the first to notice that memory is lacking.
    pub(super) const fn memory_lacked(&mut self) {
        self.memory_shortages += 1;
    }

    /// Sessions closed for any reason.
    #[must_use]
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// Packages that ended by a close, for any reason.
    #[must_use]
    pub fn closed_by_total(&self) -> u64 {
        self.closed_by.iter().sum()
    }

    /// Packages dropped for any reason.
    #[must_use]
    pub const fn dropped_total(&self) -> u64 {
        self.dropped_worker_died + self.dropped_session_gone
    }

    /// Whether the equations hold: `accepted = open + closed`,
    /// `received = finished + in hand + recalled + refused + dropped + closed_by`, and that of
    /// datagrams.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.datagrams.balance()
            && self.accepted == self.open + self.closed_total()
            && self.received
                == self.finished
                    + self.in_hand
                    + self.recalled
                    + self.refused
                    + self.dropped_total()
                    + self.closed_by_total()
    }
}

#[cfg(test)]
mod tests {
    use super::super::datagram_books::{DATAGRAM_DROPS, NOT_SENT};
    use super::*;
    use crate::proxy_protocol::BAD_HEADERS;

    /// The numbers in the text of a value, in their order.
    fn numbers(books: &Books) -> Vec<u64> {
        let text = format!("{books:?}");
        text.split(|letter: char| !letter.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect()
    }

    /// What a package may go through: from nowhere to a worker, back, and out of the books.
    #[test]
    fn a_package_is_in_one_place_and_leaves_by_one_way() {
        let mut books = Books::default();
        for _ in 0..10 {
            books.package_received();
        }
        assert_eq!((books.received, books.in_hand), (10, 10));
        let fates = [
            PackageFate::Finished,
            PackageFate::DroppedWorkerDied,
            PackageFate::DroppedSessionGone,
            PackageFate::ClosedBy(CloseReason::WorkerDied),
            PackageFate::Waits,
            PackageFate::Waits,
            PackageFate::Waits,
        ];
        for fate in fates {
            books.package_left_worker(fate);
            assert!(books.balance(), "{fate:?} {books:?}");
        }
        assert_eq!((books.in_hand, books.recalled), (3, 3));
        books.package_given_again();
        assert_eq!((books.in_hand, books.recalled), (4, 2));
        books.waiting_dropped(2);
        assert!(books.balance(), "{books:?}");
        assert_eq!((books.in_hand, books.recalled, books.finished), (4, 0, 1));
        assert_eq!((books.dropped_worker_died, books.dropped_session_gone), (1, 3));
        assert_eq!((books.dropped_total(), books.closed_by_total()), (4, 1));
        assert_eq!(books.closed_by[CloseReason::WorkerDied as usize], 1);
    }

    #[test]
    fn a_session_is_open_or_closed_for_a_reason() {
        let mut books = Books::default();
        (0..3).for_each(|_| books.session_accepted());
        assert_eq!((books.accepted, books.open), (3, 3));
        books.session_closed(CloseReason::Peer);
        books.session_closed(CloseReason::SlowReader);
        assert_eq!((books.open, books.closed_total()), (1, 2));
        assert_eq!(books.closed[CloseReason::SlowReader as usize], 1);
        assert!(books.balance());
    }

    /// What is thrown away is counted in bytes, and outputs for ended sessions one by one as well.
    #[test]
    fn what_is_thrown_away_is_counted() {
        let mut books = Books::default();
        books.output_gone(100);
        books.output_gone(20);
        books.output_dropped(3);
        books.output_dropped(4);
        assert_eq!((books.output_session_gone, books.output_dropped_bytes), (2, 127));
        books.input_dropped(CloseReason::Peer, 10);
        books.input_dropped(CloseReason::Peer, 5);
        books.input_dropped(CloseReason::Shutdown, 1);
        assert_eq!(books.input_dropped_bytes[CloseReason::Peer as usize], 15);
        assert_eq!(books.input_dropped_total(), 16);
        (0..2).for_each(|_| books.delivery_recalled());
        (0..3).for_each(|_| books.package_redelivered());
        (0..4).for_each(|_| books.package_continued());
        (0..5).for_each(|_| books.memory_lacked());
        assert_eq!((books.recalls, books.redelivered), (2, 3));
        assert_eq!((books.continued, books.memory_shortages), (4, 5));
        assert!(books.balance(), "none of it is part of the balance");
    }

    /// One package or session too many or too few anywhere, and the books do not balance.
    #[test]
    fn the_balance_sees_every_counter_that_is_a_part_of_it() {
        let right = Books {
            accepted: 40,
            open: 10,
            closed: [2; CLOSE_REASONS],
            received: 300,
            finished: 100,
            in_hand: 20,
            recalled: 30,
            refused: 4,
            dropped_worker_died: 50,
            dropped_session_gone: 6,
            closed_by: [6; CLOSE_REASONS],
            ..Books::default()
        };
        let sessions = right.open + right.closed_total();
        let packages = right.finished
            + right.in_hand
            + right.recalled
            + right.refused
            + right.dropped_total()
            + right.closed_by_total();
        let right = Books { accepted: sessions, received: packages, ..right };
        assert!(right.balance());
        let parts: [fn(&mut Books) -> &mut u64; 11] = [
            |books| &mut books.accepted,
            |books| &mut books.open,
            |books| &mut books.closed[3],
            |books| &mut books.received,
            |books| &mut books.finished,
            |books| &mut books.in_hand,
            |books| &mut books.recalled,
            |books| &mut books.refused,
            |books| &mut books.dropped_worker_died,
            |books| &mut books.dropped_session_gone,
            |books| &mut books.closed_by[7],
        ];
        for (index, part) in parts.iter().enumerate() {
            for change in [1, u64::MAX] {
                let mut wrong = right.clone();
                let counter = part(&mut wrong);
                *counter = counter.wrapping_add(change);
                assert!(!wrong.balance(), "{index}");
            }
        }
    }

    /// Every counter of the sum is the sum of the counters, also of one that is added later: a
    /// counter without a value here fails the test.
    #[test]
    fn the_books_of_reactors_are_added_counter_by_counter() {
        let one = Books {
            accepted: 3,
            open: 5,
            closed: [7; CLOSE_REASONS],
            received: 11,
            finished: 13,
            in_hand: 17,
            recalled: 19,
            refused: 23,
            dropped_worker_died: 29,
            dropped_session_gone: 31,
            closed_by: [37; CLOSE_REASONS],
            redelivered: 41,
            recalls: 43,
            output_session_gone: 47,
            memory_shortages: 53,
            output_dropped_bytes: 59,
            input_dropped_bytes: [61; CLOSE_REASONS],
            continued: 67,
            refused_queue_full: 71,
            refused_queue_wait: 73,
            held_back: 79,
            refused_package_rate: 83,
            datagrams: DatagramBooks {
                received: 71,
                finished: 73,
                in_hand: 79,
                waiting: 83,
                dropped: [89; DATAGRAM_DROPS],
                redelivered: 97,
                kernel_dropped: 101,
                sent: 103,
                not_sent: [107; NOT_SENT],
            },
            handshakes: HandshakeCounts {
                begun: 71,
                done: 73,
                resumed: 79,
                failed: 83,
                timed_out: 89,
                crowded_out: 97,
                ended: 101,
            },
            proxy_headers: HeaderCounts {
                awaited: 103,
                read: 107,
                untrusted: 109,
                bad: [113; BAD_HEADERS],
                left: 127,
                timed_out: 131,
                crowded_out: 137,
                ended: 139,
            },
            accepting: AcceptCounts {
                refused_no_descriptor: 103,
                refused_address_full: 107,
                refused_connection_rate: 109,
                accept_rests: 109,
            },
            files: FileCounts { taken: 113, sent: 127, failed: 131, refused: 137, disk_waits: 139 },
        };
        assert!(!numbers(&one).contains(&0));
        let mut sum = one.clone();
        sum.add(&one);
        sum.add(&one);
        let tripled: Vec<u64> = numbers(&one).into_iter().map(|number| 3 * number).collect();
        assert_eq!(numbers(&sum), tripled);
    }
}
