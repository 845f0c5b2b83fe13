//! What was taken out of a lane.

use ostler_shm::lane::PackageBytes;
use ostler_shm::record::Header;
use ostler_shm::task_terms::TermsBlock;

/// A delivery that was taken.
pub(crate) struct Taken {
    /// Which lane.
    pub(crate) lane: usize,
    /// Its header (of the last part).
    pub(crate) header: Header,
    /// Its bytes.
    pub(crate) payload: Payload,
    /// Position of its header in the package ring.
    pub(crate) position: u64,
    /// The terms of a task that do not stand in front of its bytes.
    pub(crate) terms: Option<TermsBlock>,
}

impl Taken {
    /// Something without terms of its own.
    pub(super) const fn new(lane: usize, header: Header, payload: Payload, position: u64) -> Self {
        Self { lane, header, payload, position, terms: None }
    }
}

/// The bytes of a delivery.
#[derive(Debug)]
pub(crate) enum Payload {
    /// In the package ring.
    Ring(PackageBytes),
    /// In the area where its reactor has received it; there it stays until the delivery is
    /// finished.
    Area(PackageBytes),
    /// On the heap: assembled from parts, or copied by a deferral.
    Heap(Vec<u8>),
}

impl Payload {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Ring(bytes) | Self::Area(bytes) => bytes,
            Self::Heap(bytes) => bytes,
        }
    }

    /// How many lie in the package ring.
    pub(crate) fn ring_len(&self) -> usize {
        match self {
            Self::Ring(bytes) => bytes.len(),
            Self::Area(_) | Self::Heap(_) => 0,
        }
    }

    /// Address and length of those in its reactor's area.
    pub(crate) fn area(&self) -> Option<(usize, usize)> {
        match self {
            Self::Area(bytes) => Some((bytes.as_ptr() as usize, bytes.len())),
            Self::Ring(_) | Self::Heap(_) => None,
        }
    }
}

/// What came so far of a package in parts.
#[derive(Debug, Default)]
pub(super) struct Partial {
    bytes: Vec<u8>,
}

impl Partial {
    /// One more part, which begins there in its package. One that does not continue what is there
    /// belongs to a package whose head was recalled.
    pub(super) fn add(&mut self, offset: u32, part: &[u8]) {
        if offset == 0 {
            self.bytes.clear();
        }
        if self.bytes.len() == offset as usize {
            self.bytes.extend_from_slice(part);
        }
    }

    /// The last part was added: the package.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_its_rest_gets_into_no_other_package() {
        let mut partial = Partial::default();
        partial.add(0, b"of one ");
        partial.add(0, b"of ");
        partial.add(3, b"another");
        assert_eq!(partial.take(), b"of another", "what was there has no rest");
        partial.add(9, b"a rest without its head");
        partial.add(0, b"a ");
        partial.add(9, b"somebody's");
        partial.add(2, b"third");
        assert_eq!(partial.take(), b"a third");
    }
}
