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

    /// Memory that [`Intake::push`] of `len` bytes would add.
    pub(super) fn growth(&self, len: usize) -> usize {
        self.capacity_for(len).saturating_sub(self.bytes.capacity())
    }

    /// Appends received bytes.
    pub(super) fn push(&mut self, received: &[u8]) {
        let capacity = self.capacity_for(received.len());
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.bytes.extend_from_slice(received);
    }

    /// Grows in powers of two, so that what a slow sender sends in small pieces is not copied for each of them.
    fn capacity_for(&self, len: usize) -> usize {
        (self.bytes.len() - self.start + len).next_power_of_two().max(self.bytes.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::framing::FramingConfig;

    #[test]
    fn growth_is_told_before_it_happens() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 20 };
        let mut intake = Intake::new(Framer::new(&config).unwrap());
        for len in [1, 5, 100, 3, 4096, 17] {
            let before = intake.charged();
            let growth = intake.growth(len);
            intake.push(&vec![b'x'; len]);
            assert_eq!(intake.charged(), before + growth);
            assert_eq!(intake.frame(), Frame::NeedMore);
        }
        intake.push(b"\n");
        let Frame::Package { len } = intake.frame() else { panic!("no package") };
        assert_eq!(len, 4223);
        intake.consume(len);
        assert_eq!(intake.charged(), 0);
    }
}
