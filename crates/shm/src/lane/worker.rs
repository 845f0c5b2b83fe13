//! The worker's view of its lanes.

use super::bytes::PackageBytes;
use super::memory::{
    HEAD_GENERATION, HEAD_LANE_SIZE, HEAD_MAGIC, HEAD_PLACE, HEAD_PROTOCOL, HEAD_REACTORS,
};
use super::ring_memory::RingMemory;
use crate::board::SleepWord;
use crate::layout::{DOWN_MAGIC, PROTOCOL, Sizes};
use crate::mapping::Mapping;
use crate::record::{HEADER_SIZE, Header};
use crate::ring::RingBytes;
use crate::sync::Ordering;
use crate::words::{DownWords, ProcessWords, UpWords};
use rustix::fd::AsFd;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Why a worker cannot use the memory files it was given.
#[derive(Debug)]
pub struct LayoutRefused(String);

impl fmt::Display for LayoutRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LayoutRefused {}

impl From<io::Error> for LayoutRefused {
    fn from(error: io::Error) -> Self {
        Self(format!("cannot map the lanes: {error}"))
    }
}

/// Both files of this process.
#[derive(Debug)]
pub struct WorkerMemory {
    up: Arc<Mapping>,
    down: Arc<Mapping>,
    sizes: Sizes,
    place: u64,
    generation: u64,
}

impl WorkerMemory {
    /// Maps both files and checks that they are of this protocol.
    ///
    /// # Errors
    /// [`LayoutRefused`] names what does not fit.
    pub fn open(down_fd: impl AsFd, up_fd: impl AsFd) -> Result<Self, LayoutRefused> {
        let len = |fd: &dyn Fn() -> rustix::io::Result<rustix::fs::Stat>| -> io::Result<u64> {
            Ok(u64::try_from(fd()?.st_size).unwrap_or(0))
        };
        let down_len = len(&|| rustix::fs::fstat(&down_fd))?;
        let up_len = len(&|| rustix::fs::fstat(&up_fd))?;
        let down = Mapping::new(&down_fd, down_len, false)?;
        let head =
            |at| down.words::<SleepWord>(at).map_or(0, |word| word.epoch.load(Ordering::Acquire));
        if head(HEAD_MAGIC) != DOWN_MAGIC {
            return Err(LayoutRefused("the file is not a lane file".into()));
        }
        if head(HEAD_PROTOCOL) != PROTOCOL {
            return Err(LayoutRefused(format!(
                "the master speaks lane protocol {}, this worker {PROTOCOL}: build both from one \
                 version",
                head(HEAD_PROTOCOL)
            )));
        }
        let reactors = usize::try_from(head(HEAD_REACTORS)).unwrap_or(0);
        let sizes = Sizes { reactors, lane_size: head(HEAD_LANE_SIZE) };
        if !sizes.are_valid() || sizes.down_len() > down_len || sizes.up_len() > up_len {
            return Err(LayoutRefused("the lane sizes do not fit the files".into()));
        }
        let (place, generation) = (head(HEAD_PLACE), head(HEAD_GENERATION));
        let up = Mapping::new(&up_fd, up_len, true)?;
        Ok(Self { up: Arc::new(up), down: Arc::new(down), sizes, place, generation })
    }

    /// Place (kind and slot) and generation that the files were made for.
    #[must_use]
    pub const fn key(&self) -> (u64, u64) {
        (self.place, self.generation)
    }

    /// The sizes.
    #[must_use]
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The words of this process over all lanes.
    ///
    /// # Errors
    /// Never after a successful [`WorkerMemory::open`].
    pub fn process(&self) -> Result<&ProcessWords, LayoutRefused> {
        self.up
            .words(self.sizes.process_words_at())
            .ok_or_else(|| LayoutRefused("the up file is too short".into()))
    }

    /// This process's end of one lane.
    ///
    /// # Errors
    /// When there is no such lane.
    pub fn lane(&self, reactor: usize) -> Result<WorkerLane, LayoutRefused> {
        WorkerLane::new(self, reactor).ok_or_else(|| LayoutRefused("no such lane".into()))
    }
}

/// The worker's end of one lane.
#[derive(Debug)]
pub struct WorkerLane {
    up: Arc<Mapping>,
    down: Arc<Mapping>,
    down_at: u64,
    up_at: u64,
    /// The package ring, read-only.
    pub packages: RingMemory,
    /// The ring for answers, read-only.
    pub answers: RingMemory,
    /// The out ring; this side writes it.
    pub outputs: RingMemory,
    holds: Rc<Cell<usize>>,
    fallback: Box<(DownWords, UpWords)>,
}

impl WorkerLane {
    fn new(memory: &WorkerMemory, reactor: usize) -> Option<Self> {
        let sizes = memory.sizes;
        if reactor >= sizes.reactors {
            return None;
        }
        let down_at = sizes.down_words_at(reactor);
        let up_at = sizes.up_words_at(reactor);
        memory.down.words::<DownWords>(down_at)?;
        memory.up.words::<UpWords>(up_at)?;
        Some(Self {
            packages: RingMemory::new(
                &memory.down,
                sizes.package_ring_at(reactor),
                sizes.lane_size,
            )?,
            answers: RingMemory::new(
                &memory.down,
                sizes.answers_ring_at(reactor),
                sizes.answers_size(),
            )?,
            outputs: RingMemory::new(&memory.up, sizes.out_ring_at(reactor), sizes.lane_size)?,
            up: Arc::clone(&memory.up),
            down: Arc::clone(&memory.down),
            down_at,
            up_at,
            holds: Rc::new(Cell::new(0)),
            fallback: Box::new((DownWords::new(), UpWords::new())),
        })
    }

    /// The reactor's words of this lane.
    #[must_use]
    pub fn down(&self) -> &DownWords {
        self.down.words(self.down_at).unwrap_or(&self.fallback.0)
    }

    /// The words this side writes.
    #[must_use]
    pub fn up(&self) -> &UpWords {
        self.up.words(self.up_at).unwrap_or(&self.fallback.1)
    }

    /// The payload of a taken record. While the answer lives, [`WorkerLane::is_held`] is true and
    /// `freed` must not pass the record (the caller asks before it stores).
    #[must_use]
    pub fn payload(&self, position: u64, header: &Header) -> PackageBytes {
        let offset = (position & (self.packages.capacity() - 1)) + HEADER_SIZE as u64;
        let raw = self.packages.raw(offset, header.payload_len());
        PackageBytes::new(Arc::clone(self.packages.mapping()), raw.as_ptr(), raw.len(), &self.holds)
    }

    /// A copy of the payload of an answer.
    #[must_use]
    pub fn answer(&self, position: u64, header: &Header) -> Vec<u8> {
        let offset = (position & (self.answers.capacity() - 1)) + HEADER_SIZE as u64;
        self.answers.raw(offset, header.payload_len()).to_vec()
    }

    /// Whether package memory of this lane is still referred to.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.holds.get() > 0
    }
}
