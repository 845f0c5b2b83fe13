//! Whose turn it is to answer: the deliveries of each session that are not finished when their
//! callback is over, in the order in which their callbacks began.
//!
//! **Responsible for:** which delivery of a session may publish its outputs, and what follows when
//! one is over.
//!
//! **Must never:** hold outputs, or list a delivery whose session had nothing unfinished and that
//! is finished when its callback returns: the usual case costs one look at an empty map.

use std::collections::{HashMap, VecDeque};

/// The deliveries that take turns, by session. `D` is what the caller needs to go on with one of
/// them.
#[derive(Debug)]
pub struct AnswerTurns<D> {
    sessions: HashMap<u64, VecDeque<Waiting<D>>>,
}

#[derive(Debug)]
struct Waiting<D> {
    id: u64,
    is_over: bool,
    delivery: D,
}

/// What the end of a delivery leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended<D> {
    /// To be published and finished now, in this order. Empty while an earlier delivery of the
    /// session is not over.
    pub finished: Vec<D>,
    /// The delivery that has its turn now and is not over yet.
    pub turn: Option<D>,
}

impl<D> Default for AnswerTurns<D> {
    fn default() -> Self {
        Self { sessions: HashMap::new() }
    }
}

impl<D: Clone> AnswerTurns<D> {
    /// Whether a delivery of `session` is unfinished: one that begins now has to wait for its turn.
    #[must_use]
    pub fn is_busy(&self, session: u64) -> bool {
        !self.sessions.is_empty() && self.sessions.contains_key(&session)
    }

    /// Lists a delivery behind those of its session. Returns whether it has its turn at once. `id`
    /// is unique among the listed deliveries of the session.
    pub fn enter(&mut self, session: u64, id: u64, delivery: D) -> bool {
        let queue = self.sessions.entry(session).or_default();
        queue.push_back(Waiting { id, is_over: false, delivery });
        queue.len() == 1
    }

    /// A listed delivery will produce no further output.
    pub fn end(&mut self, session: u64, id: u64) -> Ended<D> {
        let mut ended = Ended { finished: Vec::new(), turn: None };
        let Some(queue) = self.sessions.get_mut(&session) else { return ended };
        if let Some(waiting) = queue.iter_mut().find(|waiting| waiting.id == id) {
            waiting.is_over = true;
        }
        while let Some(first) = queue.pop_front_if(|first| first.is_over) {
            ended.finished.push(first.delivery);
        }
        match queue.front() {
            None => drop(self.sessions.remove(&session)),
            // Its turn is news only if it had to wait for one that left now.
            Some(first) if !ended.finished.is_empty() => ended.turn = Some(first.delivery.clone()),
            Some(_) => {}
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_has_its_turn_and_the_others_follow_when_it_is_over() {
        let mut turns = AnswerTurns::default();
        assert!(!turns.is_busy(7));
        assert!(turns.enter(7, 1, 'a'));
        assert!(!turns.enter(7, 2, 'b'));
        assert!(!turns.enter(7, 3, 'c'));
        assert!(turns.is_busy(7) && !turns.is_busy(8));
        assert_eq!(turns.end(7, 2), Ended { finished: vec![], turn: None }, "a is not over");
        assert_eq!(turns.end(7, 1), Ended { finished: vec!['a', 'b'], turn: Some('c') });
        assert_eq!(turns.end(7, 3), Ended { finished: vec!['c'], turn: None });
        assert!(!turns.is_busy(7));
    }

    proptest! {
        /// Whatever ends when: each session's deliveries are finished in their order, exactly once,
        /// as soon as those before them are over; exactly the first unfinished one has the turn;
        /// and nothing is left at the end.
        #[test]
        fn each_session_is_answered_in_its_order(
            steps in proptest::collection::vec((0u64..3, any::<bool>(), 0usize..8), 1..200),
        ) {
            let mut turns = AnswerTurns::default();
            let mut unfinished: [VecDeque<u64>; 3] = Default::default();
            let mut over = HashSet::new();
            let mut turn: [Option<u64>; 3] = [None; 3];
            let mut next = 0;
            let mut end = |turns: &mut AnswerTurns<u64>, unfinished: &mut VecDeque<u64>,
                           turn: &mut Option<u64>, session: u64, id: u64| {
                over.insert(id);
                let ended = turns.end(session, id);
                for finished in &ended.finished {
                    prop_assert_eq!(unfinished.pop_front(), Some(*finished));
                    prop_assert!(over.contains(finished));
                }
                prop_assert!(unfinished.front().is_none_or(|first| !over.contains(first)));
                if !ended.finished.is_empty() {
                    *turn = ended.turn;
                }
                prop_assert_eq!(*turn, unfinished.front().copied());
                Ok(())
            };
            for (session, begins, which) in steps {
                let index = session as usize;
                prop_assert_eq!(turns.is_busy(session), !unfinished[index].is_empty());
                if begins {
                    next += 1;
                    let now = turns.enter(session, next, next);
                    prop_assert_eq!(now, unfinished[index].is_empty());
                    if now {
                        turn[index] = Some(next);
                    }
                    unfinished[index].push_back(next);
                } else if let Some(id) = unfinished[index].get(which).copied() {
                    end(&mut turns, &mut unfinished[index], &mut turn[index], session, id)?;
                }
            }
            for session in 0..3u64 {
                let index = session as usize;
                while let Some(id) = unfinished[index].back().copied() {
                    // Those that are over already are ended again: nothing may come of it.
                    end(&mut turns, &mut unfinished[index], &mut turn[index], session, id)?;
                    if let Some(first) = unfinished[index].front().copied() {
                        end(&mut turns, &mut unfinished[index], &mut turn[index], session, first)?;
                    }
                }
                prop_assert!(!turns.is_busy(session));
            }
        }
    }
}
