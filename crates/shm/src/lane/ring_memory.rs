//! A ring's bytes in a mapping.
#![allow(unsafe_code)]

use super::bytes::{RawBytes, RawBytesMut};
use crate::mapping::Mapping;
use crate::record::{HEADER_SIZE, Header};
use crate::ring::RingBytes;
use std::ptr::NonNull;
use std::sync::Arc;

/// One ring of a memory file. All offsets are checked against the ring, so no number a peer writes
/// reaches outside.
#[derive(Debug)]
pub struct RingMemory {
    mapping: Arc<Mapping>,
    base: NonNull<u8>,
    capacity: u64,
}

// SAFETY: `base` points into `mapping`, which is Send + Sync and kept alive by the Arc; access is
// by raw copies.
unsafe impl Send for RingMemory {}

impl RingMemory {
    pub(super) fn new(mapping: &Arc<Mapping>, at: u64, capacity: u64) -> Option<Self> {
        let base = mapping.at(at, capacity)?;
        capacity.is_power_of_two().then(|| Self { mapping: Arc::clone(mapping), base, capacity })
    }

    fn pointer(&self, offset: u64, len: u64) -> Option<*mut u8> {
        let end = offset.checked_add(len)?;
        if end > self.capacity {
            return None;
        }
        // SAFETY: offset <= end <= capacity, and base..base+capacity was checked to lie in the
        // mapping.
        Some(unsafe { self.base.as_ptr().add(offset as usize) })
    }

    fn header_pointer(&self, offset: u64) -> Option<*mut u64> {
        if !offset.is_multiple_of(HEADER_SIZE as u64) {
            return None;
        }
        self.pointer(offset, HEADER_SIZE as u64).map(<*mut u8>::cast::<u64>)
    }

    /// The bytes at `offset`, clipped to the ring.
    #[must_use]
    pub fn raw(&self, offset: u64, len: usize) -> RawBytes<'_> {
        match self.pointer(offset, len as u64) {
            Some(pointer) => RawBytes::new(pointer, len),
            None => RawBytes::new(self.base.as_ptr(), 0),
        }
    }

    /// Space at `offset` to be filled; empty when this side must not write the ring.
    pub fn raw_mut(&mut self, offset: u64, len: usize) -> RawBytesMut<'_> {
        match self.pointer(offset, len as u64) {
            Some(pointer) if self.mapping.is_writable() => RawBytesMut::new(pointer, len),
            _ => RawBytesMut::new(self.base.as_ptr(), 0),
        }
    }

    /// Where in the ring a slice lies, if it lies there whole.
    #[must_use]
    pub fn offset_of(&self, slice: &[u8]) -> Option<u64> {
        let from = (slice.as_ptr() as usize).checked_sub(self.base.as_ptr() as usize)? as u64;
        (from.checked_add(slice.len() as u64)? <= self.capacity).then_some(from)
    }

    pub(super) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

impl RingBytes for RingMemory {
    fn capacity(&self) -> u64 {
        self.capacity
    }

    fn write_header(&self, offset: u64, header: &Header) {
        let Some(pointer) = self.header_pointer(offset).filter(|_| self.mapping.is_writable())
        else {
            return;
        };
        for (index, word) in header.to_words().into_iter().enumerate() {
            // SAFETY: eight aligned words inside the ring (checked above), in memory that only this
            // process writes; volatile because another process reads it.
            unsafe { pointer.add(index).write_volatile(word) };
        }
    }

    fn read_header(&self, offset: u64) -> Header {
        let Some(pointer) = self.header_pointer(offset) else { return Header::default() };
        // SAFETY: eight aligned words inside the ring (checked above). Another process may write
        // them meanwhile: each is read exactly once, volatile, into private memory; any value is
        // possible and checked by the caller.
        let words = std::array::from_fn(|index| unsafe { pointer.add(index).read_volatile() });
        Header::from_words(words)
    }

    fn write_bytes(&self, offset: u64, bytes: &[u8]) {
        let Some(pointer) =
            self.pointer(offset, bytes.len() as u64).filter(|_| self.mapping.is_writable())
        else {
            return;
        };
        // SAFETY: the target lies inside the ring (checked) in memory that only this process
        // writes, `bytes` is memory that does not overlap a ring being written (a package ring is
        // read-only here).
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), pointer, bytes.len()) };
    }
}
