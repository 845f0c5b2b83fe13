//! The input of a framed session: what was received and is not yet delivered.

use ostler_core::framing::{Frame, Framer, Framing};

/// Received bytes of one session, in order, with the framing's place in them.
#[derive(Debug)]
pub(super) struct Intake {
    framer: Framer,
    bytes: Vec<u8>,
    start: usize,
}

impl Intake {
    pub(super) const fn new(framer: Framer) -> Self {
        Self { framer, bytes: Vec::new(), start: 0 }
    }

    /// Bytes of memory held.
    pub(super) const fn charged(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is at the front.
    pub(super) fn frame(&mut self) -> Frame {
        self.framer.next(self.bytes.get(self.start..).unwrap_or(&[]))
    }

    /// The first `len` bytes.
    pub(super) fn front(&self, len: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + len).unwrap_or(&[])
    }

    /// The first `len` bytes were delivered.
    pub(super) fn consume(&mut self, len: usize) {
        self.start += len;
        if self.start >= self.bytes.len() {
            // An idle session keeps no buffer.
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Appends received bytes.
    pub(super) fn push(&mut self, received: &[u8]) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(received);
    }
}
