//! An account: numbers that one process or thread writes, again and again, and that anybody reads
//! without its help.
//!
//! They lie there twice, and one word says which copy counts: so whoever dies at any instruction
//! leaves a complete one behind, and a reader never waits for the writer.

use crate::sync::{AtomicU64, Ordering, fence};

/// Words of one copy.
pub const ACCOUNT_WORDS_MAX: usize = 250;
/// Words of both copies.
#[cfg(not(loom))]
pub(crate) const COPIES_WORDS: usize = 2 * ACCOUNT_WORDS_MAX;

/// Words of the line of the turn, in front of the copies.
#[cfg(not(loom))]
const TURN_WORDS: usize = 8;

/// How often a reader begins anew because the writer has gone on. An honest one writes once in a
/// while; one that never stops is hostile, or stands where a debugger has put the reader.
const READS_MAX: usize = 64;

/// The numbers of one writer.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// How often they were written: an odd number says that the second copy counts.
    turn: &'a AtomicU64,
    copies: &'a [AtomicU64],
}

impl<'a> Account<'a> {
    /// The account that lies in these words.
    #[must_use]
    pub const fn new(turn: &'a AtomicU64, copies: &'a [AtomicU64]) -> Self {
        Self { turn, copies }
    }

    /// The account that has a page of its own, at `at`.
    #[cfg(not(loom))]
    pub(crate) fn of_page(mapping: &'a crate::mapping::Mapping, at: u64) -> Option<Self> {
        let words = mapping.word_slice(at, TURN_WORDS + COPIES_WORDS)?;
        let (line, copies) = words.split_at_checked(TURN_WORDS)?;
        Some(Self { turn: line.first()?, copies })
    }

    /// The writer: writes all its numbers, as many as fit, into the copy that does not count, and
    /// lets that count.
    pub fn write(&self, words: &[u64]) {
        let next = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        // Who reads one of the words below knows then that the turn before has come, in which the
        // copy that is written now did not count.
        fence(Ordering::Release);
        for (place, word) in self.copy(next).iter().zip(words) {
            place.store(*word, Ordering::Relaxed);
        }
        self.turn.store(next, Ordering::Release);
    }

    /// The numbers as they were written last. False: the writer has gone on each time that they
    /// were read, and they may be of different times.
    pub fn read(&self, words: &mut [u64]) -> bool {
        (0..READS_MAX).any(|_| self.try_read(words))
    }

    /// All of them.
    #[must_use]
    pub fn read_words(&self) -> [u64; ACCOUNT_WORDS_MAX] {
        let mut words = [0; ACCOUNT_WORDS_MAX];
        self.read(&mut words);
        words
    }

    fn try_read(&self, words: &mut [u64]) -> bool {
        let turn = self.turn.load(Ordering::Acquire);
        for (word, place) in words.iter_mut().zip(self.copy(turn)) {
            *word = place.load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        self.turn.load(Ordering::Relaxed) == turn
    }

    /// All numbers are 0. For who gives the account to another writer: nobody writes it now.
    ///
    /// That is a writing like any other: whoever reads meanwhile sees the numbers from before, or
    /// begins anew. The copy from before is overwritten by the next writing.
    pub fn clear(&self) {
        self.write(&[0; ACCOUNT_WORDS_MAX]);
    }

    fn copy(&self, turn: u64) -> &'a [AtomicU64] {
        let (first, second) = self.copies.split_at(self.copies.len() / 2);
        if turn & 1 == 0 { first } else { second }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words(count: usize) -> Vec<AtomicU64> {
        (0..count).map(|_| AtomicU64::new(0)).collect()
    }

    fn read(account: &Account<'_>) -> [u64; 2] {
        let mut words = [0; 2];
        assert!(account.read(&mut words));
        words
    }

    #[test]
    fn what_was_written_completely_is_read() {
        let (turn, copies) = (AtomicU64::new(0), words(COPIES_WORDS));
        let account = Account::new(&turn, &copies);
        assert_eq!(read(&account), [0, 0]);
        account.write(&[1, 2]);
        assert_eq!(read(&account), [1, 2]);
        // A death in the middle of the next writing.
        account.copy(0)[0].store(7, Ordering::Relaxed);
        assert_eq!(read(&account), [1, 2]);
        account.write(&[3, 4]);
        assert_eq!(read(&account), [3, 4]);
        account.clear();
        assert_eq!(read(&account), [0, 0]);
    }

    /// A reader that has begun before must notice it: the copy that it reads is not touched.
    #[test]
    fn what_is_cleared_is_cleared_by_a_turn() {
        let (turn, copies) = (AtomicU64::new(0), words(COPIES_WORDS));
        let account = Account::new(&turn, &copies);
        account.write(&[1, 2]);
        let before = turn.load(Ordering::Relaxed);
        account.clear();
        assert_eq!(turn.load(Ordering::Relaxed), before + 1);
        let old = account.copy(before).iter().take(2).map(|word| word.load(Ordering::Relaxed));
        assert_eq!(old.collect::<Vec<_>>(), [1, 2]);
        account.write(&[3, 4]);
        assert_eq!(read(&account), [3, 4]);
    }

    #[test]
    fn more_words_than_there_are_neither_fail_nor_overlap() {
        let (turn, copies) = (AtomicU64::new(0), words(4));
        let account = Account::new(&turn, &copies);
        account.write(&[1, 2, 3, 4, 5]);
        let mut five = [9; 5];
        assert!(account.read(&mut five));
        assert_eq!(five, [1, 2, 9, 9, 9]);
    }

    #[test]
    fn whoever_reads_while_it_is_written_reads_numbers_of_one_time() {
        let (turn, copies) = (AtomicU64::new(0), words(COPIES_WORDS));
        let account = Account::new(&turn, &copies);
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..20_000 {
                    account.write(&[round; ACCOUNT_WORDS_MAX]);
                }
                is_over.store(true, Ordering::Release);
            });
            while !is_over.load(Ordering::Acquire) {
                let mut words = [0; ACCOUNT_WORDS_MAX];
                if account.read(&mut words) {
                    assert!(words.iter().all(|word| *word == words[0]), "{words:?}");
                }
            }
        });
    }
}
