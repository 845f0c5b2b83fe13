//! Packages that end where what was received ends with a delimiter.

use super::delimiter::Delimiter;
use super::search::find_last;
use super::{Frame, Framing, FramingError};

/// Delivers everything received as one package as soon as it *ends* with the delimiter; what stands
/// before is not searched, so several messages may arrive glued together (setting
/// `open_eof_check` of the reference, S37).
///
/// This is cheaper than [`super::EofSplit`] and right for clients that wait for an answer. Where a
/// burst of messages is longer than `max_length`, the package ends at the last delimiter within the
/// limit, so that a client that sends much at once is not taken for one that sends no delimiter.
#[derive(Clone, Copy, Debug)]
pub struct EofAtEnd {
    eof: Delimiter,
    max_length: u32,
}

impl EofAtEnd {
    /// Packages end with `eof` and have at most `max_length` bytes, delimiter included.
    ///
    /// # Errors
    /// [`FramingError::EofEmpty`], [`FramingError::EofTooLong`] above
    /// [`super::MAX_EOF_LENGTH`] bytes, and [`FramingError::MaxLengthTooSmall`] if `max_length` is
    /// below the delimiter's length.
    pub fn new(eof: &[u8], max_length: u32) -> Result<Self, FramingError> {
        Ok(Self { eof: Delimiter::new(eof, max_length)?, max_length })
    }
}

impl Framing for EofAtEnd {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        let eof = self.eof.as_bytes();
        let max_length = self.max_length();
        if buffered.len() <= max_length && buffered.ends_with(eof) {
            return Frame::Package { len: buffered.len() };
        }
        let Some(window) = buffered.get(..max_length) else { return Frame::NeedMore };
        match find_last(window, eof) {
            Some(place) => Frame::Package { len: place + eof.len() },
            None => Frame::TooLong,
        }
    }

    fn max_length(&self) -> usize {
        usize::try_from(self.max_length).unwrap_or(usize::MAX)
    }
}
