//! What the rows of a table have, and how it lies in their words.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use ostler_shm::shared::table::{KEY_BYTES_MAX, ROWS_MAX, Shape};

use super::{Table, TableError};
use crate::error::Result;

/// The longest value of a column of bytes. A row is copied whole with each read and write.
const VALUE_BYTES_MAX: usize = 4_096;
/// The longest row, all its columns together.
const ROW_BYTES_MAX: usize = 65_536;
/// Keys have at most so many bytes if nothing else is said.
const KEY_BYTES: usize = 32;

/// Which design a column is of: the next one is not the same.
static DESIGNS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
    Bytes(usize),
}

impl Kind {
    const fn words(self) -> usize {
        match self {
            Self::Integer | Self::Float => 1,
            // One for the length.
            Self::Bytes(max) => 1 + max.div_ceil(8),
        }
    }
}

/// Where the columns of a table lie in the content of its rows.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) design: u64,
    /// The first word of the values.
    values_at: usize,
    /// Name, kind, and place behind the first value.
    pub(super) columns: Vec<(String, Kind, usize)>,
}

impl Layout {
    pub(super) fn problem(&self, shape: &Shape) -> Option<String> {
        if shape.rows == 0 || shape.rows > ROWS_MAX {
            return Some(format!("it has 1 to {ROWS_MAX} rows, not {}", shape.rows));
        }
        if shape.key_bytes > KEY_BYTES_MAX {
            let max = KEY_BYTES_MAX;
            return Some(format!("keys have at most {max} bytes, not {}", shape.key_bytes));
        }
        for (name, kind, _) in &self.columns {
            if let Kind::Bytes(max) = kind
                && *max > VALUE_BYTES_MAX
            {
                return Some(format!("`{name}` has at most {VALUE_BYTES_MAX} bytes, not {max}"));
            }
        }
        let bytes = shape.value_words.saturating_mul(8);
        (bytes > ROW_BYTES_MAX).then(|| {
            format!("its columns have at most {ROW_BYTES_MAX} bytes together, not {bytes}")
        })
    }

    /// The word of a row's content that is behind the first value by so much.
    pub(super) const fn word(&self, at: usize) -> usize {
        self.values_at + at
    }
}

/// What a table will have: its columns, how many rows, how long its keys may be.
///
/// A column is known by what the design answers when it is told of it, and is of the type that it
/// was made with. All memory is taken when the table is made: each row has room for the longest of
/// everything, twice, and there is one more for every three that were asked for.
///
/// ```
/// use ostler::shared::{Column, Table, TableDesign};
///
/// #[derive(Clone)]
/// struct Players {
///     table: Table,
///     score: Column<i64>,
///     name: Column<[u8]>,
/// }
///
/// fn players() -> ostler::Result<Players> {
///     let mut design = TableDesign::new(1_000);
///     let (score, name) = (design.integer("score"), design.bytes("name", 20));
///     Ok(Players { table: design.make("players")?, score, name })
/// }
/// # players()?;
/// # Ok::<(), ostler::Error>(())
/// ```
#[derive(Debug)]
pub struct TableDesign {
    rows: u64,
    key_bytes_max: usize,
    design: u64,
    words: usize,
    columns: Vec<(String, Kind, usize)>,
}

impl TableDesign {
    /// A table that has room for so many rows at least.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(1_000).make("keys alone")?;
    /// assert!(table.is_empty());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub fn new(rows: u64) -> Self {
        let design = DESIGNS.fetch_add(1, Ordering::Relaxed);
        Self { rows, key_bytes_max: KEY_BYTES, design, words: 0, columns: Vec::new() }
    }

    /// Its keys have so many bytes at most; 32 if this is not called, 256 are possible.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(10).key_bytes_max(4).make("short")?;
    /// assert!(table.get(b"longer").is_err_and(|error| error.is_too_long()));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub const fn key_bytes_max(mut self, bytes: usize) -> Self {
        self.key_bytes_max = bytes;
        self
    }

    fn column<T: ?Sized>(&mut self, name: &str, kind: Kind) -> Column<T> {
        let at = self.words;
        self.columns.push((name.to_owned(), kind, at));
        self.words = self.words.saturating_add(kind.words());
        let max = if let Kind::Bytes(max) = kind { max } else { 0 };
        Column { design: self.design, at, max, of: PhantomData }
    }

    /// It has a column of integers.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let hits = design.integer("hits");
    /// assert_eq!(design.make("pages")?.add(b"/", hits, 1)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn integer(&mut self, name: &str) -> Column<i64> {
        self.column(name, Kind::Integer)
    }

    /// It has a column of floating-point numbers.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let load = design.float("load");
    /// assert_eq!(design.make("machines")?.add(b"a", load, 0.5)?, 0.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn float(&mut self, name: &str) -> Column<f64> {
        self.column(name, Kind::Float)
    }

    /// It has a column of bytes, so many at most in each row.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(10);
    /// let city = design.bytes("city", 10);
    /// let mut row = design.make("people")?.row();
    /// row.set(city, "Köln".as_bytes())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bytes(&mut self, name: &str, bytes_max: usize) -> Column<[u8]> {
        self.column(name, Kind::Bytes(bytes_max))
    }

    /// Makes the table, before [`crate::Server::run`].
    ///
    /// ```
    /// let error = ostler::shared::TableDesign::new(0).make("none").unwrap_err();
    /// assert!(error.is_option());
    /// ```
    ///
    /// # Errors
    /// When its sizes are impossible, there is no memory, or it is made in a worker.
    pub fn make(self, name: &str) -> Result<Table> {
        let (rows, key_bytes) = (self.rows, self.key_bytes_max);
        let shape = Shape { rows, key_bytes, value_words: self.words };
        let values_at = shape.values_at();
        let layout = Layout { design: self.design, values_at, columns: self.columns };
        Table::make(name, shape, layout)
    }
}

/// A column of a table: of `i64`, `f64` or `[u8]`. It is a number or two; copy it.
///
/// Whoever uses it with another table than that of its design has made a mistake that no program
/// can go on with: that panics.
///
/// ```
/// use ostler::shared::{Column, TableDesign};
///
/// let score: Column<i64> = TableDesign::new(10).integer("score");
/// ```
pub struct Column<T: ?Sized> {
    design: u64,
    /// Behind the first value, in words.
    at: usize,
    /// The longest value, for bytes.
    max: usize,
    of: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Clone for Column<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Column<T> {}

impl<T: ?Sized> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column").field("at", &self.at).finish_non_exhaustive()
    }
}

impl<T: ?Sized> Column<T> {
    /// Its first word in a row of this table.
    pub(super) fn place(self, layout: &Layout) -> usize {
        assert!(self.design == layout.design, "a column is used with another table than its own");
        layout.word(self.at)
    }
}

/// What a column may be of: `i64`, `f64`, `[u8]`. Nothing else can implement this.
///
/// ```
/// fn is_cell<T: ostler::shared::Cell + ?Sized>() {}
/// is_cell::<i64>();
/// is_cell::<[u8]>();
/// ```
#[allow(private_bounds)] // that is what seals it
pub trait Cell: Sealed {
    /// What [`super::Row::get`] answers with.
    type Read;
    /// What [`super::Row::set`] is given.
    type Written<'a>;

    #[doc(hidden)]
    fn read(words: &[u64], max: usize) -> Self::Read;

    #[doc(hidden)]
    fn write(
        words: &mut [u64],
        max: usize,
        value: Self::Written<'_>,
    ) -> std::result::Result<(), TableError>;
}

/// What can be [added](super::Table::add): `i64` and `f64`.
///
/// ```
/// fn is_number<T: ostler::shared::Number>() {}
/// is_number::<f64>();
/// ```
pub trait Number: Cell + Copy {
    #[doc(hidden)]
    fn from_word(word: u64) -> Self;
    #[doc(hidden)]
    fn to_word(self) -> u64;
    #[doc(hidden)]
    fn plus(self, other: Self) -> Self;
}

/// Nobody outside can name it, and so implement what asks for it.
trait Sealed {}
impl Sealed for i64 {}
impl Sealed for f64 {}
impl Sealed for [u8] {}

macro_rules! number {
    ($type:ty, $from:expr, $to:expr, $plus:expr) => {
        impl Number for $type {
            fn from_word(word: u64) -> Self {
                $from(word)
            }

            fn to_word(self) -> u64 {
                $to(self)
            }

            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
        }

        impl Cell for $type {
            type Read = Self;
            type Written<'a> = Self;

            fn read(words: &[u64], _: usize) -> Self {
                Self::from_word(words.first().copied().unwrap_or(0))
            }

            fn write(
                words: &mut [u64],
                _: usize,
                value: Self,
            ) -> std::result::Result<(), TableError> {
                words.iter_mut().take(1).for_each(|word| *word = value.to_word());
                Ok(())
            }
        }
    };
}

number!(i64, u64::cast_signed, i64::cast_unsigned, i64::wrapping_add);
number!(f64, f64::from_bits, f64::to_bits, |one: f64, other| one + other);

impl Cell for [u8] {
    type Read = Vec<u8>;
    type Written<'a> = &'a [u8];

    fn read(words: &[u64], max: usize) -> Vec<u8> {
        let Some((len, words)) = words.split_first() else { return Vec::new() };
        // Another process may have written any number.
        let len = usize::try_from(*len).unwrap_or(max).min(max);
        words.iter().flat_map(|word| word.to_le_bytes()).take(len).collect()
    }

    fn write(words: &mut [u64], max: usize, value: &[u8]) -> std::result::Result<(), TableError> {
        if value.len() > max {
            return Err(TableError::too_long("a value of this column", value.len(), max));
        }
        let Some((len, words)) = words.split_first_mut() else { return Ok(()) };
        *len = value.len() as u64;
        for (word, chunk) in words.iter_mut().zip(value.chunks(8)) {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            *word = u64::from_le_bytes(bytes);
        }
        Ok(())
    }
}

impl<T: Cell + ?Sized> Column<T> {
    pub(super) fn read(self, layout: &Layout, words: &[u64]) -> T::Read {
        T::read(words.get(self.place(layout)..).unwrap_or(&[]), self.max)
    }

    pub(super) fn write(
        self,
        layout: &Layout,
        words: &mut [u64],
        value: T::Written<'_>,
    ) -> std::result::Result<(), TableError> {
        T::write(words.get_mut(self.place(layout)..).unwrap_or(&mut []), self.max, value)
    }
}
