//! The input of a session that is in memory: what was received and is not yet delivered, or was not
//! used by a worker.

use ostler_core::framing::{Frame, Framer, Framing};
use ostler_core::invariant;

/// Above this size a buffer grows by an eighth instead of by its double.
const COARSE_BYTES: usize = 1024 * 1024;

/// Received bytes of one session, in order, with the framing's place in them.
#[derive(Debug)]
pub(in crate::reactor) struct Intake {
    framer: Framer,
    bytes: Vec<u8>,
    start: usize,
}

impl Intake {
    pub(in crate::reactor) const fn new(framer: Framer) -> Self {
        Self { framer, bytes: Vec::new(), start: 0 }
    }

    /// Bytes that are not delivered yet.
    pub(in crate::reactor) const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Bytes of memory held.
    pub(in crate::reactor) const fn charged(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is at the front.
    pub(in crate::reactor) fn frame(&mut self) -> Frame {
        self.framer.next(self.bytes.get(self.start..).unwrap_or(&[]))
    }

    /// What is at the front of bytes that lie elsewhere, while nothing is here. They, or what
    /// follows the package, are pushed next.
    pub(in crate::reactor) fn frame_elsewhere(&mut self, bytes: &[u8]) -> Frame {
        invariant!(self.len() == 0, "bytes that lie elsewhere are behind nothing");
        self.framer.next(bytes)
    }

    /// The first `len` bytes.
    pub(in crate::reactor) fn front(&self, len: usize) -> &[u8] {
        self.bytes.get(self.start..self.start + len).unwrap_or(&[])
    }

    /// The first `len` bytes were delivered.
    pub(in crate::reactor) fn consume(&mut self, len: usize) {
        self.start += len;
        if self.start >= self.bytes.len() {
            // An idle session keeps no buffer.
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Takes the first `len` bytes out. Most of the time they are all there are, and nothing is
    /// copied.
    pub(in crate::reactor) fn take(&mut self, len: usize) -> Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let rest = self.bytes.split_off(len.min(self.bytes.len()));
        let mut taken = std::mem::replace(&mut self.bytes, rest);
        taken.shrink_to_fit();
        taken
    }

    /// Memory that [`Intake::put_back`] of `len` bytes would add.
    pub(in crate::reactor) fn growth_in_front(&self, len: usize) -> usize {
        if len <= self.start { 0 } else { (self.len() + len).saturating_sub(self.bytes.capacity()) }
    }

    /// A worker has used `used` bytes of the last package; the `rest` that follows them is at the
    /// front again.
    pub(in crate::reactor) fn put_back(&mut self, used: usize, rest: &[u8]) {
        if let Some(front) = self.start.checked_sub(rest.len()) {
            if let Some(place) = self.bytes.get_mut(front..self.start) {
                place.copy_from_slice(rest);
            }
            self.start = front;
        } else {
            let mut bytes =
                Vec::with_capacity((self.len() + rest.len()).max(self.bytes.capacity()));
            bytes.extend_from_slice(rest);
            bytes.extend_from_slice(self.bytes.get(self.start..).unwrap_or(&[]));
            (self.bytes, self.start) = (bytes, 0);
        }
        self.framer.put_back(used, rest.len());
    }

    /// Memory that [`Intake::push`] of `len` bytes would add.
    pub(in crate::reactor) fn growth(&self, len: usize) -> usize {
        self.capacity_for(len).saturating_sub(self.bytes.capacity())
    }

    /// The least that it could add, when memory is lacking.
    pub(in crate::reactor) fn least_growth(&self, len: usize) -> usize {
        (self.bytes.len() - self.start + len).saturating_sub(self.bytes.capacity())
    }

    /// Memory that [`Intake::grow_to`] would add.
    pub(in crate::reactor) fn growth_to(&self, len: usize) -> usize {
        len.saturating_sub(self.bytes.capacity())
    }

    /// Memory for `len` bytes in all. Returns where those that follow are to be appended.
    pub(in crate::reactor) fn grow_to(&mut self, len: usize) -> &mut Vec<u8> {
        self.move_to_front();
        self.bytes.reserve_exact(len.saturating_sub(self.bytes.len()));
        &mut self.bytes
    }

    fn move_to_front(&mut self) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Appends received bytes, with `room` more memory at most: what [`Intake::growth`] or
    /// [`Intake::least_growth`] said about as many bytes or more.
    pub(in crate::reactor) fn push(&mut self, received: &[u8], room: usize) {
        let capacity = self.capacity_for(received.len()).min(self.bytes.capacity() + room);
        self.move_to_front();
        self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(received);
    }

    /// Grows in powers of two, so that what a slow sender sends in small pieces is not copied for
    /// each of them; above [`COARSE_BYTES`] by an eighth, because there the unused half would cost
    /// more than the copies.
    fn capacity_for(&self, len: usize) -> usize {
        let needed = self.bytes.len() - self.start + len;
        let doubled = needed.next_power_of_two();
        let step = if doubled > COARSE_BYTES { doubled / 16 } else { doubled };
        needed.next_multiple_of(step).max(self.bytes.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::framing::FramingConfig;

    #[test]
    fn growth_is_told_before_it_happens() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 23 };
        let mut intake = Intake::new(Framer::new(&config).unwrap());
        let mut sum = 1;
        for len in [1, 5, 100, 3, 4096, 17, 3_000_000, 65_536, 500_000] {
            sum += len;
            let before = intake.charged();
            let growth = intake.growth(len);
            intake.push(&vec![b'x'; len], growth);
            assert_eq!(intake.charged(), before + growth);
            assert!(intake.charged() <= 2 * sum.min(COARSE_BYTES) + sum + sum / 8);
            assert_eq!(intake.frame(), Frame::NeedMore);
        }
        intake.push(b"\n", intake.growth(1));
        let Frame::Package { len } = intake.frame() else { panic!("no package") };
        assert_eq!(len, sum);
        intake.consume(len);
        assert_eq!(intake.charged(), 0);
    }

    #[test]
    fn when_memory_is_lacking_it_grows_by_what_is_received_and_no_more() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 20 };
        let mut intake = Intake::new(Framer::new(&config).unwrap());
        intake.push(&[b'x'; 5_000], intake.growth(5_000));
        assert_eq!(intake.charged(), 8_192);
        assert_eq!(intake.least_growth(3_000), 0);
        assert_eq!(intake.least_growth(4_000), 808);
        intake.push(&[b'x'; 3_900], intake.least_growth(4_000));
        assert_eq!(intake.charged(), 9_000);
        assert_eq!(intake.len(), 8_900);
    }

    #[test]
    fn what_was_not_used_is_put_back_in_front_of_what_came_since() {
        let framer = Framer::new(&FramingConfig::Stream { max_length: 1 << 20 }).unwrap();
        let mut intake = Intake::new(framer);
        for (received, used) in [("abcdef", 2), ("gh", 1), ("", 3), ("ijklmnopqrstuvwxyz", 0)] {
            intake.push(received.as_bytes(), intake.growth(received.len()));
            let all = intake.len();
            let Frame::Package { len } = intake.frame() else { panic!("no package") };
            assert_eq!(len, all);
            let package = intake.front(len).to_vec();
            intake.consume(len);
            intake.push(b"+", intake.growth(1));
            let (before, growth) = (intake.charged(), intake.growth_in_front(len - used));
            intake.put_back(used, &package[used..]);
            assert_eq!(intake.charged(), before + growth);
            assert_eq!(intake.front(all - used), &package[used..]);
            assert_eq!(intake.len(), all - used + 1);
        }
        assert_eq!(intake.frame(), Frame::Package { len: 24 }, "one byte is new");
    }

    #[test]
    fn a_package_is_taken_out_and_what_follows_it_stays() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 20 };
        let mut intake = Intake::new(Framer::new(&config).unwrap());
        intake.push(b"one\ntwo\nthr", intake.growth(11));
        assert_eq!(intake.frame(), Frame::Package { len: 4 });
        intake.consume(4);
        assert_eq!(intake.frame(), Frame::Package { len: 4 });
        assert_eq!(intake.take(4), b"two\n");
        assert_eq!(intake.frame(), Frame::NeedMore);
        intake.push(b"ee\n", intake.growth(3));
        assert_eq!(intake.frame(), Frame::Package { len: 6 });
        assert_eq!(intake.take(6), b"three\n");
        assert_eq!(intake.charged(), 0, "an idle session keeps no buffer");
    }
}
