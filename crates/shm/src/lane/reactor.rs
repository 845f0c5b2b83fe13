//! A reactor's view of one lane.

use super::ring_memory::RingMemory;
use crate::layout::Sizes;
use crate::mapping::Mapping;
use crate::words::{DownWords, ProcessWords, UpWords};
use std::sync::Arc;

/// The reactor's end: it writes the package ring and the `down` words; all it reads is hostile.
#[derive(Debug)]
pub struct ReactorLane {
    down: Arc<Mapping>,
    up: Arc<Mapping>,
    sizes: Sizes,
    reactor: usize,
    /// The package ring; this side writes it.
    pub packages: RingMemory,
    /// The ring for answers; this side writes it.
    pub answers: RingMemory,
    /// The out ring; the worker writes it.
    pub outputs: RingMemory,
    fallback: Box<(DownWords, UpWords, ProcessWords)>,
}

impl ReactorLane {
    pub(super) fn new(
        down: &Arc<Mapping>,
        up: &Arc<Mapping>,
        sizes: Sizes,
        reactor: usize,
    ) -> Option<Self> {
        if reactor >= sizes.reactors {
            return None;
        }
        down.words::<DownWords>(sizes.down_words_at(reactor))?;
        up.words::<UpWords>(sizes.up_words_at(reactor))?;
        up.words::<ProcessWords>(sizes.process_words_at())?;
        Some(Self {
            packages: RingMemory::new(down, sizes.package_ring_at(reactor), sizes.lane_size)?,
            answers: RingMemory::new(down, sizes.answers_ring_at(reactor), sizes.answers_size())?,
            outputs: RingMemory::new(up, sizes.out_ring_at(reactor), sizes.lane_size)?,
            down: Arc::clone(down),
            up: Arc::clone(up),
            sizes,
            reactor,
            fallback: Box::new((DownWords::new(), UpWords::new(), ProcessWords::new())),
        })
    }

    /// The words this side writes.
    #[must_use]
    pub fn down(&self) -> &DownWords {
        // The offset was checked in `new`; the fallback only spares the master a panic path.
        self.down.words(self.sizes.down_words_at(self.reactor)).unwrap_or(&self.fallback.0)
    }

    /// The worker's words of this lane.
    #[must_use]
    pub fn up(&self) -> &UpWords {
        self.up.words(self.sizes.up_words_at(self.reactor)).unwrap_or(&self.fallback.1)
    }

    /// The worker's words of all its lanes.
    #[must_use]
    pub fn process(&self) -> &ProcessWords {
        self.up.words(self.sizes.process_words_at()).unwrap_or(&self.fallback.2)
    }

    /// Bytes of each ring.
    #[must_use]
    pub const fn capacity(&self) -> u64 {
        self.sizes.lane_size
    }
}
