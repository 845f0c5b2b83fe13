//! What may stand in a queue besides bytes of its own: a part of a file, whose bytes take no memory
//! until they are written, and a part of a package, which is written from where that lies.

use std::ops::Range;
use std::sync::Arc;

use crate::body::SharedBytes;

/// What a file that waits counts for the marks, bytes, however long it is: its bytes are in the
/// file, and what there is too many of are open files. With the defaults a session is full above
/// sixteen of them, and closed for more than 64.
pub const FILE_WEIGHT_BYTES: usize = 16 * 1024;

/// What a file that waits is charged: its place in the queue, and what the kernel holds for it.
pub(super) const FILE_COST_BYTES: usize = 512;

/// What a part is charged whose bytes are charged apart: its place in the queue, which doubles when
/// it grows.
const PLACE_COST_BYTES: usize = 128;

/// A part of a file. Whoever drives the queue knows what `F` is: here it is only kept and dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct FilePart<F> {
    /// The open file.
    pub file: F,
    /// Where the part begins, or what is left of it.
    pub offset: u64,
    /// Bytes that are left of it.
    pub len: u64,
}

/// A part of a package that workers read as well, or of a message to many sessions.
#[derive(Debug)]
pub(super) struct SharedPart {
    pub(super) body: Arc<dyn SharedBytes>,
    pub(super) range: Range<usize>,
}

impl SharedPart {
    pub(super) fn bytes(&self) -> &[u8] {
        self.body.bytes().get(self.range.clone()).unwrap_or_default()
    }

    /// What it is charged: the package stays as a whole.
    pub(super) fn cost(&self) -> usize {
        if self.body.is_charged_apart() { PLACE_COST_BYTES } else { self.body.bytes().len() }
    }

    /// Bytes that stay because of it and for which others are charged.
    pub(super) fn charged_apart(&self) -> usize {
        if self.body.is_charged_apart() { self.body.bytes().len() } else { 0 }
    }
}

/// What stands in a queue.
#[derive(Debug)]
pub(super) enum Segment<F> {
    Bytes(Vec<u8>),
    Shared(SharedPart),
    File(FilePart<F>),
}

impl<F> Segment<F> {
    /// What it counts for the marks.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Shared(part) => part.bytes().len(),
            Self::File(_) => FILE_WEIGHT_BYTES,
        }
    }

    /// Bytes that are left to write.
    pub(super) fn left(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Shared(part) => part.bytes().len() as u64,
            Self::File(part) => part.len,
        }
    }
}

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub enum Front<'queue, F> {
    /// These bytes; none when nothing waits.
    Bytes(&'queue [u8]),
    /// This part of a file.
    File(&'queue FilePart<F>),
}
