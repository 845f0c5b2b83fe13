//! Memory files: anonymous (`memfd_create(2)`), sealed, mapped once, and not inherited through a
//! fork but for what an application shares.
#![allow(unsafe_code)]

use crate::sync::AtomicU64;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;
use std::ptr::NonNull;

/// Who may write a memory file after it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Only mappings that exist when [`seal`] is called (the `down` file and the board: the
    /// master's).
    Existing,
    /// Anyone who is given the descriptor (the `up` file: the worker).
    Receiver,
}

/// `memfd_create` — makes a memory file of `len` zero bytes. With `populate` all its pages exist
/// afterwards, so that a lack of memory is a clean error here and not a SIGBUS later.
///
/// # Errors
/// Those of memfd_create(2), ftruncate(2) and fallocate(2).
pub fn create(name: &str, len: u64, populate: bool) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, len)?;
    if populate {
        rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, len)?;
    }
    Ok(fd)
}

/// `fcntl(F_ADD_SEALS)` — fixes a file's size, and with [`Writer::Existing`] forbids new writable
/// mappings.
///
/// # Errors
/// Those of fcntl(2).
pub fn seal(fd: impl AsFd, writer: Writer) -> io::Result<()> {
    let mut seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    if writer == Writer::Existing {
        seals |= SealFlags::FUTURE_WRITE;
    }
    Ok(rustix::fs::fcntl_add_seals(fd, seals)?)
}

/// `fcntl(F_GET_SEALS)` — whether the size of a file is fixed: of one that somebody else has made
/// and may cut, which would end whoever reads its mapping.
pub fn has_fixed_size(fd: impl AsFd) -> bool {
    let wanted = SealFlags::SHRINK | SealFlags::GROW;
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(wanted))
}

/// `getrandom(2)` — a number that nobody foresees. What the standard library hashes with is no such
/// number: a thread has one seed for all its life, and so have all processes that are forked from
/// it.
///
/// # Errors
/// Those of getrandom(2).
pub fn random_word() -> io::Result<u64> {
    let mut bytes = [0; size_of::<u64>()];
    // So few are always given whole.
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A shared mapping of a whole memory file; unmapped on drop. Its bytes may change at any time, so
/// they are reached through atomics and raw copies only.
#[derive(Debug)]
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the mapping is plain shared memory without thread affinity; it is unmapped only when the
// last owner drops it.
unsafe impl Send for Mapping {}
// SAFETY: as above; all access through `Mapping` is by atomics, volatile copies, or raw pointers
// whose users are in this crate and keep to one writer per byte (the lane protocol).
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `mmap` — maps `len` bytes of `fd`, shared, and keeps the mapping out of forked children
    /// (`MADV_DONTFORK`): a child of user code must not go on writing after its parent's death.
    ///
    /// # Errors
    /// Those of mmap(2) and madvise(2); also when the file is shorter than `len`.
    pub fn new(fd: impl AsFd, len: u64, writable: bool) -> io::Result<Self> {
        let mapping = Self::inherited(fd, len, writable)?;
        // SAFETY: base and len are exactly the mapping made above; DONTFORK changes nothing for
        // this process.
        unsafe {
            rustix::mm::madvise(mapping.base.as_ptr().cast(), mapping.len, Advice::LinuxDontFork)?;
        }
        Ok(mapping)
    }

    /// `mmap` — maps `len` bytes of `fd`, shared, also with the children that this process forks.
    ///
    /// # Errors
    /// Those of mmap(2); also when the file is shorter than `len`.
    pub fn inherited(fd: impl AsFd, len: u64, writable: bool) -> io::Result<Self> {
        let size = rustix::fs::fstat(&fd)?.st_size;
        let bytes =
            usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        if u64::try_from(size).unwrap_or(0) < len || bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the memory file is too short"));
        }
        let protection =
            if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing of this
        // process.
        let base = unsafe {
            rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, fd, 0)?
        };
        let Some(base) = NonNull::new(base.cast::<u8>()) else {
            return Err(io::Error::other("mmap answered a null pointer"));
        };
        Ok(Self { base, len: bytes, writable })
    }

    /// Bytes mapped.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is mapped: never.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this side may write it.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        self.writable
    }

    /// A pointer to `len` bytes at `offset`, if they lie inside.
    pub(crate) fn at(&self, offset: u64, len: u64) -> Option<NonNull<u8>> {
        let end = offset.checked_add(len)?;
        if end > self.len as u64 {
            return None;
        }
        // SAFETY: offset <= end <= len of the mapping, so the pointer stays inside the allocation.
        Some(unsafe { self.base.add(offset as usize) })
    }

    /// A reference to shared words at `offset`.
    ///
    /// `T` is a `repr(C)` group of `AtomicU64`s only (the words of this crate): any bit pattern is
    /// valid and a peer may write at any time. On a read-only mapping only loads are done (a store
    /// would fault, not corrupt).
    pub(crate) fn words<T: SharedWords>(&self, offset: u64) -> Option<&T> {
        let pointer = self.at(offset, size_of::<T>() as u64)?.cast::<T>();
        if !pointer.is_aligned() {
            return None;
        }
        // SAFETY: in bounds (checked by `at`), aligned (checked), valid for any bits and for shared
        // mutation because SharedWords is implemented only for structs of atomics; lives as long as
        // `self`.
        Some(unsafe { pointer.as_ref() })
    }

    /// The `count` words at `offset`.
    pub(crate) fn word_slice(&self, offset: u64, count: usize) -> Option<&[AtomicU64]> {
        let bytes = count.checked_mul(size_of::<AtomicU64>())? as u64;
        let pointer = self.at(offset, bytes)?.cast::<AtomicU64>();
        if !pointer.is_aligned() {
            return None;
        }
        // SAFETY: in bounds (checked by `at`), aligned (checked), atomics are valid for any
        // bits and for shared mutation; lives as long as `self`.
        Some(unsafe { std::slice::from_raw_parts(pointer.as_ptr(), count) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and len are those of the mapping made in `new`, and no reference outlives
        // `self` (all borrow it).
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// Structs that consist of `AtomicU64`s and `AtomicU32`s only.
///
/// # Safety
/// The implementer promises `repr(C)`, no padding that matters, only atomics inside, and alignment
/// of at most a page.
pub(crate) unsafe trait SharedWords {}

// SAFETY: repr(C) structs of AtomicU64 groups (see `words`).
unsafe impl SharedWords for crate::words::DownWords {}
// SAFETY: as above.
unsafe impl SharedWords for crate::words::UpWords {}
// SAFETY: as above.
unsafe impl SharedWords for crate::words::ProcessWords {}
// SAFETY: repr(C), an array of AtomicU64 (see `sessions`).
unsafe impl SharedWords for crate::sessions::EntryHead {}
// SAFETY: repr(C) struct of AtomicU64 (see `board`).
unsafe impl SharedWords for crate::board::SleepWord {}
// SAFETY: repr(C), an array of AtomicU64 (see `board`).
unsafe impl SharedWords for crate::board::NewestSession {}
// SAFETY: repr(C) struct of AtomicU64 (see `board`).
unsafe impl SharedWords for crate::board::BoardHead {}
// SAFETY: repr(C) group of AtomicU64s and padding (see `board`).
unsafe impl SharedWords for crate::board::GroupsHead {}
// SAFETY: repr(C) group of AtomicU64s and padding.
unsafe impl SharedWords for crate::commons::CommonsHead {}
// SAFETY: repr(C) group of AtomicU64s and padding.
unsafe impl SharedWords for crate::commons::SeatHead {}
// SAFETY: repr(C) struct of AtomicU64 and padding.
unsafe impl SharedWords for crate::black_box::memory::IdentityLine {}
// SAFETY: as above.
unsafe impl SharedWords for crate::black_box::phase::PhaseLine {}
// SAFETY: as above.
unsafe impl SharedWords for crate::black_box::capture::CaptureLine {}
// SAFETY: repr(C) groups of AtomicU64s and padding (see `roster`).
unsafe impl SharedWords for crate::roster::RosterHead {}
// SAFETY: as above.
unsafe impl SharedWords for crate::roster::WorkLines {}
// SAFETY: repr(C) struct of an AtomicU32 each, and padding (see `shared::atomic`).
unsafe impl SharedWords for crate::shared::atomic::Words32 {}
// SAFETY: repr(C) struct of an AtomicU64, an AtomicU32, and padding.
unsafe impl SharedWords for crate::shared::atomic::Words64 {}
// SAFETY: repr(C), an array of AtomicU64s and padding (see `shared::counter`).
unsafe impl SharedWords for crate::shared::counter::Stripes {}
// SAFETY: repr(C) struct of AtomicU64s and padding (see `shared::lock`).
unsafe impl SharedWords for crate::shared::lock::LockWords {}
