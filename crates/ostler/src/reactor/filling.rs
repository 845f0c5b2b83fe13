//! A long package that is received where its worker will read it.

use std::sync::Arc;

use ostler_core::body::SharedBytes;
use ostler_shm::body_area::{BodyArea, BodySpace, SharedBody};
use ostler_shm::lane::RawBytesMut;

/// It, as far as it has come. Not a byte of the next package is received with it.
#[derive(Debug)]
pub(in crate::reactor) struct Filling(BodySpace);

impl Filling {
    /// Begins with what is there of a package of `len` bytes; `None` when the area has no room.
    pub(in crate::reactor) fn begin(
        area: &Arc<BodyArea>,
        len: usize,
        there: &[u8],
    ) -> Option<Self> {
        let mut space = area.take(len)?;
        let copied = space.rest().copy_from(there);
        space.grow(copied);
        Some(Self(space))
    }

    /// Bytes of the whole package.
    pub(in crate::reactor) const fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// What has come.
    pub(in crate::reactor) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Where what follows is received. [`Filling::grow`] says how much that was.
    pub(in crate::reactor) fn rest(&mut self) -> RawBytesMut<'_> {
        self.0.rest()
    }

    pub(in crate::reactor) fn grow(&mut self, len: usize) {
        self.0.grow(len);
    }

    /// It has come whole.
    pub(in crate::reactor) fn finish(self) -> Arc<dyn SharedBytes> {
        Arc::new(Readable(self.0.finish()))
    }
}

/// A package that workers read.
#[derive(Debug)]
struct Readable(SharedBody);

impl SharedBytes for Readable {
    fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    fn place(&self) -> u32 {
        self.0.first_page()
    }
}
