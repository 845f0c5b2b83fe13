//! Why a table did not do what it was asked.

use std::fmt;
use std::io;

use ostler_shm::shared::table::Trouble;

/// Why a table did not do what it was asked. Nothing was changed then.
///
/// ```
/// let table = ostler::shared::TableDesign::new(1).key_bytes_max(4).make("small")?;
/// let error = table.set(b"too long", &table.row()).unwrap_err();
/// assert!(error.is_too_long() && !error.is_full());
/// assert_eq!(error.to_string(), "a key has at most 4 bytes, not 8");
/// # Ok::<(), ostler::Error>(())
/// ```
pub struct TableError(Kind);

#[derive(Debug)]
enum Kind {
    Full,
    Busy,
    TooLong { what: &'static str, len: usize, max: usize },
    System(io::Error),
}

impl TableError {
    pub(super) const fn too_long(what: &'static str, len: usize, max: usize) -> Self {
        Self(Kind::TooLong { what, len, max })
    }

    /// Whether no row is free for the key. At least so many rows as the table was made for fit.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(1).make("small")?;
    /// let keys = (0_u8..=255).map(|number| [number]);
    /// let refused = keys.filter_map(|key| table.set(&key, &table.row()).err()).next();
    /// assert!(refused.is_some_and(|error| error.is_full()));
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self.0, Kind::Full)
    }

    /// Whether a living process is in the middle of a write and does not go on: it is stopped, or
    /// waits for a CPU.
    ///
    /// ```
    /// let table = ostler::shared::TableDesign::new(1).make("small")?;
    /// match table.remove(b"key") {
    ///     Err(error) if error.is_busy() => println!("later"),
    ///     other => assert!(!other?),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.0, Kind::Busy)
    }

    /// Whether a key or a value is longer than the table was made for.
    ///
    /// ```
    /// let mut design = ostler::shared::TableDesign::new(1);
    /// let name = design.bytes("name", 3);
    /// let mut row = design.make("small")?.row();
    /// assert!(row.set(name, b"four").unwrap_err().is_too_long());
    /// # Ok::<(), ostler::Error>(())
    /// ```
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(self.0, Kind::TooLong { .. })
    }
}

impl From<Trouble> for TableError {
    fn from(trouble: Trouble) -> Self {
        Self(match trouble {
            Trouble::Full => Kind::Full,
            Trouble::Busy => Kind::Busy,
            Trouble::System(error) => Kind::System(error),
        })
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full => f.write_str("the table is full: make it for more rows, or remove some"),
            Kind::Busy => f.write_str(
                "another process is in the middle of a write of the table and does not go on: is \
                 it stopped?",
            ),
            Kind::TooLong { what, len, max } => {
                write!(f, "{what} has at most {max} bytes, not {len}")
            }
            Kind::System(error) => {
                write!(
                    f,
                    "this process cannot write the table: {error} (locks of files forbidden?)"
                )
            }
        }
    }
}

impl fmt::Debug for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Kind::System(error) => Some(error),
            _ => None,
        }
    }
}
