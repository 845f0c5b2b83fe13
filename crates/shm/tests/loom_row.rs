//! A row of a shared table: readers see it whole, a writer that dies leaves it as it was and holds
//! nothing, and a claim of the dead is taken over by one.
#![cfg(loom)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // test code

mod model;

use loom::thread;
use model::{explore, finds};
use ostler_shm::shared::claim::{self, Busy, Claimant, Found};
use ostler_shm::shared::row::Row;
use ostler_shm::sync::{AtomicU64, Ordering, fence};
use std::sync::Arc;

const CONTENT: usize = 2;

/// A process of the model; who is dead stands in a word of all.
struct Process<'a> {
    number: u64,
    dead: &'a AtomicU64,
    patience: u32,
}

impl Claimant for Process<'_> {
    fn number(&self) -> u64 {
        self.number
    }

    fn is_dead(&self, number: u64) -> bool {
        self.dead.load(Ordering::Acquire) == number
    }

    fn pause(&self, attempt: u32) -> bool {
        thread::yield_now();
        attempt < self.patience
    }
}

struct Memory {
    words: Vec<AtomicU64>,
    dead: AtomicU64,
}

impl Memory {
    fn new() -> Arc<Self> {
        let words = (0..Row::words(CONTENT)).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { words, dead: AtomicU64::new(0) })
    }

    fn row(&self) -> Row<'_> {
        Row::new(&self.words).unwrap()
    }

    fn process(&self, number: u64) -> Process<'_> {
        Process { number, dead: &self.dead, patience: 3 }
    }

    /// The next content is the one there is plus one: an increment.
    fn add(&self, number: u64) -> Result<u64, Busy> {
        let (row, me) = (self.row(), self.process(number));
        claim::take(row.gate(), &me)?;
        let mut content = [0; CONTENT];
        row.read(&mut content)?;
        row.write(&content.map(|word| word + 1));
        claim::give_back(row.gate(), number);
        Ok(content[0] + 1)
    }

    /// The same, by a process that dies when it has prepared so much.
    fn die_writing(&self, number: u64, words: usize) {
        let (row, me) = (self.row(), self.process(number));
        claim::take(row.gate(), &me).unwrap();
        let _never = row.prepare(&vec![99; words]);
        // What the kernel says of a process comes after all that it did.
        self.dead.store(number, Ordering::Release);
    }

    fn look(&self) -> Option<u64> {
        let mut content = [0; CONTENT];
        self.row().read(&mut content).unwrap()?;
        assert_eq!(content[0], content[1], "a torn row");
        Some(content[0])
    }
}

/// Preemption bound 3.
#[test]
fn a_reader_sees_a_row_whole() {
    explore("row written", Some(3), || {
        let memory = Memory::new();
        memory.row().write(&[1; CONTENT]);
        let writer = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                memory.row().write(&[2; CONTENT]);
                memory.row().write(&[3; CONTENT]);
            })
        };
        let first = memory.look().unwrap();
        let second = memory.look().unwrap();
        assert!(first <= second, "time goes back");
        writer.join().unwrap();
        assert_eq!(memory.look(), Some(3));
    });
}

/// A row is freed and brought into use for another key: neither key sees the other's values.
/// Preemption bound 3.
#[test]
fn a_row_that_is_used_again_is_one_or_the_other() {
    explore("row used again", Some(3), || {
        let memory = Memory::new();
        memory.row().write(&[1; CONTENT]);
        let writer = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                memory.row().clear();
                let me = memory.process(7);
                let seized = memory.row().seize(&me).unwrap().unwrap();
                seized.row().write(&[2; CONTENT]);
            })
        };
        let seen = memory.look();
        assert!(matches!(seen, None | Some(1 | 2)), "{seen:?}");
        writer.join().unwrap();
        assert_eq!(memory.look(), Some(2));
    });
}

/// Preemption bound 2.
#[test]
fn no_increment_is_lost() {
    explore("row of two writers", Some(2), || {
        let memory = Memory::new();
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.add(2).is_ok())
        };
        let mine = memory.add(1).is_ok();
        let both = u64::from(other.join().unwrap()) + u64::from(mine);
        assert_eq!(memory.look().unwrap_or(0), both, "an increment is lost");
    });
}

/// A writer dies in the middle; of two others both get their turn, and nobody sees what it left.
/// Preemption bound 2.
#[test]
fn a_writer_that_dies_leaves_the_old_row_and_no_claim() {
    for words in 0..=CONTENT {
        explore(&format!("row of a dead writer, {words} words"), Some(2), move || {
            let memory = Memory::new();
            memory.row().write(&[1; CONTENT]);
            let dying = {
                let memory = Arc::clone(&memory);
                thread::spawn(move || memory.die_writing(9, words))
            };
            assert_eq!(memory.look(), Some(1));
            dying.join().unwrap();
            let other = {
                let memory = Arc::clone(&memory);
                thread::spawn(move || memory.add(2).is_ok())
            };
            let mine = memory.add(1).is_ok();
            let both = u64::from(other.join().unwrap()) + u64::from(mine);
            assert!(both > 0, "a dead process keeps its claim");
            assert_eq!(memory.look(), Some(1 + both), "an increment is lost");
        });
    }
}

/// Two bring the same free row into use: one has it.
#[test]
fn a_free_row_has_one_owner() {
    explore("row seized", Some(3), || {
        let memory = Memory::new();
        let seize = |memory: &Memory, number| {
            let me = memory.process(number);
            match memory.row().seize(&me) {
                Ok(Some(seized)) => {
                    seized.row().write(&[number; CONTENT]);
                    true
                }
                Ok(None) | Err(Busy) => false,
            }
        };
        let other = {
            let memory = Arc::clone(&memory);
            thread::spawn(move || seize(&memory, 2))
        };
        let mine = seize(&memory, 1);
        let theirs = other.join().unwrap();
        assert!(mine != theirs, "two owners, or none");
        assert_eq!(memory.look(), Some(if mine { 1 } else { 2 }));
    });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The writer fills the copy that counts.
    SameCopy,
    /// The writer has no fence before it fills.
    NoWriterFence,
    /// The reader has no fence before its second look.
    NoReaderFence,
    /// The reader does not look again.
    NoSecondLook,
    /// The commit is not released.
    CommitRelaxed,
    /// The claim of the dead is taken with a store: two may have it.
    TakenByStore,
    /// Whoever finds a claim takes it, whether its holder lives or not.
    TakenFromTheLiving,
    /// The claim is given back without release.
    GivenRelaxed,
}

/// The same algorithm on two words, with a defect to choose.
struct Small {
    claim: AtomicU64,
    commit: AtomicU64,
    copies: [[AtomicU64; 2]; 2],
    dead: AtomicU64,
}

impl Small {
    fn new() -> Arc<Self> {
        let word = || AtomicU64::new(0);
        Arc::new(Self {
            claim: word(),
            commit: word(),
            copies: std::array::from_fn(|_| [word(), word()]),
            dead: word(),
        })
    }

    fn fill(&self, wrong: Wrong, value: u64, words: usize) -> u64 {
        let now = self.commit.load(Ordering::Acquire);
        let next = now + 1;
        // In loom this fence covers what a relaxed store behind it forgets: two mutants are without
        // it, and are looked at where one write, or the claim, makes it unnecessary.
        if !matches!(wrong, Wrong::NoWriterFence | Wrong::CommitRelaxed | Wrong::GivenRelaxed) {
            fence(Ordering::Release);
        }
        let copy = if wrong == Wrong::SameCopy { now } else { next };
        for word in self.copies[copy as usize % 2].iter().take(words) {
            word.store(value, Ordering::Relaxed);
        }
        next
    }

    fn write(&self, wrong: Wrong, value: u64) {
        let next = self.fill(wrong, value, 2);
        let order =
            if wrong == Wrong::CommitRelaxed { Ordering::Relaxed } else { Ordering::Release };
        self.commit.store(next, order);
    }

    fn read(&self, wrong: Wrong) -> Option<u64> {
        let now = self.commit.load(Ordering::Acquire);
        let [first, second] =
            [0, 1].map(|index| self.copies[now as usize % 2][index].load(Ordering::Relaxed));
        if wrong != Wrong::NoReaderFence {
            fence(Ordering::Acquire);
        }
        let is_same = self.commit.load(Ordering::Relaxed) == now;
        if !is_same && wrong != Wrong::NoSecondLook {
            return None;
        }
        assert_eq!(first, second, "a torn row");
        Some(first)
    }

    fn take(&self, wrong: Wrong, number: u64) -> bool {
        let exchange = |from| {
            self.claim
                .compare_exchange(from, number, Ordering::Acquire, Ordering::Relaxed)
                .map(|_| ())
        };
        let Err(holder) = exchange(0) else { return true };
        let is_dead = self.dead.load(Ordering::Acquire) == holder;
        match wrong {
            Wrong::TakenByStore if is_dead => {
                self.claim.store(number, Ordering::Release);
                true
            }
            Wrong::TakenFromTheLiving => exchange(holder).is_ok(),
            _ => is_dead && exchange(holder).is_ok(),
        }
    }

    /// An increment under the claim; whether it was done.
    fn add(&self, wrong: Wrong, number: u64) -> bool {
        if !self.take(wrong, number) {
            return false;
        }
        let now = self.commit.load(Ordering::Relaxed);
        let value = self.copies[now as usize % 2][0].load(Ordering::Relaxed);
        self.write(wrong, value + 1);
        let order =
            if wrong == Wrong::GivenRelaxed { Ordering::Relaxed } else { Ordering::Release };
        let _ = self.claim.compare_exchange(number, 0, order, Ordering::Relaxed);
        true
    }
}

/// One writes twice, one reads.
fn read_while_written(wrong: Wrong) {
    explore("small row read", None, move || {
        let row = Small::new();
        let writer = {
            let row = Arc::clone(&row);
            thread::spawn(move || {
                row.write(wrong, 1);
                row.write(wrong, 2);
            })
        };
        row.read(wrong);
        writer.join().unwrap();
        assert_eq!(row.read(wrong), Some(2));
    });
}

/// One writes once, one reads.
fn read_what_is_written_first(wrong: Wrong) {
    explore("small row written once", None, move || {
        let row = Small::new();
        let reader = {
            let row = Arc::clone(&row);
            thread::spawn(move || row.read(wrong))
        };
        row.write(wrong, 1);
        reader.join().unwrap();
    });
}

/// One has died in the middle, two others add.
fn add_after_a_death(wrong: Wrong) {
    explore("small row of the dead", Some(3), move || {
        let row = Small::new();
        assert!(row.take(wrong, 9));
        row.fill(wrong, 99, 1);
        row.dead.store(9, Ordering::Release);
        if wrong == Wrong::SameCopy {
            row.read(wrong);
        }
        let other = {
            let row = Arc::clone(&row);
            thread::spawn(move || row.add(wrong, 2))
        };
        let mine = row.add(wrong, 1);
        let both = u64::from(other.join().unwrap()) + u64::from(mine);
        assert!(both > 0, "a dead process keeps its claim");
        assert_eq!(row.read(wrong), Some(both), "an increment is lost");
    });
}

/// Two who live add.
fn add_by_two(wrong: Wrong) {
    explore("small row of two", Some(3), move || {
        let row = Small::new();
        let other = {
            let row = Arc::clone(&row);
            thread::spawn(move || row.add(wrong, 2))
        };
        let mine = row.add(wrong, 1);
        let both = u64::from(other.join().unwrap()) + u64::from(mine);
        assert_eq!(row.read(wrong), Some(both), "an increment is lost");
    });
}

#[test]
fn the_small_row_passes() {
    read_while_written(Wrong::Nothing);
    add_after_a_death(Wrong::Nothing);
    add_by_two(Wrong::Nothing);
}

#[test]
fn readers_of_mutants_see_torn_rows() {
    for wrong in [Wrong::NoWriterFence, Wrong::NoReaderFence, Wrong::NoSecondLook] {
        finds(&format!("small row {wrong:?}"), "a torn row", || read_while_written(wrong));
    }
}

#[test]
fn a_mutant_that_fills_the_copy_that_counts_is_found() {
    finds("small row SameCopy", "a torn row", || add_after_a_death(Wrong::SameCopy));
}

#[test]
fn a_mutant_whose_dead_leave_a_claim_to_two_is_found() {
    let lost = "an increment is lost";
    finds("small row TakenByStore", lost, || add_after_a_death(Wrong::TakenByStore));
}

#[test]
fn a_mutant_that_takes_from_the_living_is_found() {
    let lost = "an increment is lost";
    finds("small row TakenFromTheLiving", lost, || add_by_two(Wrong::TakenFromTheLiving));
}

#[test]
fn a_mutant_that_commits_without_release_is_found() {
    let first = || read_what_is_written_first(Wrong::CommitRelaxed);
    finds("small row CommitRelaxed", "a torn row", first);
}

#[test]
fn a_mutant_that_gives_back_without_release_is_found() {
    finds("small row GivenRelaxed", "an increment is lost", || add_by_two(Wrong::GivenRelaxed));
}

/// The claim itself says whose it was.
#[test]
fn a_claim_of_the_dead_is_known_as_one() {
    explore("claim of the dead", None, || {
        let memory = Memory::new();
        let gate = memory.row().gate();
        assert_eq!(claim::take(gate, &memory.process(9)), Ok(Found::Free));
        assert_eq!(claim::try_take(gate, &memory.process(1)), Err(Busy));
        memory.dead.store(9, Ordering::Release);
        assert_eq!(claim::try_take(gate, &memory.process(1)), Ok(Found::OfTheDead));
        claim::give_back(gate, 9); // no longer its own
        assert_eq!(claim::try_take(gate, &memory.process(2)), Err(Busy));
        claim::give_back(gate, 1);
        assert_eq!(claim::try_take(gate, &memory.process(2)), Ok(Found::Free));
    });
}
