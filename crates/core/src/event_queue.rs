//! Events that one process is told, in order, each until it has said that it was handled. When the
//! process dies, its successor is told what was not handled. Bounded: what finds no room is
//! counted.

use std::collections::VecDeque;

/// Most events that are with the process at once, unhandled.
pub const SENT_MAX: usize = 16;
/// Processes that may die with the same event in hand: it is not told to another one.
pub const DEATHS_MAX: u8 = 3;

#[derive(Debug)]
struct Held<E> {
    number: u32,
    event: E,
    /// Processes that have died with it in hand.
    deaths: u8,
}

/// The queue of one such process and its successors.
#[derive(Debug)]
pub struct EventQueue<E> {
    held: VecDeque<Held<E>>,
    /// The first so many are with the process.
    sent: usize,
    last_number: u32,
    most: usize,
    refused: u64,
}

impl<E> EventQueue<E> {
    /// A queue of `most` events.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self { held: VecDeque::new(), sent: 0, last_number: 0, most, refused: 0 }
    }

    /// Adds an event behind the others; false when there is no room, which is counted.
    pub fn push(&mut self, event: E) -> bool {
        if self.held.len() >= self.most {
            self.refused = self.refused.saturating_add(1);
            return false;
        }
        self.last_number = self.last_number.wrapping_add(1);
        self.held.push_back(Held { number: self.last_number, event, deaths: 0 });
        true
    }

    /// The next event to be told now, with its number: it counts as told.
    pub fn next_to_tell(&mut self) -> Option<(u32, &E)> {
        if self.sent >= SENT_MAX {
            return None;
        }
        let held = self.held.get(self.sent)?;
        self.sent += 1;
        Some((held.number, &held.event))
    }

    /// The process has handled an event; false when it was not its turn, or was never told.
    pub fn handled(&mut self, number: u32) -> bool {
        let is_first = self.sent > 0 && self.held.front().is_some_and(|held| held.number == number);
        if is_first {
            self.held.pop_front();
            self.sent -= 1;
        }
        is_first
    }

    /// The process is gone: what it has not handled will be told to its successor. Answers the
    /// event that too many have died with, which is told to nobody any more.
    pub fn receiver_died(&mut self) -> Option<E> {
        let was_told = std::mem::take(&mut self.sent) > 0;
        let first = self.held.front_mut().filter(|_| was_told)?;
        first.deaths += 1;
        if first.deaths < DEATHS_MAX {
            return None;
        }
        self.held.pop_front().map(|held| held.event)
    }

    /// How many were not handled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether everything was handled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// How many found no room.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn tell_all(queue: &mut EventQueue<u32>) -> Vec<(u32, u32)> {
        std::iter::from_fn(|| queue.next_to_tell().map(|(number, event)| (number, *event)))
            .collect()
    }

    #[test]
    fn what_a_dead_process_had_not_handled_is_told_again() {
        let mut queue = EventQueue::new(8);
        assert!((10..13).all(|event| queue.push(event)));
        assert_eq!(tell_all(&mut queue), [(1, 10), (2, 11), (3, 12)]);
        assert!(queue.handled(1) && !queue.handled(1) && !queue.handled(3));
        assert_eq!(queue.receiver_died(), None);
        assert!(!queue.handled(2), "it is with nobody");
        assert_eq!(tell_all(&mut queue), [(2, 11), (3, 12)]);
        assert!(queue.handled(2) && queue.handled(3) && queue.is_empty());
    }

    #[test]
    fn an_event_that_kills_is_given_up() {
        let mut queue = EventQueue::new(8);
        queue.push(7);
        queue.push(8);
        for _ in 1..DEATHS_MAX {
            tell_all(&mut queue);
            assert_eq!(queue.receiver_died(), None);
        }
        assert_eq!(queue.receiver_died(), None, "nobody had been told");
        tell_all(&mut queue);
        assert_eq!(queue.receiver_died(), Some(7));
        assert_eq!(tell_all(&mut queue), [(2, 8)]);
    }

    #[test]
    fn the_queue_and_what_is_told_at_once_are_bounded() {
        let mut queue = EventQueue::new(20);
        assert!((0..20).all(|event| queue.push(event)));
        assert!(!queue.push(20) && queue.refused() == 1);
        assert_eq!(tell_all(&mut queue).len(), SENT_MAX);
        assert!(queue.handled(1));
        assert_eq!(tell_all(&mut queue).len(), 1);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push,
        Tell,
        Handle,
        Die,
    }

    proptest! {
        /// Every event is handled once, in order, unless processes have died of it.
        #[test]
        fn nothing_is_lost_or_handled_twice(
            steps in vec(prop_oneof![
                Just(Step::Push), Just(Step::Tell), Just(Step::Handle), Just(Step::Die),
            ], 0..300),
        ) {
            let mut queue = EventQueue::new(1_000);
            let (mut pushed, mut handled) = (0_u32, Vec::new());
            let mut with_process = VecDeque::new();
            for step in steps {
                match step {
                    Step::Push => {
                        pushed += 1;
                        prop_assert!(queue.push(pushed));
                    }
                    Step::Tell => with_process.extend(tell_all(&mut queue)),
                    Step::Handle => {
                        if let Some((number, event)) = with_process.pop_front() {
                            prop_assert!(queue.handled(number));
                            handled.push(event);
                        }
                    }
                    Step::Die => {
                        with_process.clear();
                        handled.extend(queue.receiver_died());
                    }
                }
            }
            while !queue.is_empty() {
                with_process.extend(tell_all(&mut queue));
                while let Some((number, event)) = with_process.pop_front() {
                    prop_assert!(queue.handled(number));
                    handled.push(event);
                }
            }
            let all: Vec<u32> = (1..=pushed).collect();
            prop_assert_eq!(handled, all);
        }
    }
}
