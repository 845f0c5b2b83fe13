//! Bytes in shared memory, in the three forms in which they may be handled.

use crate::mapping::Mapping;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that another process may change at any time: to be written to a socket from where they
/// are, or copied. Never a slice (decision 12).
#[derive(Clone, Copy, Debug)]
pub struct RawBytes<'a> {
    pointer: *const u8,
    len: usize,
    lives: PhantomData<&'a Mapping>,
}

impl<'a> RawBytes<'a> {
    pub(crate) const fn new(pointer: *const u8, len: usize) -> Self {
        Self { pointer, len, lives: PhantomData }
    }

    /// Bytes that nobody changes, to be handled like those that somebody may change.
    #[must_use]
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self::new(bytes.as_ptr(), bytes.len())
    }

    /// Where they begin; valid for [`RawBytes::len`] bytes while the lane lives.
    #[must_use]
    pub const fn as_ptr(&self) -> *const u8 {
        self.pointer
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes from `offset` on (none when it lies behind them).
    #[must_use]
    pub fn skip(self, offset: usize) -> Self {
        let offset = offset.min(self.len);
        Self {
            pointer: self.pointer.wrapping_add(offset),
            len: self.len - offset,
            lives: PhantomData,
        }
    }

    /// The first `len` of the bytes (all of them when there are fewer).
    #[must_use]
    pub fn first(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// A private copy appended to `to`.
    #[allow(unsafe_code)]
    pub fn append_to(&self, to: &mut Vec<u8>) {
        to.reserve(self.len);
        // SAFETY: pointer..pointer+len lies in a live mapping (kept by 'a); the spare capacity was
        // reserved and belongs to the private vector, so the ranges do not overlap. A racing writer
        // can only change which bytes are copied; every byte value is a valid u8.
        unsafe {
            std::ptr::copy_nonoverlapping(self.pointer, to.as_mut_ptr().add(to.len()), self.len);
            to.set_len(to.len() + self.len);
        }
    }

    /// A private copy.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut copy = Vec::new();
        self.append_to(&mut copy);
        copy
    }
}

/// Space in this side's own ring, to be filled by `recv(2)` or a copy.
#[derive(Debug)]
pub struct RawBytesMut<'a> {
    pointer: *mut u8,
    len: usize,
    lives: PhantomData<&'a Mapping>,
}

impl RawBytesMut<'_> {
    pub(crate) const fn new(pointer: *mut u8, len: usize) -> Self {
        Self { pointer, len, lives: PhantomData }
    }

    /// Where it begins; valid for [`RawBytesMut::len`] bytes while the lane lives.
    #[must_use]
    pub const fn as_mut_ptr(&mut self) -> *mut u8 {
        self.pointer
    }

    /// How many bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `len` bytes, clipped to the space.
    #[allow(unsafe_code)]
    #[must_use]
    pub fn filled(&self, len: usize) -> &[u8] {
        // SAFETY: the space lies in a live mapping (kept by the lifetime), whose every byte is
        // initialised. Only this process can write it: the file was sealed against writable
        // mappings by anybody else (protocol §2). Nobody here does while this value is borrowed.
        unsafe { std::slice::from_raw_parts(self.pointer, len.min(self.len)) }
    }

    /// The same space once more, for as long as it is not used itself.
    #[must_use]
    pub const fn by_ref(&mut self) -> RawBytesMut<'_> {
        RawBytesMut { pointer: self.pointer, len: self.len, lives: PhantomData }
    }

    /// The first `len` bytes of the space (all of it when that is less).
    #[must_use]
    pub fn first(self, len: usize) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// Leaves the first `len` bytes as they are: what is filled next lies behind them.
    pub fn skip(&mut self, len: usize) {
        let len = len.min(self.len);
        self.pointer = self.pointer.wrapping_add(len);
        self.len -= len;
    }

    /// Copies as much of `from` as fits and answers how much that was.
    #[allow(unsafe_code)]
    pub fn copy_from(&mut self, from: &[u8]) -> usize {
        let len = from.len().min(self.len);
        // SAFETY: the space lies in a live writable mapping of this process (kept by the lifetime)
        // and `from` is private memory, so they do not overlap; `len` is within both.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.pointer, len) };
        len
    }

    /// Copies as much of `from` as fits, whoever may be changing it, and answers how much that was.
    #[allow(unsafe_code)]
    pub fn copy_raw(&mut self, from: RawBytes<'_>) -> usize {
        let len = from.len().min(self.len);
        // SAFETY: both lie in live mappings (kept by the lifetimes) and `len` is within both; this
        // one is writable. `copy` allows that they overlap. A racing writer can only change which
        // bytes are copied; every byte value is a valid u8.
        unsafe { std::ptr::copy(from.pointer, self.pointer, len) };
        len
    }
}

/// A package in the package ring, as the worker's handler sees it: read-only memory that stays as
/// it is until the worker says `freed`, which it does not while a `PackageBytes` lives (the shared
/// count).
#[derive(Debug)]
pub struct PackageBytes {
    mapping: Arc<Mapping>,
    pointer: *const u8,
    len: usize,
    holds: Rc<Cell<usize>>,
}

impl PackageBytes {
    pub(super) fn new(
        mapping: Arc<Mapping>,
        pointer: *const u8,
        len: usize,
        holds: &Rc<Cell<usize>>,
    ) -> Self {
        holds.set(holds.get() + 1);
        Self { mapping, pointer, len, holds: Rc::clone(holds) }
    }

    /// The same in a reactor's body area, where it stays until its delivery is finished.
    pub(crate) fn of_body(mapping: Arc<Mapping>, pointer: *const u8, len: usize) -> Self {
        Self::new(mapping, pointer, len, &Rc::default())
    }
}

impl Deref for PackageBytes {
    type Target = [u8];

    #[allow(unsafe_code)]
    fn deref(&self) -> &[u8] {
        debug_assert!(!self.mapping.is_writable());
        // SAFETY: in bounds of the live mapping (checked by the lane or the board that made this
        // value, kept by `mapping`), which this process maps read-only. The reactor does not write
        // in its ring until `freed` passes the record, and the lane stores `freed` only when no
        // PackageBytes is held (`holds`); it does not write in a body area until the `Fin` of the
        // delivery, which the worker writes when nothing of it is held (protocol §8), or until the
        // worker has let go of the answer, which it does when this value is dropped (§5).
        unsafe { std::slice::from_raw_parts(self.pointer, self.len) }
    }
}

impl Drop for PackageBytes {
    fn drop(&mut self) {
        self.holds.set(self.holds.get().saturating_sub(1));
    }
}
