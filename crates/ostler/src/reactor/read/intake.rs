//! The input of a session that is in memory: what was received and is not yet delivered, or was not
//! used by a worker.

use std::sync::Arc;

use ostler_core::body::Body;
use ostler_core::framing::{Frame, Framer, Framing};
use ostler_core::invariant;
use ostler_shm::body_area::BodyArea;
use ostler_shm::lane::RawBytesMut;

use crate::reactor::filling::Filling;

/// Above this size a buffer grows by an eighth instead of by its double.
const COARSE_BYTES: usize = 1024 * 1024;

/// Received bytes of one session, in order, with the framing's place in them.
#[derive(Debug)]
pub(in crate::reactor) struct Intake {
    framer: Framer,
    bytes: Vec<u8>,
    start: usize,
    /// A long package; then there is nothing else.
    filling: Option<Box<Filling>>,
}

impl Intake {
    pub(in crate::reactor) const fn new(framer: Framer) -> Self {
        Self { framer, bytes: Vec::new(), start: 0, filling: None }
    }

    /// Bytes that are not delivered yet.
    pub(in crate::reactor) fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Bytes of memory held.
    pub(in crate::reactor) fn charged(&self) -> usize {
        self.filling.as_ref().map_or(self.bytes.capacity(), |filling| filling.capacity())
    }

    fn bytes(&self) -> &[u8] {
        match &self.filling {
            Some(filling) => filling.bytes(),
            None => self.bytes.get(self.start..).unwrap_or_default(),
        }
    }

    /// What is at the front.
    pub(in crate::reactor) fn frame(&mut self) -> Frame {
        let bytes = match &self.filling {
            Some(filling) => filling.bytes(),
            None => self.bytes.get(self.start..).unwrap_or_default(),
        };
        self.framer.next(bytes)
    }

    /// What is at the front of bytes that lie elsewhere, while nothing is here. They, or what
    /// follows the package, are pushed next.
    pub(in crate::reactor) fn frame_elsewhere(&mut self, bytes: &[u8]) -> Frame {
        invariant!(self.len() == 0, "bytes that lie elsewhere are behind nothing");
        self.framer.next(bytes)
    }

    /// The first `len` bytes.
    pub(in crate::reactor) fn front(&self, len: usize) -> &[u8] {
        self.bytes().get(..len).unwrap_or_default()
    }

    /// The first `len` bytes were delivered.
    pub(in crate::reactor) fn consume(&mut self, len: usize) {
        self.stop_filling();
        self.start += len;
        if self.start >= self.bytes.len() {
            // An idle session keeps no buffer.
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    /// Takes the first `len` bytes out. Most of the time they are all there are, and nothing is
    /// copied.
    pub(in crate::reactor) fn take(&mut self, len: usize) -> Body {
        if let Some(filling) = self.filling.take_if(|filling| filling.bytes().len() == len) {
            return Body::Shared(filling.finish());
        }
        self.stop_filling();
        self.bytes.drain(..self.start);
        self.start = 0;
        let rest = self.bytes.split_off(len.min(self.bytes.len()));
        let mut taken = std::mem::replace(&mut self.bytes, rest);
        taken.shrink_to_fit();
        taken.into()
    }

    /// Whether the next bytes belong to a package of this length that is received where its worker
    /// will read it.
    pub(in crate::reactor) fn is_filling(&self, len: usize) -> bool {
        self.filling.as_ref().is_some_and(|filling| filling.capacity() == len)
    }

    /// Whether all that is there is given by [`Intake::take`] and read where it lies.
    pub(in crate::reactor) const fn is_shared(&self) -> bool {
        self.filling.is_some()
    }

    /// From now on a package of `len` bytes, the only one of which anything is there, is received
    /// where its worker will read it. False when the area has no room.
    pub(in crate::reactor) fn begin_filling(&mut self, area: &Arc<BodyArea>, len: usize) -> bool {
        let Some(filling) = Filling::begin(area, len, self.bytes()) else { return false };
        (self.bytes, self.start) = (Vec::new(), 0);
        self.filling = Some(Box::new(filling));
        true
    }

    /// Where the next bytes of such a package are received. [`Intake::filled`] says how many came.
    pub(in crate::reactor) fn space_to_fill(&mut self) -> Option<RawBytesMut<'_>> {
        self.filling.as_mut().map(|filling| filling.rest())
    }

    pub(in crate::reactor) fn filled(&mut self, len: usize) {
        if let Some(filling) = &mut self.filling {
            filling.grow(len);
        }
    }

    /// It turns out that more belongs to the package, or that it is not given as it is: it goes on
    /// in memory of the reactor alone, of which it takes as much.
    fn stop_filling(&mut self) {
        if let Some(filling) = self.filling.take() {
            let mut bytes = Vec::with_capacity(filling.capacity());
            bytes.extend_from_slice(filling.bytes());
            (self.bytes, self.start) = (bytes, 0);
        }
    }

    /// Memory that [`Intake::put_back`] of `len` bytes would add.
    pub(in crate::reactor) fn growth_in_front(&self, len: usize) -> usize {
        if len <= self.start { 0 } else { (self.len() + len).saturating_sub(self.charged()) }
    }

    /// A worker has used `used` bytes of the last package; the `rest` that follows them is at the
    /// front again.
    pub(in crate::reactor) fn put_back(&mut self, used: usize, rest: &[u8]) {
        self.stop_filling();
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
        self.capacity_for(len).saturating_sub(self.charged())
    }

    /// The least that it could add, when memory is lacking.
    pub(in crate::reactor) fn least_growth(&self, len: usize) -> usize {
        (self.len() + len).saturating_sub(self.charged())
    }

    /// Memory that [`Intake::grow_to`] would add.
    pub(in crate::reactor) fn growth_to(&self, len: usize) -> usize {
        len.saturating_sub(self.charged())
    }

    /// Memory for `len` bytes in all. Returns where those that follow are to be appended.
    pub(in crate::reactor) fn grow_to(&mut self, len: usize) -> &mut Vec<u8> {
        self.stop_filling();
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
        self.stop_filling();
        let capacity = self.capacity_for(received.len()).min(self.bytes.capacity() + room);
        self.move_to_front();
        self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(received);
    }

    /// Grows in powers of two, so that what a slow sender sends in small pieces is not copied for
    /// each of them; above [`COARSE_BYTES`] by an eighth, because there the unused half would cost
    /// more than the copies.
    fn capacity_for(&self, len: usize) -> usize {
        let needed = self.len() + len;
        let doubled = needed.next_power_of_two();
        let step = if doubled > COARSE_BYTES { doubled / 16 } else { doubled };
        needed.next_multiple_of(step).max(self.charged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::framing::FramingConfig;
    use ostler_shm::board::{Board, BoardSizes};

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
        assert_eq!(&*intake.take(4), b"two\n");
        assert_eq!(intake.frame(), Frame::NeedMore);
        intake.push(b"ee\n", intake.growth(3));
        assert_eq!(intake.frame(), Frame::Package { len: 6 });
        assert_eq!(&*intake.take(6), b"three\n");
        assert_eq!(intake.charged(), 0, "an idle session keeps no buffer");
    }

    fn area() -> Arc<BodyArea> {
        let sizes =
            BoardSizes { reactors: 1, sessions: 1, body_area: 1 << 20, ..BoardSizes::default() };
        Board::create(sizes).unwrap().0.take_body_area(0).unwrap()
    }

    fn fill(intake: &mut Intake, bytes: &[u8]) {
        assert_eq!(intake.space_to_fill().unwrap().copy_from(bytes), bytes.len());
        intake.filled(bytes.len());
    }

    #[test]
    fn a_long_package_is_taken_as_it_lies_in_the_area() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 20 };
        let (mut intake, area) = (Intake::new(Framer::new(&config).unwrap()), area());
        intake.push(b"begin", intake.growth(5));
        assert!(intake.begin_filling(&area, 10_000) && intake.is_filling(10_000));
        assert_eq!((intake.len(), intake.charged(), intake.front(5)), (5, 10_000, &b"begin"[..]));
        fill(&mut intake, &[b'x'; 9_994]);
        assert_eq!(intake.frame(), Frame::NeedMore);
        fill(&mut intake, b"\n");
        assert_eq!(intake.frame(), Frame::Package { len: 10_000 });
        let body = intake.take(10_000);
        assert_eq!((body.len(), body.shared().unwrap().place()), (10_000, 0));
        assert_eq!((intake.len(), intake.charged()), (0, 0));
        assert_eq!(area.idle_bytes(), 0);
        drop(body);
        assert_eq!(area.idle_bytes(), 12_288, "three pages, for whoever comes next");
    }

    #[test]
    fn a_package_that_is_longer_than_it_said_goes_on_in_other_memory() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 20 };
        let (mut intake, area) = (Intake::new(Framer::new(&config).unwrap()), area());
        intake.push(b"begin", intake.growth(5));
        assert!(intake.begin_filling(&area, 20));
        fill(&mut intake, &[b'x'; 15]);
        let growth = intake.growth(100);
        intake.push(&[b'y'; 100], growth);
        assert_eq!((intake.len(), intake.charged()), (120, 20 + growth));
        assert!(!intake.is_filling(20) && area.idle_bytes() == 4_096);
        assert!(intake.front(120).starts_with(b"beginxxxxxxxxxxxxxxxyyy"));
    }

    #[test]
    fn an_area_without_room_changes_nothing() {
        let config = FramingConfig::EofSplit { eof: b"\n".to_vec(), max_length: 1 << 22 };
        let (mut intake, area) = (Intake::new(Framer::new(&config).unwrap()), area());
        intake.push(b"begin", intake.growth(5));
        let charged = intake.charged();
        assert!(!intake.begin_filling(&area, (1 << 20) + 1));
        assert_eq!((intake.front(5), intake.charged()), (&b"begin"[..], charged));
    }
}
