//! The bytes that end a package.

use std::num::NonZeroU8;

use super::{FramingError, MAX_EOF_LENGTH};

/// One to [`MAX_EOF_LENGTH`] bytes, held in place, because every connection has a copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delimiter {
    bytes: [u8; MAX_EOF_LENGTH],
    /// Not zero, which leaves the compiler a value to tell the variants of `Framer` apart.
    length: NonZeroU8,
}

impl Delimiter {
    /// # Errors
    /// [`FramingError::EofEmpty`], [`FramingError::EofTooLong`] above [`MAX_EOF_LENGTH`] bytes, and
    /// [`FramingError::MaxLengthTooSmall`] if a package of `max_length` bytes cannot hold it.
    pub(super) fn new(eof: &[u8], max_length: u32) -> Result<Self, FramingError> {
        let mut bytes = [0; MAX_EOF_LENGTH];
        let too_long = FramingError::EofTooLong { length: eof.len() };
        bytes.get_mut(..eof.len()).ok_or(too_long)?.copy_from_slice(eof);
        let length = u8::try_from(eof.len()).map_err(|_| too_long)?;
        let length = NonZeroU8::new(length).ok_or(FramingError::EofEmpty)?;
        let needed = u32::from(length.get());
        if max_length < needed {
            return Err(FramingError::MaxLengthTooSmall { max_length, needed });
        }
        Ok(Self { bytes, length })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length.get())).unwrap_or_default()
    }
}
