//! No boundaries: the worker says how much of what it was given it has used.

use super::{Frame, Framing, FramingError};

/// Everything that is buffered is a package, again and again: the worker takes whole messages from
/// its front, the rest is put back ([`Stream::put_back`]) and given again.
///
/// What the worker could use nothing of is given again only with more behind it: it waits for the
/// rest of a message. After a package of which something was used the rest is given at once: there
/// may be a further message in it.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    max_length: u32,
    /// The worker has seen so many of the buffered bytes, and could use none of them.
    refused: u32,
}

impl Stream {
    /// Packages of at most `max_length` bytes; a worker that can use nothing of so many has met a
    /// message that is too long.
    ///
    /// # Errors
    /// [`FramingError::MaxLengthTooSmall`] if `max_length` is 0.
    pub const fn new(max_length: u32) -> Result<Self, FramingError> {
        if max_length == 0 {
            return Err(FramingError::MaxLengthTooSmall { max_length, needed: 1 });
        }
        Ok(Self { max_length, refused: 0 })
    }

    /// Of the last package the worker has used `used` bytes; the caller has put the `rest` that
    /// follows them back to the front of the buffer.
    pub fn put_back(&mut self, used: usize, rest: usize) {
        self.refused = if used == 0 { u32::try_from(rest).unwrap_or(u32::MAX) } else { 0 };
    }

    fn refused(&self) -> usize {
        usize::try_from(self.refused).unwrap_or(usize::MAX)
    }
}

impl Framing for Stream {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        if self.refused() >= self.max_length() {
            return Frame::TooLong;
        }
        if buffered.len() > self.refused() {
            self.refused = 0;
            return Frame::Package { len: buffered.len().min(self.max_length()) };
        }
        Frame::NeedMore
    }

    fn max_length(&self) -> usize {
        usize::try_from(self.max_length).unwrap_or(usize::MAX)
    }
}
