//! The length of a package whose header states it.

use super::Frame;

/// What the header of the package at the front states, once it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatedLength {
    /// Bytes from the front; 0 before the header was read.
    known: u32,
}

impl StatedLength {
    /// Nothing was read.
    pub(super) const fn new() -> Self {
        Self { known: 0 }
    }

    /// Judges the package at the front of so many bytes. `read` reads its header, once, and answers
    /// its length, or what is to be said instead.
    pub(super) fn frame(
        &mut self,
        buffered: usize,
        read: impl FnOnce() -> Result<u32, Frame>,
    ) -> Frame {
        if self.known == 0 {
            match read() {
                Ok(total) => self.known = total,
                Err(frame) => return frame,
            }
        }
        let len = usize::try_from(self.known).unwrap_or(usize::MAX);
        if buffered < len {
            return Frame::Incomplete { len };
        }
        self.known = 0;
        Frame::Package { len }
    }
}
