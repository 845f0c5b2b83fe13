//! Reading a file of which a disk may not be able to read a part: the rest is read all the same.

#[cfg(test)]
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// Bytes that are read at once where more cannot be.
const SECTOR_BYTES: usize = 4 * 1024;
/// Pieces that cannot be read before the whole file counts as that: a disk that is gone would be
/// asked for hours.
const UNREAD_MAX: usize = 1_024;

/// A file.
#[derive(Debug, Default)]
pub(super) struct FileBytes {
    pub(super) bytes: Vec<u8>,
    /// What the disk cannot read; zeros stand there.
    pub(super) unread: Vec<Range<usize>>,
}

impl FileBytes {
    /// The first byte that the disk cannot read, and how many there are.
    pub(super) fn first_unread(&self) -> Option<(usize, usize)> {
        let first = self.unread.first()?.start;
        Some((first, self.unread.iter().map(ExactSizeIterator::len).sum()))
    }
}

/// Reads `len` bytes into memory that is reserved.
pub(super) fn read_file(file: &File, bytes: Vec<u8>, len: usize) -> io::Result<FileBytes> {
    let mut read = FileBytes { bytes, unread: Vec::new() };
    read.bytes.resize(len, 0);
    let mut at = 0;
    let mut most = PIECE_BYTES;
    while let Some(rest) = read.bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let to_border = SECTOR_BYTES - at % SECTOR_BYTES;
        let piece = rest.len().min(if most == PIECE_BYTES { most } else { to_border });
        match read_at(file, rest.get_mut(..piece).unwrap_or_default(), at as u64) {
            Ok(0) => read.bytes.truncate(at),
            Ok(count) => {
                at += count;
                most = PIECE_BYTES;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() != Some(libc::EIO) => return Err(error),
            Err(_) if most == PIECE_BYTES => most = SECTOR_BYTES,
            Err(error) if read.unread.len() == UNREAD_MAX => return Err(error),
            Err(_) => {
                rest.get_mut(..piece).unwrap_or_default().fill(0);
                read.unread.push(at..at + piece);
                at += piece;
            }
        }
    }
    Ok(read)
}

#[cfg(test)]
thread_local! {
    /// Bytes of files that the disk cannot read in this thread.
    pub(super) static BAD_BYTES: RefCell<Range<u64>> = const { RefCell::new(0..0) };
}

/// Reads from a place of a file, as the disk lets it.
pub(super) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    #[cfg(test)]
    if BAD_BYTES.with_borrow(|bad| at < bad.end && at + into.len() as u64 > bad.start) {
        return Err(io::Error::from_raw_os_error(libc::EIO));
    }
    file.read_at(into, at)
}
