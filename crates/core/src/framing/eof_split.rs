//! Packages that end with a delimiter.

use super::delimiter::Delimiter;
use super::search::find;
use super::{Frame, Framing, FramingError};

/// Splits at a delimiter, wherever it stands in what was received; the package includes it (seed
/// setting `open_eof_split`).
///
/// A package is the bytes up to the first delimiter, if it ends within `max_length`; otherwise
/// [`Frame::TooLong`], as soon as `max_length` bytes are there.
#[derive(Clone, Copy, Debug)]
pub struct EofSplit {
    eof: Delimiter,
    max_length: u32,
    /// No delimiter begins before this place of the current package; below `max_length`.
    searched: u32,
}

impl EofSplit {
    /// Splits at `eof`; packages have at most `max_length` bytes, delimiter included.
    ///
    /// # Errors
    /// [`FramingError::EofEmpty`], [`FramingError::EofTooLong`] above
    /// [`super::MAX_EOF_LENGTH`] bytes, and [`FramingError::MaxLengthTooSmall`] if `max_length` is
    /// below the delimiter's length.
    pub fn new(eof: &[u8], max_length: u32) -> Result<Self, FramingError> {
        Ok(Self { eof: Delimiter::new(eof, max_length)?, max_length, searched: 0 })
    }
}

impl Framing for EofSplit {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        let eof = self.eof.as_bytes();
        let window = buffered.get(..self.max_length()).unwrap_or(buffered);
        let searched = usize::try_from(self.searched).unwrap_or(usize::MAX);
        let unsearched = window.get(searched..).unwrap_or_default();
        if let Some(place) = find(unsearched, eof) {
            self.searched = 0;
            return Frame::Package { len: searched + place + eof.len() };
        }
        if window.len() >= self.max_length() {
            // `searched` stays, so that asking again gives the same answer.
            return Frame::TooLong;
        }
        // A delimiter may have begun in the last bytes; all before them are done with.
        let done = (window.len() + 1).saturating_sub(eof.len());
        self.searched = u32::try_from(done).unwrap_or(u32::MAX);
        Frame::NeedMore
    }

    fn max_length(&self) -> usize {
        usize::try_from(self.max_length).unwrap_or(usize::MAX)
    }
}
