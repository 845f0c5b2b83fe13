//! Memory of a reactor in which long packages are received, and from which its workers read them;
//! in the first reactor also tasks and results (protocol §8). States of sessions that are longer
//! than their entries have room for lie in another one of the same kind.
//!
//! It is a part of the board: the reactor writes it, all others map it read-only, and nobody else
//! can (the file is sealed). Each run of pages has one owner, who is either a [`BodySpace`], which
//! is being filled, or a [`SharedBody`], which changes no more and goes back when nobody refers to
//! it.
#![allow(unsafe_code)]

use crate::extents::{Extents, Run};
use crate::lane::RawBytesMut;
use crate::layout::PAGE;
use crate::mapping::Mapping;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The area of one reactor.
#[derive(Debug)]
pub struct BodyArea {
    mapping: Arc<Mapping>,
    /// Where it begins in the file.
    at: u64,
    extents: Mutex<Extents>,
}

impl BodyArea {
    /// The `len` bytes of the file from `at` on, which nobody else writes.
    pub(crate) fn new(mapping: &Arc<Mapping>, at: u64, len: u64) -> Option<Arc<Self>> {
        mapping.at(at, len).filter(|_| mapping.is_writable())?;
        let pages = u32::try_from(len / PAGE).ok()?;
        let extents = Mutex::new(Extents::new(pages));
        Some(Arc::new(Self { mapping: Arc::clone(mapping), at, extents }))
    }

    /// Space for `len` bytes, to be filled; `None` when there is none in one piece.
    #[must_use]
    pub fn take(self: &Arc<Self>, len: usize) -> Option<BodySpace> {
        let pages = u32::try_from((len as u64).div_ceil(PAGE)).ok()?;
        let run = self.extents().take(pages)?;
        let owned = Owned { area: Arc::clone(self), run, len };
        Some(BodySpace { owned, filled: 0 })
    }

    /// Bytes that were used at some time and are not now: they are memory all the same, for no page
    /// of a sealed file can be given back to the system.
    #[must_use]
    pub fn idle_bytes(&self) -> u64 {
        u64::from(self.extents().idle()) * PAGE
    }

    /// Bytes that were used at some time.
    #[must_use]
    pub fn touched_bytes(&self) -> u64 {
        u64::from(self.extents().touched()) * PAGE
    }

    /// The longest body for which there is space now; without `may_touch` only in memory that was
    /// used before.
    #[must_use]
    pub fn room(&self, may_touch: bool) -> u64 {
        u64::from(self.extents().longest(may_touch)) * PAGE
    }

    fn extents(&self) -> MutexGuard<'_, Extents> {
        self.extents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run of pages, and who gives it back.
#[derive(Debug)]
struct Owned {
    area: Arc<BodyArea>,
    run: Run,
    len: usize,
}

impl Owned {
    /// Where the run begins in the area.
    fn offset(&self) -> u64 {
        u64::from(self.run.first) * PAGE
    }

    /// A pointer to the first byte; none if the area were not in the mapping.
    fn pointer(&self) -> Option<*mut u8> {
        let area = &self.area;
        Some(area.mapping.at(area.at + self.offset(), self.len as u64)?.as_ptr())
    }

    fn bytes(&self, len: usize) -> &[u8] {
        let Some(pointer) = self.pointer() else { return &[] };
        // SAFETY: `pointer` is good for `self.len` bytes of a live mapping (checked by `at`, kept
        // by the Arc), all of them initialised. Only this process can write them (the file is
        // sealed), and only by `BodySpace::rest`, which borrows the one owner of the run mutably.
        unsafe { std::slice::from_raw_parts(pointer, len.min(self.len)) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.area.extents().give_back(self.run);
    }
}

/// Space that is being filled, from its beginning.
#[derive(Debug)]
pub struct BodySpace {
    owned: Owned,
    filled: usize,
}

impl BodySpace {
    /// Bytes of the whole.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.owned.len
    }

    /// What is there.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.owned.bytes(self.filled)
    }

    /// Where what follows it belongs. [`BodySpace::grow`] says how much was put there.
    pub fn rest(&mut self) -> RawBytesMut<'_> {
        match self.owned.pointer() {
            Some(pointer) => {
                RawBytesMut::new(pointer.wrapping_add(self.filled), self.owned.len - self.filled)
            }
            None => RawBytesMut::new(std::ptr::NonNull::dangling().as_ptr(), 0),
        }
    }

    /// So many bytes of the [rest](BodySpace::rest) are in place.
    pub fn grow(&mut self, len: usize) {
        self.filled = self.owned.len.min(self.filled + len);
    }

    /// It changes no more.
    #[must_use]
    pub fn finish(self) -> SharedBody {
        SharedBody { owned: self.owned, len: self.filled }
    }
}

/// Bytes that workers may read until it is dropped.
#[derive(Debug)]
pub struct SharedBody {
    owned: Owned,
    len: usize,
}

impl SharedBody {
    /// They.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.owned.bytes(self.len)
    }

    /// The page of the area on which they begin, by which workers find them.
    #[must_use]
    pub const fn first_page(&self) -> u32 {
        self.owned.run.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Board, BoardSizes};

    const AREA: u64 = 4 * PAGE;

    fn board() -> (Board, rustix::fd::OwnedFd) {
        let sizes =
            BoardSizes { reactors: 2, sessions: 4, body_area: AREA, ..BoardSizes::default() };
        Board::create(sizes).unwrap()
    }

    #[test]
    fn a_worker_reads_what_the_reactor_received_and_no_more() {
        let (board, fd) = board();
        let worker = Board::open(&fd).unwrap();
        let areas = [0, 1].map(|reactor| board.take_body_area(reactor).unwrap());
        let mut bodies = Vec::new();
        for (area, byte) in areas.iter().zip([b'a', b'b']) {
            let mut space = area.take(5_000).unwrap();
            assert_eq!((space.capacity(), space.rest().len()), (5_000, 5_000));
            space.rest().copy_from(&[byte; 3_000]);
            space.grow(3_000);
            space.rest().copy_from(&[byte + 2; 2_000]);
            space.grow(2_000);
            bodies.push(space.finish());
        }
        for (reactor, body) in bodies.iter().enumerate() {
            let seen = worker.body(reactor, body.first_page(), 5_000).unwrap();
            assert_eq!(&*seen, body.bytes());
            assert_eq!(seen[4_999], b'c' + reactor as u8);
        }
        for (reactor, page, len) in
            [(0, 4, 1), (0, 0, AREA as u32 + 1), (0, u32::MAX, u32::MAX), (2, 0, 1)]
        {
            assert!(worker.body(reactor, page, len).is_none(), "{reactor} {page} {len}");
        }
    }

    #[test]
    fn an_area_has_one_owner_and_none_among_those_who_only_read() {
        let (board, fd) = board();
        assert!(board.take_body_area(0).is_some());
        assert!(board.take_body_area(0).is_none() && board.take_body_area(2).is_none());
        assert!(Board::open(&fd).unwrap().take_body_area(1).is_none());
    }

    #[test]
    fn what_is_dropped_is_room_again() {
        let (board, _) = board();
        let area = board.take_body_area(0).unwrap();
        let (first, second) = (area.take(2 * PAGE as usize).unwrap(), area.take(1).unwrap());
        assert!(area.take(2 * PAGE as usize).is_none());
        drop(first);
        assert_eq!(area.idle_bytes(), 2 * PAGE);
        let again = area.take(2 * PAGE as usize).unwrap();
        assert_eq!((again.bytes(), area.idle_bytes()), (&[][..], 0));
        drop((second, again.finish()));
        assert_eq!(area.idle_bytes(), 3 * PAGE);
    }
}
