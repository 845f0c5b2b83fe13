//! A row of a table: two copies of its content and one word that says which counts.
//!
//! A writer fills the copy that does not count, and lets it count with one store. So a writer that
//! dies at any instruction leaves the row as it was, and nothing to repair. A reader takes no
//! claim: it copies, and looks whether the word is still the same.
//!
//! Who may write is not decided here: for a row that is in use it is the holder of the gate of its
//! key, for one that is free the holder of its `owner` word ([`super::claim`]).

use super::claim::{self, Busy, Claimant};
use crate::sync::{AtomicU64, Ordering, fence};

/// Words before the copies.
pub const HEAD_WORDS: usize = 4;
/// How often a reader tries again when it meets a change. A row is written in well under a
/// microsecond; whoever fails this often looks at memory that somebody writes at random.
const READ_TRIES: usize = 10_000;

/// The holder may change all keys whose home is this row.
const GATE: usize = 0;
/// The holder may bring a free row into use.
const OWNER: usize = 1;
/// How many rows behind this one its keys may be.
const REACH: usize = 2;
/// How often the row was changed, and in the lowest bit whether it is in use. The lowest bit of the
/// number of changes says which copy counts.
const COMMIT: usize = 3;
const IN_USE: u64 = 1;

/// What a row is at a moment: its commit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64);

impl Version {
    /// Whether the row is in use.
    #[must_use]
    pub const fn is_in_use(self) -> bool {
        self.0 & IN_USE == IN_USE
    }

    const fn next(self, in_use: bool) -> Self {
        let changes = (self.0 >> 1).wrapping_add(1);
        Self(changes << 1 | in_use as u64)
    }

    const fn is_second_copy(self) -> bool {
        self.0 >> 1 & 1 == 1
    }
}

/// One row, in memory that other processes write. All zero: free.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    head: &'a [AtomicU64; HEAD_WORDS],
    copies: [&'a [AtomicU64]; 2],
}

impl<'a> Row<'a> {
    /// Words of a row whose content has so many.
    #[must_use]
    pub const fn words(content_words: usize) -> usize {
        HEAD_WORDS + 2 * content_words
    }

    /// The row that these words are; `None` when they are too few for any.
    #[must_use]
    pub fn new(words: &'a [AtomicU64]) -> Option<Self> {
        let (head, copies) = words.split_first_chunk::<HEAD_WORDS>()?;
        let (first, second) = copies.split_at_checked(copies.len() / 2)?;
        Some(Self { head, copies: [first, second] })
    }

    fn word(&self, index: usize) -> &'a AtomicU64 {
        #[allow(clippy::indexing_slicing)] // every index is a constant below HEAD_WORDS
        &self.head[index]
    }

    fn copy(&self, version: Version) -> &'a [AtomicU64] {
        let [first, second] = self.copies;
        if version.is_second_copy() { second } else { first }
    }

    /// The claim on all keys whose home is this row.
    #[must_use]
    pub fn gate(&self) -> &'a AtomicU64 {
        self.word(GATE)
    }

    /// How many rows behind this one its keys may be.
    #[must_use]
    pub fn reach(&self) -> u64 {
        self.word(REACH).load(Ordering::Relaxed)
    }

    /// Holder of the gate: keys may be so far away. Set before a row is brought into use there, and
    /// after those further away are free.
    pub fn set_reach(&self, rows: u64) {
        self.word(REACH).store(rows, Ordering::Relaxed);
    }

    /// What the row is now.
    #[must_use]
    pub fn version(&self) -> Version {
        Version(self.word(COMMIT).load(Ordering::Acquire))
    }

    /// One word of the content as it was at `version`; any number if the row was changed since.
    #[must_use]
    pub fn peek(&self, version: Version, index: usize) -> u64 {
        self.copy(version).get(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Copies the content as it was at `version`; false when the row was changed meanwhile, and the
    /// copy is nothing.
    #[must_use]
    pub fn copy_at(&self, version: Version, content: &mut [u64]) -> bool {
        for (to, from) in content.iter_mut().zip(self.copy(version)) {
            *to = from.load(Ordering::Relaxed);
        }
        // Whoever has seen a word of a later change sees here that there was one before that.
        fence(Ordering::Acquire);
        self.word(COMMIT).load(Ordering::Relaxed) == version.0
    }

    /// A consistent copy of the content; `None` when the row is free.
    ///
    /// # Errors
    /// When it is changed all the time.
    pub fn read(&self, content: &mut [u64]) -> Result<Option<Version>, Busy> {
        for _ in 0..READ_TRIES {
            let version = self.version();
            if !version.is_in_use() {
                return Ok(None);
            }
            if self.copy_at(version, content) {
                return Ok(Some(version));
            }
            relax();
        }
        Err(Busy)
    }

    /// Takes the right to bring the row into use, if it is free; `None` if it is not.
    ///
    /// # Errors
    /// When another living process is about to do so.
    pub fn seize(&self, who: &impl Claimant) -> Result<Option<Seized<'a>>, Busy> {
        if self.version().is_in_use() {
            return Ok(None);
        }
        claim::try_take(self.word(OWNER), who)?;
        let seized = Seized { row: *self, number: who.number() };
        // It may have been brought into use between the two looks; dropped, it is let go.
        Ok((!self.version().is_in_use()).then_some(seized))
    }

    /// Who has the right: fills the copy that does not count. The row stays as it is.
    pub fn prepare(&self, content: &[u64]) -> Prepared {
        let next = self.version().next(true);
        // Who reads a word that is stored below, in a copy that counted two changes ago, has to
        // see that there was a change since.
        fence(Ordering::Release);
        for (to, from) in self.copy(next).iter().zip(content) {
            to.store(*from, Ordering::Relaxed);
        }
        Prepared(next)
    }

    /// Who has the right: what was prepared counts.
    pub fn commit(&self, prepared: Prepared) -> Version {
        self.word(COMMIT).store(prepared.0.0, Ordering::Release);
        prepared.0
    }

    /// Who has the right: the row has this content.
    pub fn write(&self, content: &[u64]) -> Version {
        self.commit(self.prepare(content))
    }

    /// Who has the right: the row is free.
    pub fn clear(&self) {
        let next = self.version().next(false);
        self.word(COMMIT).store(next.0, Ordering::Release);
    }
}

/// What is to count next.
#[derive(Debug)]
#[must_use]
pub struct Prepared(Version);

/// A free row that this process may bring into use; let go when dropped.
#[derive(Debug)]
pub struct Seized<'a> {
    row: Row<'a>,
    number: u64,
}

impl<'a> Seized<'a> {
    /// The row.
    #[must_use]
    pub const fn row(&self) -> Row<'a> {
        self.row
    }
}

impl Drop for Seized<'_> {
    fn drop(&mut self) {
        claim::give_back(self.row.word(OWNER), self.number);
    }
}

#[cfg(not(loom))]
fn relax() {
    std::hint::spin_loop();
}
#[cfg(loom)]
fn relax() {
    loom::thread::yield_now();
}
