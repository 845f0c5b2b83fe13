//! A part of a file that stands in a queue: its bytes take no memory until they are written.

/// What a file that waits counts for the marks, bytes, however long it is: its bytes are in the
/// file, and what there is too many of are open files. With the defaults a session is full above
/// sixteen of them, and closed for more than 64.
pub const FILE_WEIGHT_BYTES: usize = 16 * 1024;

/// What a file that waits is charged: its place in the queue, and what the kernel holds for it.
pub(super) const FILE_COST_BYTES: usize = 512;

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

/// What stands in a queue: bytes, or a part of a file.
#[derive(Debug)]
pub(super) enum Segment<F> {
    Bytes(Vec<u8>),
    File(FilePart<F>),
}

impl<F> Segment<F> {
    /// What it counts for the marks.
    pub(super) const fn weight(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(_) => FILE_WEIGHT_BYTES,
        }
    }

    /// Bytes that are left to write.
    pub(super) const fn left(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
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
