//! A memory file for one group of words, mapped for this process and all that it forks.
#![allow(unsafe_code)]

use crate::layout::PAGE;
use crate::mapping::{self, Mapping, SharedWords, Writer};
use rustix::fd::OwnedFd;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;

/// One group of words in memory of its own. All its bytes are zero at first.
#[derive(Debug)]
pub struct Place<T> {
    /// Where the words are, in `mapping`.
    words: NonNull<T>,
    /// Keeps them mapped.
    _mapping: Mapping,
}

// SAFETY: a place is a mapping, which is Send and Sync, and a pointer into it to words that are
// atomics (`SharedWords`, promised by its implementers).
unsafe impl<T> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Place<T> {}

#[allow(private_bounds)] // only words of this crate may be placed
impl<T: SharedWords> Place<T> {
    /// Makes the memory.
    ///
    /// # Errors
    /// Those of memfd_create(2), fallocate(2) and mmap(2).
    pub fn create(name: &str) -> io::Result<Self> {
        Self::with_file(name).map(|(place, _)| place)
    }

    /// Makes the memory; answers with its file, too.
    ///
    /// # Errors
    /// As of [`Place::create`].
    pub(super) fn with_file(name: &str) -> io::Result<(Self, OwnedFd)> {
        let len = (size_of::<T>() as u64).next_multiple_of(PAGE);
        let fd = mapping::create(name, len, true)?;
        mapping::seal(&fd, Writer::Receiver)?;
        let mapping = Mapping::inherited(&fd, len, true)?;
        let words = mapping.words::<T>(0).map(NonNull::from);
        let words = words.ok_or_else(|| io::Error::other("the words do not fit their memory"))?;
        Ok((Self { words, _mapping: mapping }, fd))
    }
}

impl<T> Deref for Place<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the pointer came from `Mapping::words` of the mapping that `self` owns, which
        // checked bounds and alignment; the mapping is unmapped only when `self` is dropped, and
        // the words are atomics, valid for any bits and for shared mutation.
        unsafe { self.words.as_ref() }
    }
}
