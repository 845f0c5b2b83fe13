//! A shortage of memory from its first lack to its end: how long everybody waits for memory that
//! comes back by itself, and whose session pays when it does not.
//!
//! The victim is chosen over all reactors, although each knows only its own sessions: every reactor
//! bids what its largest session holds, the highest bid pays. It closes its sessions, the largest
//! first, down to the second bid; then everybody bids again, until there is room.

use crate::Nanos;

/// How long memory may be lacking before a session pays for it: a burst that ends by itself costs
/// nobody anything.
pub const PATIENCE_NS: Nanos = 100_000_000;
/// What happens so soon after the last line about a shortage is not logged by itself; it is told
/// together, once this time has passed.
pub const SAY_AGAIN_NS: Nanos = 10_000_000_000;

/// What [`Shortage::lack`] made of a lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A shortage begins. Who noticed it calls for bids when it is [due](Shortage::due); `say`: it
    /// is to be logged.
    Begins {
        /// Whether it is long enough since the last one was logged.
        say: bool,
    },
    /// The bids are due now; who noticed it calls for them.
    IsUrgent,
    /// It is known already.
    IsKnown,
}

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Award {
    /// This reactor closes its sessions, the largest first, while they hold at least `floor` bytes.
    Pays {
        /// Which.
        reactor: usize,
        /// What the largest session of the other reactors holds, bytes.
        floor: u64,
    },
    /// No session holds anything: everybody waits once more.
    Nobody,
}

/// What [`Shortage::end`] makes of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is to be logged now.
    Tell(Ended),
    /// A line was written a short time ago: at this moment [`Shortage::take_untold`] has what is to
    /// be logged then.
    TellAt(Nanos),
}

/// What shortages were that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How long they lasted, all together.
    pub lasted_ns: Nanos,
    /// Shortages that this report is about: those that were not logged by themselves are told
    /// together.
    pub shortages: u64,
    /// Sessions that were closed.
    pub sessions: u64,
    /// Bytes that they held.
    pub bytes: u64,
}

#[derive(Debug)]
enum State {
    /// Nothing is lacking.
    Over,
    /// Memory may come back by itself until then.
    Waiting { due: Nanos },
    /// What the largest session of each reactor holds, as far as they have said.
    Bidding { bids: Vec<Option<u64>> },
    /// A reactor closes sessions.
    Paying,
}

/// The shortage of the whole master; the reactors share one.
#[derive(Debug)]
pub struct Shortage {
    reactors: usize,
    state: State,
    began_at: Nanos,
    /// When a shortage was logged last.
    said_at: Option<Nanos>,
    /// Whether the running one was logged.
    said: bool,
    /// What has not been logged yet.
    lasted_ns: Nanos,
    shortages: u64,
    sessions: u64,
    bytes: u64,
}

impl Shortage {
    /// No shortage, among so many reactors.
    #[must_use]
    pub const fn new(reactors: usize) -> Self {
        Self {
            reactors,
            state: State::Over,
            began_at: 0,
            said_at: None,
            said: false,
            lasted_ns: 0,
            shortages: 0,
            sessions: 0,
            bytes: 0,
        }
    }

    /// A reactor lacks memory; `urgent`: it has taken some beyond the budget already.
    pub fn lack(&mut self, now: Nanos, urgent: bool) -> Lack {
        let due = if urgent { now } else { now + PATIENCE_NS };
        match &mut self.state {
            State::Over => {
                self.state = State::Waiting { due };
                self.began_at = now;
                self.shortages += 1;
                self.said = self.tell_at().is_none_or(|at| at <= now);
                if self.said {
                    self.said_at = Some(now);
                }
                Lack::Begins { say: self.said }
            }
            State::Waiting { due: later } if due < *later => {
                *later = due;
                Lack::IsUrgent
            }
            State::Waiting { .. } | State::Bidding { .. } | State::Paying => Lack::IsKnown,
        }
    }

    /// Whether nothing is lacking.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether a reactor is to close sessions.
    #[must_use]
    pub const fn is_paid_for(&self) -> bool {
        matches!(self.state, State::Paying)
    }

    /// When the bids are to be called for, unless there is room before.
    #[must_use]
    pub const fn due(&self) -> Option<Nanos> {
        match self.state {
            State::Waiting { due } => Some(due),
            _ => None,
        }
    }

    /// Calls for bids; false when that is not the next thing to do.
    pub fn call(&mut self) -> bool {
        let waits = matches!(self.state, State::Waiting { .. });
        if waits {
            self.state = State::Bidding { bids: vec![None; self.reactors] };
        }
        waits
    }

    /// A reactor says what its largest session holds. The last one learns who pays.
    pub fn bid(&mut self, reactor: usize, largest: u64, now: Nanos) -> Option<Award> {
        let State::Bidding { bids } = &mut self.state else { return None };
        *bids.get_mut(reactor)? = Some(largest);
        let bids: Option<Vec<u64>> = bids.iter().copied().collect();
        let bids = bids?;
        let highest = bids.iter().copied().max().filter(|highest| *highest > 0);
        let Some(winner) = highest.and_then(|highest| bids.iter().position(|bid| *bid == highest))
        else {
            self.state = State::Waiting { due: now + PATIENCE_NS };
            return Some(Award::Nobody);
        };
        let others = bids.iter().enumerate().filter(|(reactor, _)| *reactor != winner);
        let floor = others.map(|(_, bid)| *bid).max().unwrap_or(0);
        self.state = State::Paying;
        Some(Award::Pays { reactor: winner, floor })
    }

    /// A reactor has closed sessions that held so much. If there is still no room, the bids are due
    /// again.
    pub fn paid(&mut self, sessions: u64, bytes: u64, now: Nanos) {
        self.sessions += sessions;
        self.bytes += bytes;
        if matches!(self.state, State::Paying) {
            self.state = State::Waiting { due: now };
        }
    }

    /// There is room. `None` when nothing was lacking.
    pub fn end(&mut self, now: Nanos) -> Option<End> {
        if matches!(self.state, State::Over) {
            return None;
        }
        self.state = State::Over;
        self.lasted_ns += now.saturating_sub(self.began_at);
        let tell_at = self.tell_at().filter(|at| *at > now && !self.said);
        Some(match tell_at {
            Some(at) => End::TellAt(at),
            None => End::Tell(self.take_ended(now)),
        })
    }

    /// What has ended and was not told at its end, if it is time to. At the end of the server it is
    /// time for everything, also for a shortage that is not over.
    pub fn take_untold(&mut self, now: Nanos, is_last: bool) -> Option<Ended> {
        let is_due = self.is_over() && self.tell_at().is_none_or(|at| at <= now);
        let is_some = self.shortages > 0 || self.sessions > 0;
        (is_some && (is_due || is_last)).then(|| self.take_ended(now))
    }

    /// From when on the next line may be written.
    fn tell_at(&self) -> Option<Nanos> {
        self.said_at.map(|before| before + SAY_AGAIN_NS)
    }

    fn take_ended(&mut self, now: Nanos) -> Ended {
        if !self.said {
            self.said_at = Some(now);
        }
        let running = match self.is_over() {
            true => 0,
            false => now.saturating_sub(std::mem::replace(&mut self.began_at, now)),
        };
        Ended {
            lasted_ns: std::mem::take(&mut self.lasted_ns) + running,
            shortages: std::mem::take(&mut self.shortages),
            sessions: std::mem::take(&mut self.sessions),
            bytes: std::mem::take(&mut self.bytes),
        }
    }
}

/// The sessions that pay, in their order: the largest first, as long as they hold something and at
/// least `floor` bytes.
#[must_use]
pub fn payers<T>(mut holders: Vec<(u64, T)>, floor: u64) -> Vec<(u64, T)> {
    holders.retain(|(bytes, _)| *bytes >= floor.max(1));
    holders.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(end: Option<End>) -> Ended {
        match end {
            Some(End::Tell(ended)) => ended,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_pays_for_a_burst_that_ends_by_itself() {
        let mut shortage = Shortage::new(2);
        assert_eq!(shortage.lack(1_000, false), Lack::Begins { say: true });
        assert_eq!(shortage.due(), Some(1_000 + PATIENCE_NS));
        assert_eq!(shortage.lack(2_000, false), Lack::IsKnown);
        let ended = told(shortage.end(5_000));
        assert_eq!((ended.lasted_ns, ended.sessions, ended.bytes), (4_000, 0, 0));
        assert_eq!(shortage.end(6_000), None);
        assert!(!shortage.call());
    }

    #[test]
    fn what_exceeds_the_budget_does_not_wait() {
        let mut shortage = Shortage::new(1);
        shortage.lack(1_000, false);
        assert_eq!(shortage.lack(2_000, true), Lack::IsUrgent);
        assert_eq!(shortage.due(), Some(2_000));
        assert!(shortage.call());
        assert!(!shortage.call(), "they are called for once");
        assert_eq!(shortage.lack(3_000, true), Lack::IsKnown);
        assert_eq!(shortage.bid(0, 7, 0), Some(Award::Pays { reactor: 0, floor: 0 }));
        shortage.paid(1, 7, 4_000);
        assert_eq!(shortage.due(), Some(4_000), "there is no room yet");
        let ended = told(shortage.end(5_000));
        assert_eq!((ended.sessions, ended.bytes), (1, 7));
    }

    #[test]
    fn the_highest_bid_pays_down_to_the_second() {
        let mut shortage = Shortage::new(3);
        shortage.lack(0, true);
        shortage.call();
        assert_eq!(shortage.bid(2, 50, 0), None);
        assert_eq!(shortage.bid(0, 30, 0), None);
        assert_eq!(shortage.bid(0, 40, 0), None, "who says it again has not bid twice");
        assert_eq!(shortage.bid(7, 40, 0), None);
        assert_eq!(shortage.bid(1, 0, 0), Some(Award::Pays { reactor: 2, floor: 40 }));
        assert_eq!(shortage.bid(1, 99, 0), None, "the bids are over");
    }

    #[test]
    fn where_nobody_holds_anything_everybody_waits_once_more() {
        let mut shortage = Shortage::new(1);
        shortage.lack(0, true);
        shortage.call();
        assert_eq!(shortage.bid(0, 0, 500), Some(Award::Nobody));
        assert_eq!(shortage.due(), Some(500 + PATIENCE_NS));
    }

    /// A shortage of a nanosecond that costs so many sessions.
    fn one(shortage: &mut Shortage, now: Nanos, sessions: u64) -> (Lack, Option<End>) {
        let begun = shortage.lack(now, false);
        shortage.call();
        shortage.bid(0, 1, now);
        shortage.paid(sessions, 10 * sessions, now);
        (begun, shortage.end(now + 1))
    }

    #[test]
    fn shortages_in_a_row_are_told_together() {
        let mut shortage = Shortage::new(1);
        assert_eq!(told(one(&mut shortage, 0, 1).1).sessions, 1);
        let (begun, second) = one(&mut shortage, SAY_AGAIN_NS - 2, 2);
        assert_eq!(begun, Lack::Begins { say: false });
        assert_eq!(second, Some(End::TellAt(SAY_AGAIN_NS)));
        let (begun, third) = one(&mut shortage, SAY_AGAIN_NS, 3);
        assert_eq!(begun, Lack::Begins { say: true });
        let all = Ended { lasted_ns: 2, shortages: 2, sessions: 5, bytes: 50 };
        assert_eq!(told(third), all);
        assert_eq!(shortage.take_untold(Nanos::MAX, true), None, "all is told");
    }

    #[test]
    fn the_last_shortages_are_told_although_none_follows() {
        let mut shortage = Shortage::new(1);
        one(&mut shortage, 0, 1);
        one(&mut shortage, 10, 2);
        one(&mut shortage, 20, 3);
        assert_eq!(shortage.take_untold(SAY_AGAIN_NS - 1, false), None, "too soon");
        let untold = shortage.take_untold(SAY_AGAIN_NS, false).unwrap();
        assert_eq!((untold.shortages, untold.sessions, untold.bytes), (2, 5, 50));
        assert_eq!(shortage.take_untold(SAY_AGAIN_NS, false), None);
        let (begun, end) = one(&mut shortage, SAY_AGAIN_NS + 1, 4);
        assert_eq!(begun, Lack::Begins { say: false }, "a line was written just now");
        assert_eq!(end, Some(End::TellAt(2 * SAY_AGAIN_NS)));
        assert_eq!(shortage.take_untold(SAY_AGAIN_NS + 2, true).unwrap().sessions, 4);
    }

    #[test]
    fn a_long_shortage_that_was_not_announced_is_told_at_its_end() {
        let mut shortage = Shortage::new(1);
        one(&mut shortage, 0, 1);
        assert_eq!(shortage.lack(10, false), Lack::Begins { say: false });
        assert_eq!(shortage.take_untold(SAY_AGAIN_NS, false), None, "it is not over");
        assert_eq!(told(shortage.end(SAY_AGAIN_NS + 10)).lasted_ns, SAY_AGAIN_NS);
    }

    #[test]
    fn what_a_shortage_cost_is_told_also_when_the_server_ends_before_it_is_over() {
        let mut shortage = Shortage::new(1);
        shortage.lack(0, true);
        shortage.call();
        shortage.bid(0, 1, 0);
        shortage.paid(3, 30, 5);
        let untold = shortage.take_untold(7, true).unwrap();
        let wanted = Ended { lasted_ns: 7, shortages: 1, sessions: 3, bytes: 30 };
        assert_eq!(untold, wanted);
    }

    /// Lets reactors with these sessions pay until no more than `limit` is held; what was closed,
    /// in its order.
    fn settle(reactors: &mut [Vec<u64>], limit: u64) -> Vec<u64> {
        let mut shortage = Shortage::new(reactors.len());
        let mut closed = Vec::new();
        shortage.lack(0, true);
        let held = |reactors: &[Vec<u64>]| reactors.iter().flatten().sum::<u64>();
        while held(reactors) > limit {
            assert!(shortage.call());
            let bids = reactors.iter().map(|held| held.iter().copied().max().unwrap_or(0));
            let awards: Vec<_> =
                bids.enumerate().map(|(index, bid)| shortage.bid(index, bid, 0)).collect();
            let (last, earlier) = awards.split_last().unwrap();
            assert!(earlier.iter().all(Option::is_none));
            let Some(Award::Pays { reactor, floor }) = *last else { break };
            let holders = reactors[reactor].iter().copied().enumerate();
            let mut paid = (0, 0);
            for (bytes, index) in payers(holders.map(|(i, b)| (b, i)).collect(), floor) {
                if held(reactors) <= limit {
                    break;
                }
                reactors[reactor][index] = 0;
                closed.push(bytes);
                paid = (paid.0 + 1, paid.1 + bytes);
            }
            assert!(paid.0 > 0, "every award closes somebody");
            shortage.paid(paid.0, paid.1, 0);
        }
        let ended = told(shortage.end(0));
        assert_eq!(ended.sessions, closed.len() as u64);
        assert_eq!(ended.bytes, closed.iter().sum::<u64>());
        closed
    }

    proptest! {
        #[test]
        fn the_largest_of_all_reactors_pay_and_no_more_of_them_than_needed(
            mut reactors in proptest::collection::vec(
                proptest::collection::vec(0u64..100_000, 0..20), 1..5),
            limit in 0u64..500_000,
        ) {
            let mut all: Vec<u64> = reactors.iter().flatten().copied().collect();
            all.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
            let mut rest = all.iter().sum::<u64>();
            let mut expected = Vec::new();
            for bytes in all {
                if rest <= limit || bytes == 0 { break; }
                rest -= bytes;
                expected.push(bytes);
            }
            prop_assert_eq!(settle(&mut reactors, limit), expected);
        }
    }
}
