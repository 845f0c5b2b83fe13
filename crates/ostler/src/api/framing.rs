//! How a port cuts bytes into packages, as a program says it.

/// How the bytes of a session become packages.
///
/// ```
/// use ostler::Framing;
///
/// let lines = Framing::lines();
/// let records = Framing::delimited(b"\x1e");
/// assert_ne!(lines, records);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Framing {
    pub(super) kind: &'static str,
    /// Empty where nothing ends a package.
    pub(super) delimiter: Vec<u8>,
}

impl Framing {
    /// Each read is a package, behind what the handler has not used of the one before, see
    /// [`Package::consume`](crate::Package::consume) (`framing = stream`, the default).
    #[must_use]
    pub const fn stream() -> Self {
        Self { kind: "stream", delimiter: Vec::new() }
    }

    /// Each read is a package (`framing = raw`).
    #[must_use]
    pub const fn raw() -> Self {
        Self { kind: "raw", delimiter: Vec::new() }
    }

    /// A line feed ends a package, which includes it (`framing = eof`, `package_eof = \n`).
    #[must_use]
    pub fn lines() -> Self {
        Self::delimited(b"\n")
    }

    /// These 1 to 8 bytes end a package, which includes them (`framing = eof`).
    #[must_use]
    pub fn delimited(delimiter: &[u8]) -> Self {
        Self { kind: "eof", delimiter: delimiter.to_vec() }
    }
}
