//! The bytes of a queue: bounded chunks that are charged by what they really hold.

use std::collections::VecDeque;

/// Small outputs are gathered in chunks of this size, so that a queue of many small messages costs
/// what it weighs.
const CHUNK: usize = 16 * 1024;

/// Bytes waiting to be written to one socket, in order.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that are written already.
    written: usize,
    bytes: usize,
    /// Memory of all chunks.
    capacity: usize,
}

impl Chunks {
    /// Unsent bytes.
    #[must_use]
    pub(super) const fn len(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub(super) const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Memory held, bytes: what the budget is charged.
    #[must_use]
    pub(super) const fn charged(&self) -> usize {
        self.capacity
    }

    /// Memory that [`Chunks::push`] of `len` bytes would add.
    #[must_use]
    pub(super) fn growth(&self, len: usize) -> usize {
        match self.chunks.back() {
            Some(last) if last.capacity() - last.len() >= len => 0,
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
            self.chunks.push_back(chunk);
        }
        if let Some(last) = self.chunks.back_mut() {
            let before = (last.len(), last.capacity());
            fill(last);
            self.bytes += last.len() - before.0;
            self.capacity += last.capacity() - before.1;
        }
    }

    /// The next bytes to write.
    #[must_use]
    pub(super) fn front(&self) -> &[u8] {
        self.chunks.front().and_then(|chunk| chunk.get(self.written..)).unwrap_or(&[])
    }

    /// `len` of the front's bytes were written. Answers the memory that was freed.
    pub(super) fn advance(&mut self, len: usize) -> usize {
        let Some(chunk) = self.chunks.front() else { return 0 };
        let len = len.min(chunk.len() - self.written);
        self.written += len;
        self.bytes -= len;
        if self.written < chunk.len() {
            return 0;
        }
        let freed = chunk.capacity();
        self.capacity -= freed;
        self.chunks.pop_front();
        self.written = 0;
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A chunk for each small message would cost more than the messages.
    #[test]
    fn small_messages_share_chunks_of_sixteen_kibibytes() {
        let mut queue = Chunks::default();
        for _ in 0..2_000 {
            queue.push(16, |to| to.extend_from_slice(&[7; 16]));
        }
        assert_eq!(queue.len(), 32_000);
        let full = queue.chunks.iter().filter(|chunk| chunk.capacity() == 16 * 1024).count();
        assert_eq!(full, 1, "{:?}", queue.chunks.iter().map(Vec::capacity).collect::<Vec<_>>());
        assert!(queue.chunks.len() < 15, "{}", queue.chunks.len());
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_and_the_charge_is_what_is_held(
            pieces in proptest::collection::vec((1usize..40_000, 0usize..50_000), 1..60),
        ) {
            let mut queue = Chunks::default();
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
                let taken = queue.front().len().min(write);
                got.extend_from_slice(&queue.front()[..taken]);
                charge -= queue.advance(taken);
                prop_assert_eq!(queue.charged(), charge);
                // A chunk is left when the next piece does not fit: never more waste than that
                // piece holds. Beside that, the first chunk may be nearly written and the last
                // nearly empty.
                prop_assert!(queue.charged() <= 2 * queue.len() + 64 * 1024);
            }
            while !queue.is_empty() {
                let taken = queue.front().len();
                got.extend_from_slice(queue.front());
                charge -= queue.advance(taken);
            }
            prop_assert_eq!(charge, 0);
            prop_assert!(expected == got);
        }
    }
}
