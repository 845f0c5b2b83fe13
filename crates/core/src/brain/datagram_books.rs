//! The books of datagrams: every one that was received is somewhere, and every one that was not
//! sent has a reason.

/// Why a datagram that was received was not finished by any worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramDrop {
    /// A worker had started it and died, and it is not delivered again.
    WorkerDied,
    /// Too many workers died with it waiting at them.
    Unservable,
    /// As many as may of the same peer waited already.
    PeerFull,
    /// No worker has served for too long.
    NoWorker,
    /// It is longer than a datagram may be.
    TooLong,
    /// The server ended.
    Shutdown,
    /// Its address has sent as many in a second as one may.
    PackageRate,
}

/// How many reasons there are.
pub const DATAGRAM_DROPS: usize = 7;

impl DatagramDrop {
    /// All reasons.
    pub const ALL: [Self; DATAGRAM_DROPS] = [
        Self::WorkerDied,
        Self::Unservable,
        Self::PeerFull,
        Self::NoWorker,
        Self::TooLong,
        Self::Shutdown,
        Self::PackageRate,
    ];

    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkerDied => "worker_died",
            Self::Unservable => "unservable",
            Self::PeerFull => "peer_full",
            Self::NoWorker => "no_worker",
            Self::TooLong => "too_long",
            Self::Shutdown => "shutdown",
            Self::PackageRate => "package_rate",
        }
    }
}

/// Why a datagram of a worker was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The port's queue of unsent datagrams was full; of a unix socket: its buffer was, of what
    /// peers have not read.
    QueueFull,
    /// Its peer, a unix socket, does not read: the kernel queues no more for it.
    PeerFull,
    /// The path or the kernel does not take a datagram that long.
    TooLong,
    /// There is no way to its peer, or nobody there.
    Unreachable,
    /// Another error of the kernel.
    Failed,
    /// The port was closed: the server ended.
    Shutdown,
    /// Its worker could not complete it.
    Truncated,
}

/// How many reasons there are.
pub const NOT_SENT: usize = 7;

impl NotSent {
    /// All reasons.
    pub const ALL: [Self; NOT_SENT] = [
        Self::QueueFull,
        Self::PeerFull,
        Self::TooLong,
        Self::Unreachable,
        Self::Failed,
        Self::Shutdown,
        Self::Truncated,
    ];

    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::PeerFull => "peer_full",
            Self::TooLong => "too_long",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
            Self::Shutdown => "shutdown",
            Self::Truncated => "truncated",
        }
    }
}

/// Counters of the datagrams of one reactor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatagramBooks {
    /// Datagrams that were read from the kernel.
    pub received: u64,
    /// Datagrams whose handler finished.
    pub finished: u64,
    /// Datagrams at a worker now.
    pub in_hand: u64,
    /// Datagrams that wait for a worker now, those that came back too.
    pub waiting: u64,
    /// Datagrams dropped, by reason.
    pub dropped: [u64; DATAGRAM_DROPS],
    /// Datagrams started again after a worker's death (not part of the balance).
    pub redelivered: u64,
    /// Datagrams that the kernel dropped because a port's receive buffer was full, or because they
    /// were damaged (not part of the balance: they were never received).
    pub kernel_dropped: u64,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Datagrams of workers that were not sent, by reason.
    pub not_sent: [u64; NOT_SENT],
}

impl DatagramBooks {
    /// Calls `visit` with each counter, always in the same order.
    pub(super) fn visit(&mut self, visit: &mut (impl FnMut(&mut u64) + ?Sized)) {
        let Self {
            received,
            finished,
            in_hand,
            waiting,
            dropped,
            redelivered,
            kernel_dropped,
            sent,
            not_sent,
        } = self;
        let single = [received, finished, in_hand, waiting, redelivered, kernel_dropped, sent];
        single.into_iter().chain(dropped).chain(not_sent).for_each(visit);
    }

    /// Adds another reactor's books.
    pub(super) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.finished += other.finished;
        self.in_hand += other.in_hand;
        self.waiting += other.waiting;
        self.redelivered += other.redelivered;
        self.kernel_dropped += other.kernel_dropped;
        self.sent += other.sent;
        for (to, from) in self.dropped.iter_mut().zip(other.dropped) {
            *to += from;
        }
        for (to, from) in self.not_sent.iter_mut().zip(other.not_sent) {
            *to += from;
        }
    }

    /// One was read from the kernel: it waits until it is given.
    pub(super) const fn received(&mut self) {
        self.received += 1;
        self.waiting += 1;
    }

    /// One that waited is at a worker.
    pub(super) const fn given(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.in_hand += 1;
    }

    /// A worker has finished one.
    pub(super) const fn finished(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.finished += 1;
    }

    /// One came back from a worker and waits.
    pub(super) const fn came_back(&mut self) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.waiting += 1;
    }

    /// One that was at a worker is dropped.
    pub(super) fn dropped_at_worker(&mut self, reason: DatagramDrop) {
        self.in_hand = self.in_hand.saturating_sub(1);
        self.drop(reason, 1);
    }

    /// The process that had them is dead.
    pub(super) fn end_with_process(&mut self) {
        let lost = std::mem::take(&mut self.in_hand).saturating_add(self.waiting);
        self.waiting = 0;
        self.drop(DatagramDrop::WorkerDied, lost);
    }

    /// Some that waited are dropped.
    pub(super) fn dropped_waiting(&mut self, reason: DatagramDrop, datagrams: u64) {
        self.waiting = self.waiting.saturating_sub(datagrams);
        self.drop(reason, datagrams);
    }

    fn drop(&mut self, reason: DatagramDrop, datagrams: u64) {
        if let Some(count) = self.dropped.get_mut(reason as usize) {
            *count += datagrams;
        }
    }

    /// Datagrams of workers were not sent.
    pub(super) fn not_sent(&mut self, reason: NotSent, datagrams: u64) {
        if let Some(count) = self.not_sent.get_mut(reason as usize) {
            *count += datagrams;
        }
    }

    /// Datagrams dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Datagrams of workers that were not sent for any reason.
    #[must_use]
    pub fn not_sent_total(&self) -> u64 {
        self.not_sent.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::Books;

    fn balance(datagrams: &DatagramBooks) -> bool {
        Books { datagrams: datagrams.clone(), ..Books::default() }.balance()
    }

    #[test]
    fn a_datagram_is_in_one_place_and_leaves_by_one_way() {
        let mut books = DatagramBooks::default();
        for _ in 0..10 {
            books.received();
        }
        (0..6).for_each(|_| books.given());
        assert_eq!((books.waiting, books.in_hand), (4, 6));
        books.finished();
        books.came_back();
        books.dropped_at_worker(DatagramDrop::WorkerDied);
        books.dropped_waiting(DatagramDrop::PeerFull, 2);
        assert_eq!((books.waiting, books.in_hand, books.finished), (3, 3, 1));
        assert_eq!(books.dropped[DatagramDrop::WorkerDied as usize], 1);
        assert_eq!(books.dropped[DatagramDrop::PeerFull as usize], 2);
        assert_eq!(books.dropped_total(), 3);
        assert!(balance(&books), "{books:?}");
    }

    #[test]
    fn one_datagram_too_many_anywhere_and_the_books_do_not_balance() {
        let right = DatagramBooks { received: 5, finished: 5, ..DatagramBooks::default() };
        assert!(balance(&right));
        let parts: [fn(&mut DatagramBooks) -> &mut u64; 5] = [
            |books| &mut books.received,
            |books| &mut books.finished,
            |books| &mut books.in_hand,
            |books| &mut books.waiting,
            |books| &mut books.dropped[3],
        ];
        for part in parts {
            let mut wrong = right.clone();
            *part(&mut wrong) += 1;
            assert!(!balance(&wrong), "{wrong:?}");
        }
    }

    #[test]
    fn every_reason_has_a_counter_and_a_name_of_its_own() {
        for (index, reason) in DatagramDrop::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(DatagramDrop::ALL.iter().filter(|r| r.name() == reason.name()).count(), 1);
        }
        let mut books = DatagramBooks::default();
        for (index, reason) in NotSent::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            assert_eq!(NotSent::ALL.iter().filter(|r| r.name() == reason.name()).count(), 1);
            books.not_sent(reason, index as u64 + 1);
        }
        assert_eq!((books.not_sent, books.not_sent_total()), ([1, 2, 3, 4, 5, 6, 7], 28));
    }
}
