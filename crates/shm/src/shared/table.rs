//! A table of fixed size: rows that are found by a key, which any process reads and writes.
//!
//! A key has a home, the row that its hash says; it is kept there or in one of the rows behind. Who
//! writes holds the gate of the home, a claim on all keys with that home, so that two processes
//! never make two rows of one key. The home says how far away its keys may be (its *reach*): a
//! reader looks so far and no further, and a row that is free is free, whatever was in it before.
//!
//! Only the holder of a key's gate changes its row. A row that is free is brought into use by whom
//! its owner word names, because its neighbours' gates lead there too. What either leaves behind
//! when it dies needs no repair ([`super::row`]): a reach that is too far costs a look.

use super::claim::{self, Busy, Claimant};
use super::members::{Member, Members};
use super::row::{Row, Seized, Version};
use crate::layout::PAGE;
use crate::mapping::{self, Mapping, Writer};
use crate::sync::AtomicU64;
use std::hash::{BuildHasher as _, RandomState};
use std::io;

/// The longest key.
pub const KEY_BYTES_MAX: usize = 256;
const KEY_WORDS_MAX: usize = KEY_BYTES_MAX / 8;
/// Rows behind its home in which a key may be. With three rows of four in use, a run of so many
/// that are taken is less likely than one in a billion.
const WINDOW_MAX: u64 = 1_024;
/// The most rows.
pub const ROWS_MAX: u64 = 1 << 32;

/// Words of a row's content: the hash of its key.
const TAG: usize = 0;
/// When it ends, nanoseconds of the machine's monotonic clock; 0: never.
pub const EXPIRES: usize = 1;
/// Bytes of its key.
const KEY_LEN: usize = 2;
const KEY: usize = 3;

/// Why an operation was not done. Nothing was changed then.
#[derive(Debug)]
pub enum Trouble {
    /// No row is free.
    Full,
    /// A living process holds what is needed, and does not let go.
    Busy,
    /// This process could not become one that writes.
    System(io::Error),
}

impl From<Busy> for Trouble {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

/// What is to become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It stays as it is.
    Keep,
    /// It has the content that was made.
    Write,
    /// It is free.
    Remove,
}

/// Which row, and how often it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    row: u64,
    version: Version,
}

/// Sizes of a table.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many rows it has room for at least.
    pub rows: u64,
    /// Bytes of the longest key, at most [`KEY_BYTES_MAX`].
    pub key_bytes: usize,
    /// Words of the values of a row.
    pub value_words: usize,
}

impl Shape {
    /// Where the values begin in a row's content.
    #[must_use]
    pub const fn values_at(&self) -> usize {
        KEY + self.key_bytes.div_ceil(8)
    }

    /// Words of a row's content.
    #[must_use]
    pub const fn content_words(&self) -> usize {
        self.values_at() + self.value_words
    }

    /// Rows that are made: a fourth of them stays free, so that a free one is near.
    const fn places(&self) -> u64 {
        self.rows + self.rows / 3 + 8
    }

    /// Words from one row to the next: whole cache lines.
    const fn stride(&self) -> usize {
        Row::words(self.content_words()).next_multiple_of(8)
    }
}

/// A table, and this process as one that uses it.
#[derive(Debug)]
pub struct Table {
    mapping: Mapping,
    members: Members,
    shape: Shape,
    /// Not in shared memory: who wants many keys in one place has to know it.
    hasher: RandomState,
}

/// A key as a row has it.
struct Key {
    tag: u64,
    home: u64,
    len: u64,
    words: [u64; KEY_WORDS_MAX],
}

impl Table {
    /// Makes one, without a row, before the processes that use it are forked.
    ///
    /// # Errors
    /// Those of memfd_create(2), fallocate(2) and mmap(2); also impossible sizes.
    pub fn create(name: &str, shape: Shape) -> io::Result<Self> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "impossible sizes of a table");
        if shape.rows == 0 || shape.rows > ROWS_MAX || shape.key_bytes > KEY_BYTES_MAX {
            return Err(wrong());
        }
        let row_bytes = shape.stride() as u64 * 8;
        let bytes = shape.places().checked_mul(row_bytes).and_then(|len| len.checked_add(PAGE));
        let len = bytes.ok_or_else(wrong)?;
        if len > memory_bytes() {
            // The kernel would give page after page until it has to kill somebody.
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        let file = mapping::create(name, len, true)?;
        mapping::seal(&file, Writer::Receiver)?;
        let mapping = Mapping::inherited(&file, len, true)?;
        let members = Members::new(file)?;
        Ok(Self { mapping, members, shape, hasher: RandomState::new() })
    }

    /// Its sizes.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many bytes of memory it takes, whatever is in it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        // Its length was checked when it was made.
        self.shape.places() * self.shape.stride() as u64 * 8 + PAGE
    }

    /// How many rows there are, in use or free.
    #[must_use]
    pub const fn places(&self) -> u64 {
        self.shape.places()
    }

    fn me(&self) -> Result<Member<'_>, Trouble> {
        let next = self.mapping.word_slice(0, 1).and_then(<[_]>::first);
        let next = next.ok_or(Trouble::Busy)?;
        self.members.me(next).map_err(Trouble::System)
    }

    fn row(&self, place: u64) -> Option<Row<'_>> {
        let stride = self.shape.stride();
        let at = PAGE.checked_add(place.checked_mul(stride as u64 * 8)?)?;
        let words: &[AtomicU64] = self.mapping.word_slice(at, stride)?;
        words.get(..Row::words(self.shape.content_words())).and_then(Row::new)
    }

    /// Tests: what a process could do that writes at random.
    #[doc(hidden)]
    pub fn write_at_random(&self, word: usize, value: u64) {
        if let Some(words) = self.mapping.word_slice(PAGE, word + 1)
            && let Some(word) = words.last()
        {
            word.store(value, crate::sync::Ordering::Relaxed);
        }
    }

    /// The row so far behind a home.
    fn behind(&self, home: u64, distance: u64) -> u64 {
        (home + distance) % self.places()
    }

    /// The home of a key whose hash is `tag`, which may be any number.
    fn home_of(&self, tag: u64) -> u64 {
        ((u128::from(tag) * u128::from(self.places())) >> 64) as u64
    }

    fn window(&self) -> u64 {
        self.places().min(WINDOW_MAX)
    }

    /// How far away keys of this home may be; another process may have written any number.
    fn reach(&self, home: Row<'_>) -> u64 {
        home.reach().min(self.window() - 1)
    }

    fn key(&self, key: &[u8]) -> Key {
        let mut words = [0; KEY_WORDS_MAX];
        for (word, chunk) in words.iter_mut().zip(key.chunks(8)) {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            *word = u64::from_le_bytes(bytes);
        }
        let tag = self.hasher.hash_one(key);
        Key { tag, home: self.home_of(tag), len: key.len() as u64, words }
    }

    fn is_of(&self, content: &[u64], key: &Key) -> bool {
        let words = content.get(KEY..self.shape.values_at()).unwrap_or(&[]);
        content.get(TAG) == Some(&key.tag)
            && content.get(KEY_LEN) == Some(&key.len)
            && words.iter().zip(&key.words).all(|(one, other)| one == other)
    }

    /// Copies the row of a key into `content`. A row whose time is over is none.
    ///
    /// # Errors
    /// When the row is changed all the time.
    pub fn read(&self, key: &[u8], content: &mut [u64]) -> Result<Option<Stamp>, Trouble> {
        let stamp = self.find(&self.key(key), content)?;
        Ok(stamp.filter(|_| !is_over(content)))
    }

    fn find(&self, key: &Key, content: &mut [u64]) -> Result<Option<Stamp>, Trouble> {
        let Some(home) = self.row(key.home) else { return Ok(None) };
        for distance in 0..=self.reach(home) {
            let place = self.behind(key.home, distance);
            let Some(row) = self.row(place) else { continue };
            let version = row.version();
            // If the row is changed just now this looks at anything. Then its key came or went
            // meanwhile, and may as well not be there.
            if !version.is_in_use() || row.peek(version, TAG) != key.tag {
                continue;
            }
            if let Some(version) = row.read(content)?
                && self.is_of(content, key)
            {
                return Ok(Some(Stamp { row: place, version }));
            }
        }
        Ok(None)
    }

    /// Copies the row at a place, if it is in use, into `content`; answers its key. For whoever
    /// goes through all of them, from 0 to [`Table::places`].
    ///
    /// # Errors
    /// When the row is changed all the time.
    pub fn read_place(
        &self,
        place: u64,
        content: &mut [u64],
    ) -> Result<Option<(Vec<u8>, Stamp)>, Trouble> {
        let Some(row) = self.row(place) else { return Ok(None) };
        let Some(version) = row.read(content)? else { return Ok(None) };
        if is_over(content) {
            return Ok(None);
        }
        // Any number may stand there.
        let len = content.get(KEY_LEN).map_or(0, |len| *len as usize).min(self.shape.key_bytes);
        let words = content.get(KEY..self.shape.values_at()).unwrap_or(&[]);
        let key = words.iter().flat_map(|word| word.to_le_bytes()).take(len).collect();
        Ok(Some((key, Stamp { row: place, version })))
    }

    /// How many rows are in use. Looks at each.
    #[must_use]
    pub fn count(&self) -> u64 {
        let now = now_ns();
        let in_use = |place: &u64| {
            self.row(*place).is_some_and(|row| {
                let version = row.version();
                let expires = row.peek(version, EXPIRES);
                version.is_in_use() && (expires == 0 || expires > now)
            })
        };
        (0..self.places()).filter(in_use).count() as u64
    }

    /// Changes the row of a key as `act` says, at once for everybody. `act` is given the row's
    /// stamp and content; without a row the content is zeros. It must be short and must not fail:
    /// others wait meanwhile.
    ///
    /// # Errors
    /// When the table is full, or a living process holds the key and does not let go.
    pub fn change<T>(
        &self,
        key: &[u8],
        content: &mut [u64],
        act: impl FnOnce(Option<Stamp>, &mut [u64]) -> (Act, T),
    ) -> Result<T, Trouble> {
        let (me, key) = (self.me()?, self.key(key));
        let Some(home) = self.row(key.home) else { return Err(Trouble::Busy) };
        let _gate = Gate::take(home.gate(), &me)?;
        let found = self.find(&key, content)?;
        let stamp = found.filter(|_| !is_over(content));
        if stamp.is_none() {
            content.fill(0);
        }
        let (act, answer) = act(stamp, content);
        match (act, found.and_then(|found| Some((found, self.row(found.row)?)))) {
            (Act::Write, Some((_, row))) => {
                fill_key(content, &key);
                row.write(content);
            }
            (Act::Write, None) => {
                fill_key(content, &key);
                self.insert(&key, home, content, &me)?;
            }
            (Act::Remove, Some((found, row))) => {
                row.clear();
                self.pull_in(&key, home, found.row);
            }
            (Act::Keep, _) | (Act::Remove, None) => {}
        }
        Ok(answer)
    }

    /// Holder of the gate: makes a row for a key that has none.
    fn insert(
        &self,
        key: &Key,
        home: Row<'_>,
        content: &[u64],
        me: &Member<'_>,
    ) -> Result<(), Trouble> {
        let mut trouble = Trouble::Full;
        for distance in 0..self.window() {
            let Some(row) = self.row(self.behind(key.home, distance)) else { continue };
            if row.version().is_in_use() && !self.is_freed(row, key.home, me) {
                continue;
            }
            match row.seize(me) {
                Ok(Some(seized)) => {
                    fill(home, distance, &seized, content);
                    return Ok(());
                }
                Ok(None) => {}
                Err(Busy) => trouble = Trouble::Busy,
            }
        }
        Err(trouble)
    }

    /// Frees a row in use if its time is over and nobody is at it.
    fn is_freed(&self, row: Row<'_>, gate: u64, me: &Member<'_>) -> bool {
        let version = row.version();
        let expires = row.peek(version, EXPIRES);
        if expires == 0 || expires > now_ns() {
            return false;
        }
        let mut head = [0; EXPIRES + 1];
        if !row.copy_at(version, &mut head) || !is_over(&head) {
            return false;
        }
        let [tag, _] = head;
        let home = self.home_of(tag);
        let Some(word) = self.row(home).map(|home| home.gate()) else { return false };
        // Two gates at once, but nobody waits for the second one.
        let second = if home == gate { None } else { Gate::try_take(word, me).ok() };
        let is_ours = home == gate || second.is_some();
        let is_same = is_ours && row.version() == version;
        if is_same {
            row.clear();
        }
        is_same
    }

    /// Frees the rows whose time is over; says how many.
    ///
    /// # Errors
    /// When this process cannot become one that writes.
    pub fn remove_expired(&self) -> Result<u64, Trouble> {
        let me = self.me()?;
        let mut count = 0;
        for place in 0..self.places() {
            let Some(row) = self.row(place) else { continue };
            // No place is its own gate here: `u64::MAX` is none.
            count += u64::from(row.version().is_in_use() && self.is_freed(row, u64::MAX, &me));
        }
        Ok(count)
    }

    /// Holder of the gate: a row of its home is free now; if it was the one furthest away, the
    /// reach is shortened to the next.
    fn pull_in(&self, key: &Key, home: Row<'_>, place: u64) {
        let reach = self.reach(home);
        if reach == 0 || self.behind(key.home, reach) != place {
            return;
        }
        let is_of_this_home = |distance: &u64| {
            self.row(self.behind(key.home, *distance)).is_some_and(|row| {
                let version = row.version();
                version.is_in_use() && self.home_of(row.peek(version, TAG)) == key.home
            })
        };
        home.set_reach((0..reach).rev().find(is_of_this_home).unwrap_or(0));
    }
}

fn fill(home: Row<'_>, distance: u64, seized: &Seized<'_>, content: &[u64]) {
    // First: a reader that knows of the row finds it.
    home.set_reach(home.reach().max(distance));
    seized.row().write(content);
}

fn fill_key(content: &mut [u64], key: &Key) {
    let head = [(TAG, key.tag), (KEY_LEN, key.len)];
    for (index, value) in head {
        if let Some(word) = content.get_mut(index) {
            *word = value;
        }
    }
    let words = content.get_mut(KEY..).unwrap_or(&mut []);
    let len = (key.len as usize).div_ceil(8);
    words.iter_mut().zip(&key.words).take(len).for_each(|(to, from)| *to = *from);
}

/// Whether a row's time is over.
fn is_over(content: &[u64]) -> bool {
    match content.get(EXPIRES) {
        None | Some(0) => false,
        Some(expires) => *expires <= now_ns(),
    }
}

/// `clock_gettime(CLOCK_MONOTONIC)` — the same in all processes of a machine.
#[must_use]
pub fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// `sysinfo(2)` — how much memory the machine has.
fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(info.mem_unit.into())
}

/// A gate that is held; let go when dropped.
struct Gate<'a> {
    word: &'a AtomicU64,
    number: u64,
}

impl<'a> Gate<'a> {
    fn take(word: &'a AtomicU64, me: &Member<'_>) -> Result<Self, Busy> {
        claim::take(word, me).map(|_| Self { word, number: me.number() })
    }

    fn try_take(word: &'a AtomicU64, me: &Member<'_>) -> Result<Self, Busy> {
        claim::try_take(word, me).map(|_| Self { word, number: me.number() })
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        claim::give_back(self.word, self.number);
    }
}
