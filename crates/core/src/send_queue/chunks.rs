//! What waits in a queue, in order: bytes in bounded chunks that are charged by what they really
//! hold, and parts of files.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::body::SharedBytes;

use super::file_part::{FILE_COST_BYTES, FILE_WEIGHT_BYTES, FilePart, Front, Segment, SharedPart};

/// Small outputs are gathered in chunks of this size, so that a queue of many small messages costs
/// what it weighs.
const CHUNK: usize = 16 * 1024;

/// What waits to be written to one socket, in order.
#[derive(Debug)]
pub(super) struct Chunks<F> {
    chunks: VecDeque<Segment<F>>,
    /// Bytes of the first chunk that are written already. (A file knows what is left of it.)
    written: usize,
    /// Bytes in memory.
    bytes: usize,
    files: usize,
    /// Memory of all chunks.
    capacity: usize,
    /// Bytes that stay because of them and are charged for themselves.
    charged_apart: usize,
}

impl<F> Default for Chunks<F> {
    fn default() -> Self {
        Self {
            chunks: VecDeque::new(),
            written: 0,
            bytes: 0,
            files: 0,
            capacity: 0,
            charged_apart: 0,
        }
    }
}

impl<F> Chunks<F> {
    /// Unsent bytes in memory.
    #[must_use]
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    /// Files of which a part waits.
    pub(super) const fn files(&self) -> usize {
        self.files
    }

    /// What it counts for the marks.
    #[must_use]
    pub(super) const fn weight(&self) -> usize {
        self.bytes + self.files * FILE_WEIGHT_BYTES
    }

    /// Bytes that are left to write, those of files too. Looks at all of them.
    #[must_use]
    pub(super) fn left(&self) -> u64 {
        self.chunks.iter().map(Segment::left).sum::<u64>() - self.written as u64
    }

    /// Whether nothing waits.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes == 0 && self.files == 0
    }

    /// Memory held, bytes: what the budget is charged.
    #[must_use]
    pub(super) const fn charged(&self) -> usize {
        self.capacity + self.files * FILE_COST_BYTES
    }

    /// Bytes that it keeps and for which it is not charged.
    pub(super) const fn charged_apart(&self) -> usize {
        self.charged_apart
    }

    /// Memory that [`Chunks::push`] of `len` bytes would add.
    #[must_use]
    pub(super) fn growth(&self, len: usize) -> usize {
        match self.chunks.back() {
            Some(Segment::Bytes(last)) if last.capacity() - last.len() >= len => 0,
            _ if len == 0 => 0,
            _ => len.max(CHUNK.min(self.bytes + len)),
        }
    }

    /// Appends bytes that `fill` puts at the end of the vector it is given; `len` is how many it
    /// will put.
    pub(super) fn push(&mut self, len: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let growth = self.growth(len);
        if growth > 0 {
            let chunk = Vec::with_capacity(growth);
            self.capacity += chunk.capacity();
            self.chunks.push_back(Segment::Bytes(chunk));
        }
        if let Some(Segment::Bytes(last)) = self.chunks.back_mut() {
            let before = (last.len(), last.capacity());
            fill(last);
            self.bytes += last.len() - before.0;
            self.capacity += last.capacity() - before.1;
        }
    }

    /// Appends a part of a package that stays where it is.
    pub(super) fn push_shared(&mut self, body: Arc<dyn SharedBytes>, range: Range<usize>) {
        let part = SharedPart { body, range };
        let len = part.bytes().len();
        if len > 0 {
            self.bytes += len;
            self.capacity += part.cost();
            self.charged_apart += part.charged_apart();
            self.chunks.push_back(Segment::Shared(part));
        }
    }

    /// Appends a part of a file, which is not empty.
    pub(super) fn push_file(&mut self, part: FilePart<F>) {
        if part.len > 0 {
            self.files += 1;
            self.chunks.push_back(Segment::File(part));
        }
    }

    /// Appends what has waited elsewhere.
    pub(super) fn append(&mut self, segment: Segment<F>) {
        match segment {
            Segment::Bytes(bytes) => {
                self.push(bytes.len(), |chunk| chunk.extend_from_slice(&bytes));
            }
            Segment::Shared(part) => self.push_shared(part.body, part.range),
            Segment::File(part) => self.push_file(part),
        }
    }

    /// A copy of the bytes in memory that are not written.
    pub(super) fn copy(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(self.bytes);
        let mut written = self.written;
        for segment in &self.chunks {
            let bytes = match segment {
                Segment::Bytes(chunk) => chunk.as_slice(),
                Segment::Shared(part) => part.bytes(),
                Segment::File(_) => &[],
            };
            copy.extend_from_slice(bytes.get(written..).unwrap_or_default());
            written = 0;
        }
        copy
    }

    /// What is to be written next.
    #[must_use]
    pub(super) fn front(&self) -> Front<'_, F> {
        match self.chunks.front() {
            Some(Segment::Bytes(chunk)) => {
                Front::Bytes(chunk.get(self.written..).unwrap_or_default())
            }
            Some(Segment::Shared(part)) => {
                Front::Bytes(part.bytes().get(self.written..).unwrap_or_default())
            }
            Some(Segment::File(part)) => Front::File(part),
            None => Front::Bytes(&[]),
        }
    }

    /// `len` of the front's bytes were written. Answers the memory that was freed.
    pub(super) fn advance(&mut self, len: usize) -> usize {
        match self.chunks.front_mut() {
            Some(Segment::Bytes(chunk)) => {
                let (all, cost) = (chunk.len(), chunk.capacity());
                self.advance_bytes(len, all, cost)
            }
            Some(Segment::Shared(part)) => {
                let (all, cost, apart) = (part.bytes().len(), part.cost(), part.charged_apart());
                let freed = self.advance_bytes(len, all, cost);
                self.charged_apart -= if freed > 0 { apart } else { 0 };
                freed
            }
            Some(Segment::File(part)) => {
                let len = part.len.min(len as u64);
                part.offset += len;
                part.len -= len;
                if part.len > 0 {
                    return 0;
                }
                self.files -= 1;
                self.chunks.pop_front();
                FILE_COST_BYTES
            }
            None => 0,
        }
    }

    /// `len` more bytes of the front were written, of `all` that it has and for which `cost` is
    /// charged.
    fn advance_bytes(&mut self, len: usize, all: usize, cost: usize) -> usize {
        let len = len.min(all - self.written);
        self.written += len;
        self.bytes -= len;
        if self.written < all {
            return 0;
        }
        self.capacity -= cost;
        self.written = 0;
        self.chunks.pop_front();
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A chunk for each small message would cost more than the messages.
    #[test]
    fn small_messages_share_chunks_of_sixteen_kibibytes() {
        let mut queue = Chunks::<()>::default();
        for _ in 0..2_000 {
            queue.push(16, |to| to.extend_from_slice(&[7; 16]));
        }
        assert_eq!(queue.len(), 32_000);
        let capacity = |segment: &Segment<()>| match segment {
            Segment::Bytes(chunk) => chunk.capacity(),
            Segment::Shared(_) | Segment::File(_) => 0,
        };
        let capacities: Vec<_> = queue.chunks.iter().map(capacity).collect();
        let full = capacities.iter().filter(|capacity| **capacity == 16 * 1024).count();
        assert_eq!(full, 1, "{capacities:?}");
        assert!(queue.chunks.len() < 15, "{}", queue.chunks.len());
    }

    fn front(queue: &Chunks<()>) -> &[u8] {
        match queue.front() {
            Front::Bytes(bytes) => bytes,
            Front::File(_) => panic!("no file was pushed"),
        }
    }

    #[test]
    fn a_part_of_a_package_is_written_from_where_it_lies_and_charged_as_a_whole() {
        #[derive(Debug)]
        struct Package(Vec<u8>);
        impl SharedBytes for Package {
            fn bytes(&self) -> &[u8] {
                &self.0
            }
            fn place(&self) -> u32 {
                0
            }
        }
        let package: Arc<dyn SharedBytes> = Arc::new(Package((0..100).collect()));
        let mut queue = Chunks::<()>::default();
        queue.push(2, |to| to.extend_from_slice(b"ab"));
        let before = queue.charged();
        queue.push_shared(Arc::clone(&package), 10..90);
        queue.push_shared(Arc::clone(&package), 90..500); // it has no such part
        queue.push(2, |to| to.extend_from_slice(b"cd"));
        assert_eq!((queue.len(), queue.left()), (84, 84));
        assert!(queue.charged() >= before + 100);
        assert_eq!(Arc::strong_count(&package), 2);
        queue.advance(2);
        assert_eq!(front(&queue)[..2], [10, 11]);
        queue.advance(79);
        assert_eq!((front(&queue), Arc::strong_count(&package)), (&[89][..], 2));
        queue.advance(1);
        assert_eq!((front(&queue), Arc::strong_count(&package)), (&b"cd"[..], 1));
        queue.advance(2);
        assert!(queue.is_empty() && queue.charged() == 0);
    }

    #[test]
    fn what_is_charged_apart_costs_its_place_only_and_is_known_until_it_is_written() {
        #[derive(Debug)]
        struct Message(Vec<u8>);
        impl SharedBytes for Message {
            fn bytes(&self) -> &[u8] {
                &self.0
            }
            fn place(&self) -> u32 {
                0
            }
            fn is_charged_apart(&self) -> bool {
                true
            }
        }
        let message: Arc<dyn SharedBytes> = Arc::new(Message(vec![7; 100_000]));
        let mut queue = Chunks::<()>::default();
        for _ in 0..2 {
            queue.push_shared(Arc::clone(&message), 0..100_000);
        }
        assert_eq!((queue.len(), queue.charged_apart()), (200_000, 200_000));
        assert!(queue.charged() < 1_000, "{}", queue.charged());
        queue.advance(99_999);
        assert_eq!(queue.charged_apart(), 200_000, "a byte is left of it");
        queue.advance(1);
        assert_eq!((queue.charged_apart(), Arc::strong_count(&message)), (100_000, 2));
        queue.advance(100_000);
        assert_eq!((queue.charged_apart(), queue.charged()), (0, 0));
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_and_the_charge_is_what_is_held(
            pieces in proptest::collection::vec((1usize..40_000, 0usize..50_000), 1..60),
        ) {
            let mut queue = Chunks::<()>::default();
            let (mut expected, mut got, mut next) = (Vec::new(), Vec::new(), 0u8);
            let mut charge = 0;
            for (len, write) in pieces {
                let bytes = (0..len).map(|_| {
                    next = next.wrapping_add(1);
                    next
                });
                let piece: Vec<u8> = bytes.collect();
                expected.extend_from_slice(&piece);
                let growth = queue.growth(len);
                queue.push(len, |to| to.extend_from_slice(&piece));
                charge += growth;
                prop_assert_eq!(queue.charged(), charge);
                prop_assert!(queue.copy() == expected[got.len()..]);
                let taken = front(&queue).len().min(write);
                got.extend_from_slice(&front(&queue)[..taken]);
                charge -= queue.advance(taken);
                prop_assert_eq!(queue.charged(), charge);
                // A chunk is left when the next piece does not fit: never more waste than that
                // piece holds. Beside that, the first chunk may be nearly written and the last
                // nearly empty.
                prop_assert!(queue.charged() <= 2 * queue.len() + 64 * 1024);
            }
            while !queue.is_empty() {
                let taken = front(&queue).len();
                got.extend_from_slice(front(&queue));
                charge -= queue.advance(taken);
            }
            prop_assert_eq!(charge, 0);
            prop_assert!(expected == got);
        }
    }
}
