//! How many connections are open, and who has a place among `max_connections` without being open
//! yet: one that is about to be accepted, and sessions of an old master that may come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::places::Places;

/// The number of connections. Who accepts, who answers for sessions of an old master, and reactors
/// that close may be three threads.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionCount {
    /// Those that are open, over all reactors.
    open: Arc<AtomicU64>,
    /// Sessions of an old master that may come, and have a place until they are here or do not.
    wanted: Arc<AtomicU64>,
    /// Those that the acceptor is about to take: one or none.
    accepting: Arc<AtomicU64>,
    /// Where other processes see this one's number, and it theirs.
    places: Places,
}

impl ConnectionCount {
    /// Nobody is here yet.
    pub(crate) fn new(places: Places) -> Self {
        Self { open: Arc::default(), wanted: Arc::default(), accepting: Arc::default(), places }
    }

    /// A connection was accepted.
    pub(crate) fn opened(&self) {
        let before = self.open.fetch_add(1, Ordering::SeqCst);
        self.places.tell_open(before + 1);
    }

    /// A connection is closed.
    pub(super) fn closed(&self) {
        let before = self.open.fetch_sub(1, Ordering::SeqCst);
        self.places.tell_open(before.saturating_sub(1));
    }

    /// Connections that are open in this process.
    pub(crate) fn here(&self) -> u64 {
        self.open.load(Ordering::SeqCst)
    }

    /// Connections that are open here or have a place. In this order: who comes is open before it
    /// is wanted no more.
    fn open_or_wanted(&self) -> u64 {
        let wanted = self.wanted.load(Ordering::SeqCst);
        wanted.saturating_add(self.here())
    }

    /// Connections that have a place, in this process and in others that serve clients themselves.
    pub(crate) fn everywhere(&self) -> u64 {
        self.open_or_wanted().saturating_add(self.places.open_elsewhere())
    }

    /// Whether one more connection may be open. Others may look at the same moment, in other
    /// processes or for a session of an old master: so it is said first that it is open, and of two
    /// who look at least one sees the other. Both may find no place where one was.
    /// [`ConnectionCount::settle`] takes back what was said.
    pub(crate) fn has_place(&self, most: u64) -> bool {
        self.accepting.store(1, Ordering::SeqCst);
        self.places.tell_open(self.here() + 1);
        // What was said is seen before others are looked at.
        fence(Ordering::SeqCst);
        let has_place = self.everywhere() < most;
        if !has_place {
            self.settle();
        }
        has_place
    }

    /// What was said to be open is.
    pub(crate) fn settle(&self) {
        self.accepting.store(0, Ordering::SeqCst);
        self.places.tell_open(self.here());
    }

    /// Whether a session of an old master may come, too. It has its place then, until it
    /// [came](ConnectionCount::wanted_came) or [does not](ConnectionCount::want_no_more).
    pub(crate) fn want(&self, most: u64) -> bool {
        self.wanted.fetch_add(1, Ordering::SeqCst);
        // In this order: who was accepted is open before nobody is about to be.
        let accepting = self.accepting.load(Ordering::SeqCst);
        let has_place = accepting.saturating_add(self.everywhere()) <= most;
        if !has_place {
            self.want_no_more();
        }
        has_place
    }

    /// A session that was wanted is here.
    pub(crate) fn wanted_came(&self) {
        self.opened();
        self.wanted.fetch_sub(1, Ordering::SeqCst);
    }

    /// A session that was wanted does not come.
    pub(super) fn want_no_more(&self) {
        self.wanted.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::board::{Board, BoardSizes};

    /// What two processes of BASE mode have in common.
    fn two_processes() -> [ConnectionCount; 2] {
        let (_commons, fd) = ostler_shm::commons::Commons::create(2, Default::default()).unwrap();
        [0, 1].map(|number| {
            let sizes = BoardSizes { reactors: 1, sessions: 4, ..BoardSizes::default() };
            let places = Places::new(Arc::new(Board::create(sizes).unwrap().0));
            let seat = crate::base::commons::SeatOf::open(&fd, number).unwrap();
            ConnectionCount::new(places.with(Some(seat)))
        })
    }

    #[test]
    fn a_place_that_somebody_is_about_to_take_is_no_place() {
        let [one, other] = two_processes();
        assert!(one.has_place(1) && !other.has_place(1) && other.has_place(2));
        other.settle();
        one.settle();
        assert!(other.has_place(1));
        other.opened();
        assert!(!one.has_place(1) && one.has_place(2));
        other.closed();
        assert!(one.has_place(1));
    }

    #[test]
    fn two_never_take_the_last_place_together() {
        const ROUNDS: u32 = 20_000;
        let inside = Arc::new(AtomicU64::new(0));
        let looks = two_processes().map(|count| {
            let inside = Arc::clone(&inside);
            std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    if count.has_place(1) {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two took it");
                        inside.fetch_sub(1, Ordering::SeqCst);
                        count.settle();
                    }
                }
            })
        });
        looks.into_iter().for_each(|look| look.join().unwrap());
    }

    fn one_process() -> ConnectionCount {
        let sizes = BoardSizes { reactors: 1, sessions: 4, ..BoardSizes::default() };
        ConnectionCount::new(Places::new(Arc::new(Board::create(sizes).unwrap().0)))
    }

    #[test]
    fn a_session_that_may_come_has_its_place_until_it_is_here_and_closed() {
        let count = one_process();
        assert!(count.want(2) && count.has_place(2));
        assert!(!count.want(2), "somebody is about to be accepted");
        count.settle();
        assert!(count.want(2) && !count.want(2) && !count.has_place(2));
        count.want_no_more();
        assert!(count.has_place(2));
        count.settle();
        count.wanted_came();
        assert_eq!((count.here(), count.everywhere()), (1, 1));
        assert!(!count.has_place(1) && !count.want(1));
        count.closed();
        assert!(count.want(1));
    }

    /// The only reactor accepts while the main thread answers for sessions of the old master.
    #[test]
    fn who_is_accepted_and_who_may_come_never_have_the_last_place_together() {
        const ROUNDS: u32 = 20_000;
        let count = one_process();
        let inside = AtomicU64::new(0);
        let have_it = |of: &dyn Fn()| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two have it");
            // As long as `accept(2)` may take.
            (0..50).for_each(|_| std::hint::spin_loop());
            of();
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    if count.want(1) {
                        have_it(&|| count.wanted_came());
                        count.closed();
                    }
                }
            });
            for _ in 0..ROUNDS {
                if count.has_place(1) {
                    have_it(&|| count.opened());
                    count.settle();
                    count.closed();
                }
            }
        });
    }
}
