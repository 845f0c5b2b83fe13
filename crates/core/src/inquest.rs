//! Which delivery killed a worker: two who know a half of it are heard.
//!
//! A reactor knows what it gave to the worker, and that it began with it. The supervisor knows how
//! the worker ended, and in the callback of which session. They learn of the death independently,
//! and their words come in any order; a case is closed when everybody has spoken.

use std::collections::VecDeque;

use crate::ids::ProcessKey;

/// Cases that are open at once: each is open for the moment between a worker's pidfd and the word
/// of its manager. Beyond that the oldest is forgotten.
const OPEN_MAX: usize = 64;

/// Deaths of workers of which not all is known yet. `S` is what a reactor says of a delivery, `V`
/// what the supervisor says of the death.
#[derive(Debug)]
pub struct Inquests<S, V> {
    reactors: usize,
    open: VecDeque<Case<S, V>>,
}

#[derive(Debug)]
struct Case<S, V> {
    worker: ProcessKey,
    settled: usize,
    /// Of each reactor at most one: the session, and the rest.
    suspects: Vec<(u64, S)>,
    /// `Some(None)`: the worker died of nothing that was given to it.
    verdict: Option<Option<(u64, V)>>,
}

impl<S, V> Inquests<S, V> {
    /// So many reactors are heard about each worker.
    #[must_use]
    pub const fn new(reactors: usize) -> Self {
        Self { reactors, open: VecDeque::new() }
    }

    /// A reactor has settled what it had given to a dead worker. `suspect` is the session of what
    /// the worker had begun last, and what is known of that. Answers what killed the worker, once,
    /// when everybody was heard.
    pub fn settled(&mut self, worker: ProcessKey, suspect: Option<(u64, S)>) -> Option<(S, V)> {
        let case = self.case(worker);
        case.settled += 1;
        case.suspects.extend(suspect);
        self.close(worker)
    }

    /// The supervisor has told a death. `verdict` is the session in whose callback the worker died
    /// by its own doing, and the rest. Answers as [`Inquests::settled`].
    pub fn died(&mut self, worker: ProcessKey, verdict: Option<(u64, V)>) -> Option<(S, V)> {
        self.case(worker).verdict = Some(verdict);
        self.close(worker)
    }

    /// Nobody will say more about this worker.
    pub fn forget(&mut self, worker: ProcessKey) {
        self.open.retain(|case| case.worker != worker);
    }

    fn case(&mut self, worker: ProcessKey) -> &mut Case<S, V> {
        let index = self.open.iter().position(|case| case.worker == worker);
        let case = index.and_then(|index| self.open.remove(index));
        if self.open.len() >= OPEN_MAX {
            self.open.pop_front();
        }
        let new = || Case { worker, settled: 0, suspects: Vec::new(), verdict: None };
        self.open.push_back_mut(case.unwrap_or_else(new))
    }

    fn close(&mut self, worker: ProcessKey) -> Option<(S, V)> {
        let index = self.open.iter().position(|case| {
            case.worker == worker && case.settled >= self.reactors && case.verdict.is_some()
        })?;
        let case = self.open.remove(index)?;
        let (session, verdict) = case.verdict.flatten()?;
        let suspect = case.suspects.into_iter().find(|(suspect, _)| *suspect == session)?;
        Some((suspect.1, verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WORKER: ProcessKey = ProcessKey::event(0, 1);

    #[test]
    fn who_began_the_session_that_died_is_found_when_all_were_heard() {
        let mut inquests = Inquests::new(2);
        assert_eq!(inquests.settled(WORKER, Some((7, "seven"))), None);
        assert_eq!(inquests.died(WORKER, Some((8, "abort"))), None);
        assert_eq!(inquests.settled(WORKER, Some((8, "eight"))), Some(("eight", "abort")));
        assert!(inquests.open.is_empty());
    }

    #[test]
    fn a_worker_that_died_of_something_else_has_no_culprit() {
        let mut inquests = Inquests::<_, &str>::new(1);
        assert_eq!(inquests.settled(WORKER, Some((7, "seven"))), None);
        assert_eq!(inquests.died(WORKER, None), None);
        // Killed from outside, while another session was served.
        assert_eq!(inquests.died(WORKER, Some((9, "abort"))), None);
        assert_eq!(inquests.settled(WORKER, Some((7, "seven"))), None);
        assert!(inquests.open.is_empty());
    }

    #[test]
    fn cases_that_nobody_closes_are_forgotten() {
        let mut inquests = Inquests::<(), ()>::new(1);
        for generation in 1..=1_000 {
            inquests.settled(ProcessKey::event(0, generation), None);
        }
        assert_eq!(inquests.open.len(), OPEN_MAX);
        inquests.forget(ProcessKey::event(0, 1_000));
        assert_eq!(inquests.open.len(), OPEN_MAX - 1);
    }

    proptest! {
        /// Words of several deaths, shuffled as they may come: each has its culprit, once, and
        /// nothing is left.
        #[test]
        fn the_order_of_words_does_not_matter(
            order in Just((0..12u32).collect::<Vec<_>>()).prop_shuffle(),
            own in any::<[bool; 3]>(),
        ) {
            // Three workers with three reactors each; reactor n has session n, and the worker died
            // in session 1.
            let mut inquests = Inquests::new(3);
            let mut found = Vec::new();
            for word in order {
                let (worker, who) = (word / 4, u64::from(word % 4));
                let key = ProcessKey::event(worker as u16, 1);
                found.extend(match who {
                    3 => inquests.died(key, own[worker as usize].then_some((1, worker))),
                    reactor => inquests.settled(key, Some((reactor, (worker, reactor)))),
                });
            }
            found.sort_unstable();
            let expected: Vec<_> = (0..3u32)
                .filter(|worker| own[*worker as usize])
                .map(|worker| ((worker, 1), worker))
                .collect();
            prop_assert_eq!(found, expected);
            prop_assert!(inquests.open.is_empty());
        }
    }
}
