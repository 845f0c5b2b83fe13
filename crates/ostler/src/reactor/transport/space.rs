//! Where decrypted content goes.

use ostler_shm::lane::RawBytesMut;

/// Where content goes: as much of it as fits.
pub(super) trait Space {
    fn len(&self) -> usize;
    fn put(&mut self, bytes: &[u8]) -> usize;
}

/// The reactor's memory.
pub(super) struct Slice<'a>(pub(super) &'a mut [u8]);

impl Space for Slice<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.0.len());
        let (front, rest) = std::mem::take(&mut self.0).split_at_mut(len);
        front.copy_from_slice(bytes.get(..len).unwrap_or_default());
        self.0 = rest;
        len
    }
}

/// Memory that is left behind bytes.
pub(super) struct Behind<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) room: usize,
}

impl Space for Behind<'_> {
    fn len(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.room);
        self.bytes.extend_from_slice(bytes.get(..len).unwrap_or_default());
        self.room -= len;
        len
    }
}

/// A package ring.
pub(super) struct Ring<'a, 'b>(pub(super) &'a mut RawBytesMut<'b>);

impl Space for Ring<'_, '_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let len = self.0.copy_from(bytes);
        self.0.skip(len);
        len
    }
}
