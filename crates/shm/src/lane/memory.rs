//! The two memory files of one worker process, made by the master (protocol §2, §9).

use super::reactor::ReactorLane;
use crate::layout::{DOWN_MAGIC, PROTOCOL, Sizes};
use crate::mapping::{self, Mapping, Writer};
use crate::sync::Ordering;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::io;
use std::sync::Arc;

/// Words at the head of a `down` file.
pub(super) const HEAD_MAGIC: u64 = 0;
pub(super) const HEAD_PROTOCOL: u64 = 64;
pub(super) const HEAD_REACTORS: u64 = 128;
pub(super) const HEAD_LANE_SIZE: u64 = 192;
pub(super) const HEAD_PLACE: u64 = 256;
pub(super) const HEAD_GENERATION: u64 = 320;

/// The master's side of one worker process's memory; the descriptors go to the manager for the
/// fork.
#[derive(Debug)]
pub struct MasterMemory {
    down_fd: OwnedFd,
    up_fd: OwnedFd,
    down: Arc<Mapping>,
    up: Arc<Mapping>,
    sizes: Sizes,
}

impl MasterMemory {
    /// Makes, fills in and seals both files. All pages exist afterwards: lack of memory is an error
    /// here. `place` (kind and slot) and `generation` say whose they are; only the worker
    /// looks at them.
    ///
    /// # Errors
    /// Those of memfd_create(2), fallocate(2), mmap(2); also impossible sizes.
    pub fn create(sizes: Sizes, place: u32, generation: u32) -> io::Result<Self> {
        if !sizes.are_valid() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "impossible lane sizes"));
        }
        let down_fd = mapping::create("ostler-down", sizes.down_len(), true)?;
        let up_fd = mapping::create("ostler-up", sizes.up_len(), true)?;
        let down = Mapping::new(&down_fd, sizes.down_len(), true)?;
        let up = Mapping::new(&up_fd, sizes.up_len(), false)?;
        mapping::seal(&down_fd, Writer::Existing)?;
        mapping::seal(&up_fd, Writer::Receiver)?;
        let head = [
            (HEAD_MAGIC, DOWN_MAGIC),
            (HEAD_PROTOCOL, PROTOCOL),
            (HEAD_REACTORS, sizes.reactors as u64),
            (HEAD_LANE_SIZE, sizes.lane_size),
            (HEAD_PLACE, u64::from(place)),
            (HEAD_GENERATION, u64::from(generation)),
        ];
        for (at, value) in head {
            if let Some(word) = down.words::<crate::board::SleepWord>(at) {
                word.epoch.store(value, Ordering::Release);
            }
        }
        Ok(Self { down_fd, up_fd, down: Arc::new(down), up: Arc::new(up), sizes })
    }

    /// The `down` file, for the worker.
    #[must_use]
    pub fn down_fd(&self) -> BorrowedFd<'_> {
        self.down_fd.as_fd()
    }

    /// The `up` file, for the worker.
    #[must_use]
    pub fn up_fd(&self) -> BorrowedFd<'_> {
        self.up_fd.as_fd()
    }

    /// One reactor's view of its lane.
    ///
    /// # Errors
    /// When there is no such lane.
    pub fn lane(&self, reactor: usize) -> io::Result<ReactorLane> {
        ReactorLane::new(&self.down, &self.up, self.sizes, reactor)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no such lane"))
    }
}
