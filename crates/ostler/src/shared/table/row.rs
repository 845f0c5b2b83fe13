//! A row of a table, copied out of it.

use std::fmt;
use std::sync::Arc;

use ostler_shm::shared::table::Stamp;

use super::column::{Cell, Column, Kind, Layout};
use super::{Table, TableError, TableResult};

/// A row of a [`Table`]: a copy, which changes nothing until it is [set](Table::set).
///
/// ```
/// let mut design = ostler::shared::TableDesign::new(10);
/// let ratio = design.float("ratio");
/// let mut row = design.make("players")?.row();
/// row.set(ratio, 0.5)?;
/// assert_eq!(row.get(ratio), 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Row {
    words: Vec<u64>,
    layout: Arc<Layout>,
    /// Which row it was, if any.
    stamp: Option<Stamp>,
}

impl Row {
    pub(super) const fn new(words: Vec<u64>, layout: Arc<Layout>, stamp: Option<Stamp>) -> Self {
        Self { words, layout, stamp }
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) const fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    pub(super) fn check_table(&self, layout: &Layout) {
        let is_same = self.layout.design == layout.design;
        assert!(is_same, "a row is used with another table than its own");
    }

    /// The value of a column.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let name = design.bytes("name", 8);
    /// assert_eq!(design.make("players")?.row().get(name), b"");
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn get<T: Cell + ?Sized>(&self, column: Column<T>) -> T::Read {
        column.read(&self.layout, &self.words)
    }

    /// Sets the value of a column, in this copy.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let name = design.bytes("name", 8);
    /// let mut row = design.make("players")?.row();
    /// row.set(name, b"Anna")?;
    /// assert_eq!(row.get(name), b"Anna");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When bytes are longer than the column; then it stays as it was.
    pub fn set<T: Cell + ?Sized>(
        &mut self,
        column: Column<T>,
        value: T::Written<'_>,
    ) -> Result<(), TableError> {
        column.write(&self.layout, &mut self.words, value)
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = f.debug_struct("Row");
        for (name, kind, at) in &self.layout.columns {
            let words = self.words.get(self.layout.word(*at)..).unwrap_or(&[]);
            match kind {
                Kind::Integer => row.field(name, &i64::read(words, 0)),
                Kind::Float => row.field(name, &f64::read(words, 0)),
                Kind::Bytes(max) => row.field(name, &<[u8]>::read(words, *max)),
            };
        }
        row.finish()
    }
}

/// All rows of a table, see [`Table::rows`].
///
/// ```
/// let table = ostler::shared::TableDesign::new(10).make("members")?;
/// table.set(b"anna", &table.row())?;
/// assert_eq!(table.rows().filter_map(Result::ok).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Rows<'a> {
    table: &'a Table,
    next: u64,
}

impl<'a> Rows<'a> {
    pub(super) const fn new(table: &'a Table) -> Self {
        Self { table, next: 0 }
    }
}

impl Iterator for Rows<'_> {
    /// A row, or busy for one that is written all the time; the next call goes on behind it.
    type Item = TableResult<(Vec<u8>, Row)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.table.places() {
            let place = self.next;
            self.next += 1;
            if let Some(entry) = self.table.row_at(place).transpose() {
                return Some(entry);
            }
        }
        None
    }
}
