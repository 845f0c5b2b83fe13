//! How a port cuts bytes into packages, as a program says it.

use ostler_core::framing::LengthType;

use crate::options::spell_bytes;

/// How the bytes of a session become packages.
///
/// ```
/// use ostler::{Framing, LengthType};
///
/// let lines = Framing::lines();
/// let records = Framing::delimited(b"\x1e");
/// // Two bytes of something else, then the length of what follows the header of six bytes.
/// let framed = Framing::length(LengthType::U32Big).length_offset(2).body_offset(6);
/// assert_ne!(lines, records);
/// assert_ne!(framed, Framing::length(LengthType::U32Big));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Framing {
    /// The options that say it, and their values.
    options: Vec<(&'static str, String)>,
}

impl Framing {
    fn named(name: &str) -> Self {
        Self { options: vec![("framing", name.to_owned())] }
    }

    fn and(mut self, option: &'static str, value: String) -> Self {
        self.options.retain(|(name, _)| *name != option);
        self.options.push((option, value));
        self
    }

    pub(super) fn options(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.options.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Each read is a package, behind what the handler has not used of the one before, see
    /// [`Package::consume`](crate::Package::consume) (`framing = stream`, the default).
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::stream());
    /// ```
    #[must_use]
    pub fn stream() -> Self {
        Self::named("stream")
    }

    /// Each read is a package (`framing = raw`).
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::raw());
    /// ```
    #[must_use]
    pub fn raw() -> Self {
        Self::named("raw")
    }

    /// A line feed ends a package, which includes it (`framing = line`).
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::lines());
    /// ```
    #[must_use]
    pub fn lines() -> Self {
        Self::named("line")
    }

    /// These 1 to 8 bytes end a package, which includes them (`framing = eof`).
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::delimited(b"\r\n"));
    /// ```
    #[must_use]
    pub fn delimited(delimiter: &[u8]) -> Self {
        Self::named("eof").and("package_eof", spell_bytes(delimiter))
    }

    /// Everything received is a package as soon as it ends with these 1 to 8 bytes
    /// (`framing = eof_at_end`). Several messages may arrive in one package; nothing is searched.
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::delimited_at_end(b"\0"));
    /// ```
    #[must_use]
    pub fn delimited_at_end(delimiter: &[u8]) -> Self {
        Self::named("eof_at_end").and("package_eof", spell_bytes(delimiter))
    }

    /// A field in the header says how long a package is (`framing = length`). Unless said
    /// otherwise it stands at the front and counts the bytes behind it.
    #[must_use]
    pub fn length(length_type: LengthType) -> Self {
        Self::named("length")
            .and("package_length_type", length_type.letter().to_string())
            .and("package_length_offset", "0".to_owned())
            .body_offset(length_type.size())
    }

    /// Bytes of a package before its length, up to 8 152. Means something with
    /// [`Framing::length`].
    #[must_use]
    pub fn length_offset(self, bytes: u32) -> Self {
        self.and("package_length_offset", bytes.to_string())
    }

    /// What is added to the length for that of the whole package: the size of the header when the
    /// length counts the body, 0 when it counts everything; up to 8 152. Means something with
    /// [`Framing::length`].
    #[must_use]
    pub fn body_offset(self, bytes: u32) -> Self {
        self.and("package_body_offset", bytes.to_string())
    }

    /// Each MQTT control packet is a package (`framing = mqtt`).
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::mqtt());
    /// ```
    #[must_use]
    pub fn mqtt() -> Self {
        Self::named("mqtt")
    }

    /// Each value of the Redis serialization protocol, or inline command, is a package
    /// (`framing = resp`).
    ///
    /// ```
    /// let builder = ostler::Server::builder().framing(ostler::Framing::resp());
    /// ```
    #[must_use]
    pub fn resp() -> Self {
        Self::named("resp")
    }
}
