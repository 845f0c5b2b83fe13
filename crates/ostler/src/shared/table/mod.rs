//! A table that all processes see.

mod column;
mod error;
mod row;

use std::sync::Arc;
use std::time::Duration;

use ostler_shm::shared::table::{Act, EXPIRES, Shape, Stamp, now_ns};

use super::origin::Living;
use crate::error::{Error, Result};

use column::Layout;
pub use column::{Cell, Column, Number, TableDesign};
pub use error::TableError;
pub use row::{Row, Rows};

type TableResult<T> = std::result::Result<T, TableError>;

/// A table of fixed size with typed columns, which all processes of a server read and write, and
/// which outlives every one of them but the master.
///
/// There is nothing to lock and nothing that could stay locked: a process that is killed at any
/// instruction of a write leaves the row as it was, and the next one writes it. A reader waits for
/// nobody. A process that is *stopped* in the middle of a write lives and will go on; whoever wants
/// to write a key of the same place waits a fifth of a second at most and is told
/// ([`TableError::is_busy`]).
///
/// ```
/// use ostler::shared::TableDesign;
///
/// let mut design = TableDesign::new(1_000).key_bytes_max(16);
/// let score = design.integer("score");
/// let name = design.bytes("name", 20);
/// let table = design.make("players")?; // before `run`; clone it into the factory
///
/// let mut row = table.row();
/// row.set(score, 5)?;
/// row.set(name, b"Anna")?;
/// table.set(b"17", &row)?;
/// assert_eq!(table.add(b"17", score, 3)?, 8);
/// let row = table.get(b"17")?.unwrap();
/// assert_eq!((row.get(score), row.get(name)), (8, b"Anna".to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: ostler_shm::shared::table::Table,
    layout: Arc<Layout>,
    _living: Living,
}

impl Table {
    fn make(name: &str, shape: Shape, columns: Layout) -> Result<Self> {
        if let Some(problem) = columns.problem(&shape) {
            return Err(Error::option(format!("the table `{name}` cannot be made: {problem}")));
        }
        let (memory, living) =
            Living::make(name, |name| ostler_shm::shared::table::Table::create(name, shape))?;
        Ok(Self { inner: Arc::new(Inner { memory, layout: Arc::new(columns), _living: living }) })
    }

    fn buffer(&self) -> Vec<u64> {
        vec![0; self.inner.memory.shape().content_words()]
    }

    fn check(&self, key: &[u8]) -> TableResult<()> {
        let max = self.inner.memory.shape().key_bytes;
        if key.len() > max {
            return Err(TableError::too_long("a key", key.len(), max));
        }
        Ok(())
    }

    fn change<T>(
        &self,
        key: &[u8],
        content: &mut [u64],
        act: impl FnOnce(Option<Stamp>, &mut [u64]) -> (Act, T),
    ) -> TableResult<T> {
        self.check(key)?;
        self.inner.memory.change(key, content, act).map_err(TableError::from)
    }

    /// A row of zeros and empty texts, to be filled and [set](Table::set).
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let hits = design.integer("hits");
    /// assert_eq!(design.make("pages")?.row().get(hits), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn row(&self) -> Row {
        Row::new(self.buffer(), Arc::clone(&self.inner.layout), None)
    }

    /// The row of a key: a copy that nobody changes, all of it from one moment.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(10).make("rooms")?;
    /// assert!(table.get(b"nobody")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the key is too long; busy, if the row is written all the time.
    pub fn get(&self, key: &[u8]) -> TableResult<Option<Row>> {
        self.check(key)?;
        let mut content = self.buffer();
        let found = self.inner.memory.read(key, &mut content)?;
        Ok(found.map(|stamp| Row::new(content, Arc::clone(&self.inner.layout), Some(stamp))))
    }

    /// Sets the row of a key, whether there was one or not. It stays until it is removed.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(10).make("members")?;
    /// table.set(b"anna", &table.row())?;
    /// assert_eq!(table.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Full, busy, or a key that is too long. Then nothing is changed.
    pub fn set(&self, key: &[u8], row: &Row) -> TableResult<()> {
        self.put(key, row, 0)
    }

    /// Sets the row of a key for a time: when it is over there is no row, as if it had been
    /// removed, and its place is used again when it is needed.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let table = ostler::shared::TableDesign::new(10).make("tokens")?;
    /// table.set_for(b"long", &table.row(), Duration::from_secs(60))?;
    /// table.set_for(b"over", &table.row(), Duration::ZERO)?;
    /// assert!(table.get(b"long")?.is_some() && table.get(b"over")?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Table::set`].
    pub fn set_for(&self, key: &[u8], row: &Row, time: Duration) -> TableResult<()> {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.put(key, row, now_ns().saturating_add(time))
    }

    fn put(&self, key: &[u8], row: &Row, expires: u64) -> TableResult<()> {
        row.check_table(&self.inner.layout);
        self.change(key, &mut self.buffer(), |_, content| {
            self.fill(content, row);
            set_expires(content, expires);
            (Act::Write, ())
        })
    }

    /// Copies the values of a row.
    fn fill(&self, content: &mut [u64], row: &Row) {
        let from = self.inner.memory.shape().values_at();
        for (to, from) in content.iter_mut().zip(row.words()).skip(from) {
            *to = *from;
        }
    }

    /// Sets the row of a key if nobody has changed it since `row` was [got](Table::get); says
    /// whether it did. For changes that depend on what is there: get, change, replace, and again
    /// from the start when somebody was faster.
    ///
    /// A row that was made with [`Table::row`] replaces none: it is set if the key has no row.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let owner = design.bytes("owner", 8);
    /// let table = design.make("seats")?;
    /// let mut row = table.row();
    /// row.set(owner, b"anna")?;
    /// assert!(table.replace(b"12a", &row)?);
    /// row.set(owner, b"berta")?;
    /// assert!(!table.replace(b"12a", &row)?); // taken
    /// let mut taken = table.get(b"12a")?.unwrap();
    /// taken.set(owner, b"carla")?;
    /// assert!(table.replace(b"12a", &taken)?);
    /// assert!(!table.replace(b"12a", &taken)?); // changed since
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Table::set`].
    pub fn replace(&self, key: &[u8], row: &Row) -> TableResult<bool> {
        row.check_table(&self.inner.layout);
        self.change(key, &mut self.buffer(), |found, content| {
            if found != row.stamp() {
                return (Act::Keep, false);
            }
            self.fill(content, row);
            (Act::Write, true)
        })
    }

    /// Adds to a number in the row of a key, and answers with the sum. A key without a row gets
    /// one, whose other values are zeros and empty. Integers wrap around.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let (hits, load) = (design.integer("hits"), design.float("load"));
    /// let table = design.make("pages")?;
    /// assert_eq!(table.add(b"/", hits, 2)?, 2);
    /// assert_eq!(table.add(b"/", hits, -1)?, 1);
    /// assert_eq!(table.add(b"/", load, 0.5)?, 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Table::set`].
    pub fn add<T: Number>(&self, key: &[u8], column: Column<T>, number: T) -> TableResult<T> {
        let at = column.place(&self.inner.layout);
        self.change(key, &mut self.buffer(), |_, content| {
            let word = content.get_mut(at);
            let sum = word.map_or(number, |word| {
                let sum = T::from_word(*word).plus(number);
                *word = sum.to_word();
                sum
            });
            (Act::Write, sum)
        })
    }

    /// Removes the row of a key; says whether there was one.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(10).make("members")?;
    /// table.set(b"anna", &table.row())?;
    /// assert!(table.remove(b"anna")? && !table.remove(b"anna")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Busy, or a key that is too long.
    pub fn remove(&self, key: &[u8]) -> TableResult<bool> {
        self.change(key, &mut self.buffer(), |found, _| (Act::Remove, found.is_some()))
    }

    /// Removes the row of a key if nobody has changed it since `row` was [got](Table::get); says
    /// whether it did.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let points = design.integer("points");
    /// let table = design.make("coupons")?;
    /// table.add(b"summer", points, 5)?;
    /// let seen = table.get(b"summer")?.unwrap();
    /// table.add(b"summer", points, 1)?;
    /// assert!(!table.remove_row(b"summer", &seen)?); // changed since
    /// let seen = table.get(b"summer")?.unwrap();
    /// assert!(table.remove_row(b"summer", &seen)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Table::remove`].
    pub fn remove_row(&self, key: &[u8], row: &Row) -> TableResult<bool> {
        row.check_table(&self.inner.layout);
        self.change(key, &mut self.buffer(), |found, _| match found {
            Some(_) if found == row.stamp() => (Act::Remove, true),
            _ => (Act::Keep, false),
        })
    }

    /// All rows with their keys, one after another, while others write. Each row is whole. One that
    /// comes or goes meanwhile is among them or not; one that is removed and set again may be there
    /// twice.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(10).make("members")?;
    /// table.set(b"anna", &table.row())?;
    /// for entry in table.rows() {
    ///     let (key, _row) = entry?;
    ///     assert_eq!(key, b"anna");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self)
    }

    /// The row at a place, for [`Rows`].
    fn row_at(&self, place: u64) -> TableResult<Option<(Vec<u8>, Row)>> {
        let mut content = self.buffer();
        let found = self.inner.memory.read_place(place, &mut content)?;
        let layout = || Arc::clone(&self.inner.layout);
        Ok(found.map(|(key, stamp)| (key, Row::new(content, layout(), Some(stamp)))))
    }

    fn places(&self) -> u64 {
        self.inner.memory.places()
    }

    /// How many rows there are. It looks at every place: some nanoseconds each.
    ///
    /// ```
    /// assert_eq!(ostler::shared::TableDesign::new(10).make("rooms")?.len(), 0);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.memory.count()
    }

    /// Whether there is no row.
    ///
    /// ```
    /// assert!(ostler::shared::TableDesign::new(10).make("rooms")?.is_empty());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of memory the table takes, for all processes together. They were taken when
    /// it was made, whatever is in it.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(1_000).make("rooms")?;
    /// assert!(table.memory_bytes() >= 64 * 1_000);
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.inner.memory.bytes()
    }

    /// Frees the rows whose time is over, and says how many. Nobody has to: they are not seen, and
    /// are freed when a new row needs their place.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let table = ostler::shared::TableDesign::new(10).make("tokens")?;
    /// table.set_for(b"over", &table.row(), Duration::ZERO)?;
    /// assert_eq!(table.remove_expired()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the system refuses this process what a writer needs.
    pub fn remove_expired(&self) -> TableResult<u64> {
        Ok(self.inner.memory.remove_expired()?)
    }
}

fn set_expires(content: &mut [u64], expires: u64) {
    if let Some(word) = content.get_mut(EXPIRES) {
        *word = expires;
    }
}
