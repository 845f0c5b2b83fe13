//! Which part of a file is to be sent: the payload of a `File` record (protocol §8).

/// A part of a file that has bytes, none of them behind the last offset that a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    offset: u64,
    len: u64,
}

/// The end of the longest file: offsets are signed in the kernel.
const END_MAX: u64 = i64::MAX as u64;

impl FileRange {
    /// Bytes of its form in memory.
    pub const SIZE: usize = 16;

    /// `None`: it would be empty, or no file is so long.
    #[must_use]
    pub const fn new(offset: u64, len: u64) -> Option<Self> {
        match offset.checked_add(len) {
            Some(end) if len > 0 && end <= END_MAX => Some(Self { offset, len }),
            _ => None,
        }
    }

    /// Where it begins.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// How many bytes it has, at least one.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Never: see [`FileRange::new`].
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Where it ends.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.offset + self.len
    }

    /// Its form in memory: offset and length, little-endian.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::SIZE] {
        (self.offset as u128 | (self.len as u128) << 64).to_le_bytes()
    }

    /// Reads what a peer has written; `None` when it is no part of a file.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u128::from_le_bytes(bytes.try_into().ok()?);
        Self::new(both as u64, (both >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_survives_its_memory_form() {
        for (offset, len) in [(0, 1), (7, u64::from(u32::MAX)), (END_MAX - 1, 1), (0, END_MAX)] {
            let range = FileRange::new(offset, len).unwrap();
            assert_eq!(FileRange::from_bytes(&range.to_bytes()), Some(range));
            assert_eq!((range.offset(), range.len(), range.end()), (offset, len, offset + len));
        }
    }

    #[test]
    fn what_is_no_part_of_a_file_is_refused() {
        for (offset, len) in
            [(0, 0), (5, 0), (END_MAX, 1), (1, END_MAX), (u64::MAX, 1), (u64::MAX, u64::MAX)]
        {
            assert_eq!(FileRange::new(offset, len), None, "{offset} {len}");
            let bytes = (u128::from(offset) | u128::from(len) << 64).to_le_bytes();
            assert_eq!(FileRange::from_bytes(&bytes), None, "{offset} {len}");
        }
        for len in [0, 8, 15, 17, 32] {
            assert_eq!(FileRange::from_bytes(&vec![1; len]), None, "{len} bytes");
        }
    }
}
