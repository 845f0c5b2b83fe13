//! The first bytes of a file: what it is, of which version, and whose.

use super::key::Key;

/// Bytes before the first record.
pub const FILE_HEADER_BYTES: usize = 128;
/// The version that is written. It differs from the first one, which is read too, in that terms of
/// tasks may have the ids of a trace behind them.
pub const VERSION: u32 = 2;
const FIRST_VERSION: u32 = 1;
/// Bytes of the longest name of a server.
pub const NAME_BYTES_MAX: usize = 64;

const MAGIC: &[u8; 12] = b"ostler tasks";
const AT_NAME: usize = 40;
const AT_SUM: usize = FILE_HEADER_BYTES - 8;

/// What stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Of its checksums.
    pub key: Key,
    /// The name of the server that wrote it; what is longer than [`NAME_BYTES_MAX`] is cut.
    pub name: String,
}

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAJournal {
    /// It is something else.
    OtherFile,
    /// It ends before its header does.
    TooShort,
    /// It is of this version.
    Version(u32),
    /// Its header is spoilt.
    Spoilt,
}

impl FileHeader {
    /// The form in the file.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        let name = self.name.as_bytes();
        let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 12, &VERSION.to_le_bytes());
        put(&mut bytes, 16, &self.key.0.to_le_bytes());
        put(&mut bytes, 24, &self.key.1.to_le_bytes());
        put(&mut bytes, 32, &(name.len() as u64).to_le_bytes());
        put(&mut bytes, AT_NAME, name);
        let sum = self.key.sum(0, bytes.get(..AT_SUM).unwrap_or_default());
        put(&mut bytes, AT_SUM, &sum.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a file.
    ///
    /// # Errors
    /// Why it is no file of ours.
    pub fn read(file: &[u8]) -> Result<Self, NotAJournal> {
        let known = file.len().min(MAGIC.len());
        if file.get(..known) != MAGIC.get(..known) {
            return Err(NotAJournal::OtherFile);
        }
        let bytes = file.get(..FILE_HEADER_BYTES).ok_or(NotAJournal::TooShort)?;
        let word = |at: usize| number(bytes, at).ok_or(NotAJournal::TooShort);
        let version = word(8)? >> 32;
        if !(u64::from(FIRST_VERSION)..=u64::from(VERSION)).contains(&version) {
            return Err(NotAJournal::Version(version as u32));
        }
        let key = Key(word(16)?, word(24)?);
        if key.sum(0, bytes.get(..AT_SUM).unwrap_or_default()) != word(AT_SUM)? {
            return Err(NotAJournal::Spoilt);
        }
        let len = (word(32)? as usize).min(NAME_BYTES_MAX);
        let name = bytes.get(AT_NAME..AT_NAME + len).unwrap_or_default();
        Ok(Self { key, name: String::from_utf8_lossy(name).into_owned() })
    }
}

/// Writes `value` from `at` on.
pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// The number that stands at `at`.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}
