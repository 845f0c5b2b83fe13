//! Rings in plain memory, for the property tests, and (with the hostile worker in it) for the fuzz
//! targets in `/fuzz`, which include this file.
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, dead_code)] // test code; each user needs a part of it

pub mod hostile;
pub mod hostile_answers;
mod script;

use ostler_shm::record::{HEADER_SIZE, Header};
use ostler_shm::ring::RingBytes;
use std::cell::RefCell;

/// A ring that panics when it is asked for a place outside itself.
pub struct Plain(RefCell<Vec<u8>>);

impl Plain {
    pub fn new(capacity: u64) -> Self {
        assert!(capacity.is_power_of_two());
        Self(RefCell::new(vec![0; capacity as usize]))
    }

    pub fn bytes(&self, offset: u64, len: usize) -> Vec<u8> {
        self.0.borrow()[offset as usize..offset as usize + len].to_vec()
    }

    /// Writes anything anywhere inside, as the owner of the memory can.
    pub fn scribble(&self, offset: u64, bytes: &[u8]) {
        let mut memory = self.0.borrow_mut();
        let len = memory.len();
        for (index, byte) in bytes.iter().enumerate() {
            memory[(offset as usize + index) % len] = *byte;
        }
    }
}

impl RingBytes for Plain {
    fn capacity(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn write_header(&self, offset: u64, header: &Header) {
        assert!(offset.is_multiple_of(HEADER_SIZE as u64), "a header at {offset}");
        let bytes: Vec<u8> = header.to_words().iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write_bytes(offset, &bytes);
    }

    fn read_header(&self, offset: u64) -> Header {
        assert!(offset.is_multiple_of(HEADER_SIZE as u64), "a header at {offset}");
        let bytes = self.bytes(offset, HEADER_SIZE);
        let mut words = [0; 8];
        for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(eight.try_into().unwrap());
        }
        Header::from_words(words)
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) {
        self.0.borrow_mut()[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
    }
}
