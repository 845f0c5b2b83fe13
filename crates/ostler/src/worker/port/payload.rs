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
