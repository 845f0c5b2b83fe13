//! No framing.

use super::{Frame, Framing, FramingError};

/// Whatever was received is a package, up to a length; the rest is the next package.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    max_length: u32,
}

impl Raw {
    /// Packages of at most `max_length` bytes.
    ///
    /// # Errors
    /// [`FramingError::MaxLengthTooSmall`] if `max_length` is 0.
    pub const fn new(max_length: u32) -> Result<Self, FramingError> {
        if max_length == 0 {
            return Err(FramingError::MaxLengthTooSmall { max_length, needed: 1 });
        }
        Ok(Self { max_length })
    }
}

impl Framing for Raw {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        match buffered.len().min(self.max_length()) {
            0 => Frame::NeedMore,
            len => Frame::Package { len },
        }
    }

    fn max_length(&self) -> usize {
        usize::try_from(self.max_length).unwrap_or(usize::MAX)
    }
}
