//! What somebody was handed to read and has not let go of: both ends.
//!
//! **Responsible for:** who keeps the things ([`HandedOut`]) knows which of them are still read;
//! who reads them ([`LettingGo`]) may be through with them in any order, and says of how many of
//! the first it is. They are numbered from 1 in the order in which they were handed out.
//!
//! **Must never:** believe the reader. It may say nothing, and then keeps what it has until it is
//! dead; it cannot let go of what it was not given, nor take back what it let go of.

use std::collections::VecDeque;

/// The keeper's end.
#[derive(Debug)]
pub struct HandedOut<T> {
    /// The oldest first.
    in_hand: VecDeque<T>,
    let_go: u64,
}

impl<T> Default for HandedOut<T> {
    fn default() -> Self {
        Self { in_hand: VecDeque::new(), let_go: 0 }
    }
}

impl<T> HandedOut<T> {
    /// One more is handed out.
    pub fn push(&mut self, thing: T) {
        self.in_hand.push_back(thing);
    }

    /// The one with this number, if it is still read.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&T> {
        let index = number.checked_sub(self.let_go)?.checked_sub(1)?;
        self.in_hand.get(usize::try_from(index).ok()?)
    }

    /// The reader says that it is through with the first `count` of all. Returns those that it was
    /// not through with before.
    ///
    /// # Errors
    /// That is impossible.
    pub fn let_go(&mut self, count: u64) -> Result<impl Iterator<Item = T>, &'static str> {
        let more = count.checked_sub(self.let_go).and_then(|more| usize::try_from(more).ok());
        let Some(more) = more.filter(|more| *more <= self.in_hand.len()) else {
            return Err("answers were let go that it does not have");
        };
        self.let_go = count;
        Ok(self.in_hand.drain(..more))
    }

    /// How many the reader is through with, as it has said last.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.let_go
    }

    /// The reader is dead: everything that it had.
    pub fn into_rest(self) -> impl Iterator<Item = T> {
        self.in_hand.into_iter()
    }
}

/// The reader's end.
#[derive(Debug, Default)]
pub struct LettingGo {
    /// Of those behind `done`: who is through with.
    through: VecDeque<bool>,
    done: u64,
}

impl LettingGo {
    /// One more was received; its number.
    pub fn receive(&mut self) -> u64 {
        self.through.push_back(false);
        self.done + self.through.len() as u64
    }

    /// It is through with this one.
    pub fn let_go(&mut self, number: u64) {
        let index = number.checked_sub(self.done + 1).and_then(|it| usize::try_from(it).ok());
        let place = index.and_then(|index| self.through.get_mut(index));
        crate::invariant!(place.is_some(), "what is let go of was received, and is so once");
        if let Some(place) = place {
            *place = true;
        }
        while self.through.front() == Some(&true) {
            self.through.pop_front();
            self.done += 1;
        }
    }

    /// It is through with so many of the first.
    #[must_use]
    pub const fn done(&self) -> u64 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reader_cannot_let_go_of_what_it_does_not_have() {
        let mut keeper = HandedOut::default();
        ["a", "b", "c"].into_iter().for_each(|thing| keeper.push(thing));
        assert_eq!((keeper.get(0), keeper.get(1), keeper.get(4)), (None, Some(&"a"), None));
        assert_eq!(keeper.let_go(2).unwrap().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((keeper.get(2), keeper.get(3)), (None, Some(&"c")));
        for impossible in [0, 1, 4, u64::MAX] {
            assert!(keeper.let_go(impossible).is_err(), "{impossible}");
        }
        assert_eq!(keeper.let_go(2).unwrap().count(), 0, "the same again is no news");
        assert_eq!(keeper.get(3), Some(&"c"), "a lie changes nothing");
        assert_eq!(keeper.into_rest().collect::<Vec<_>>(), ["c"]);
    }

    proptest! {
        /// Whatever a reader says and when it dies: each thing comes back exactly once, and until
        /// then an honest reader finds what it reads.
        #[test]
        fn each_thing_comes_back_exactly_once(
            steps in proptest::collection::vec((0_u8..4, any::<u64>()), 0..200),
        ) {
            let (mut keeper, mut reader) = (HandedOut::default(), LettingGo::default());
            let (mut given, mut reads, mut back) = (0_u64, Vec::new(), Vec::new());
            for (step, choice) in steps {
                match step {
                    0 | 1 => {
                        given += 1;
                        keeper.push(given);
                        prop_assert_eq!(reader.receive(), given);
                        reads.push(given);
                    }
                    2 if !reads.is_empty() => {
                        let index = choice as usize % reads.len();
                        reader.let_go(reads.swap_remove(index));
                        back.extend(keeper.let_go(reader.done()).unwrap());
                    }
                    // A liar.
                    _ => {
                        let beyond = given.saturating_add(1 + choice / 2);
                        prop_assert!(keeper.let_go(beyond).is_err());
                        let before = reader.done().checked_sub(1 + choice % 4);
                        prop_assert!(before.is_none_or(|before| keeper.let_go(before).is_err()));
                    }
                }
                for number in &reads {
                    prop_assert_eq!(keeper.get(*number), Some(number));
                }
            }
            prop_assert!(back.iter().all(|number| !reads.contains(number)));
            back.extend(keeper.into_rest());
            prop_assert_eq!(back, (1..=given).collect::<Vec<_>>());
        }
    }
}
