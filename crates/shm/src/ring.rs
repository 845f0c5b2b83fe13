//! Ring arithmetic: where a record of a given size goes, and when a peer's numbers are impossible.
//!
//! Positions are `u64` byte counts that never wrap; the place in memory is `position & (capacity -
//! 1)`. A record is contiguous: when it does not fit before the wrap, a `Pad` record fills the
//! rest. Records are aligned to [`HEADER_SIZE`], so the rest before the wrap always has room for a
//! header.

use crate::record::{HEADER_SIZE, Header, RecordKind};

/// The bytes of a ring: mapped memory, or a model's cells.
///
/// Offsets handed in are multiples of [`HEADER_SIZE`] below the capacity; implementations check and
/// do nothing (writes) or answer an all-zero header (reads) when they are not.
pub trait RingBytes {
    /// Bytes of the ring, a power of two.
    fn capacity(&self) -> u64;
    /// Writes a header at `offset`.
    fn write_header(&self, offset: u64, header: &Header);
    /// Copies a header out of `offset`; the peer may be writing, so any value is possible.
    fn read_header(&self, offset: u64) -> Header;
    /// Copies bytes to `offset`, which lies behind a header; `offset + bytes.len()` does not pass
    /// the capacity.
    fn write_bytes(&self, offset: u64, bytes: &[u8]);
}

/// Bytes that a record of `len` bytes (with header) takes in the ring.
#[must_use]
pub const fn aligned(len: u64) -> u64 {
    len.div_ceil(HEADER_SIZE as u64) * HEADER_SIZE as u64
}

/// The largest record, with header, of a ring: a quarter, so that a message of several parts always
/// makes progress and a pad plus a record fits beside a staged half (protocol §5).
#[must_use]
pub const fn max_record(capacity: u64) -> u64 {
    capacity / 4
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Bytes of padding before it (0: none).
    pub pad: u64,
    /// Position of its header.
    pub position: u64,
    /// Position behind it.
    pub end: u64,
}

/// Places a record of `len` bytes (with header) at `head`.
#[must_use]
pub const fn place(head: u64, len: u64, capacity: u64) -> Placement {
    let offset = head & (capacity - 1);
    let size = aligned(len);
    let pad = if offset + size > capacity { capacity - offset } else { 0 };
    Placement { pad, position: head + pad, end: head + pad + size }
}

/// Writes the pad of a placement.
pub fn write_pad(bytes: &impl RingBytes, head: u64, pad: u64, seq: u64, stamp: u64) {
    let header =
        Header { len: pad as u32, kind: RecordKind::Pad as u8, seq, stamp, ..Header::default() };
    bytes.write_header(head & (bytes.capacity() - 1), &header);
}

/// Writes a record where it is placed behind `head`, with the pad before it, and counts both in
/// `seq`. The header says how long it is; its `seq` is set here.
pub(crate) fn write_record(
    bytes: &impl RingBytes,
    (head, placed): (u64, Placement),
    seq: &mut u64,
    header: Header,
    payload: &[&[u8]],
) {
    if placed.pad > 0 {
        *seq += 1;
        write_pad(bytes, head, placed.pad, *seq, header.stamp);
    }
    *seq += 1;
    let offset = placed.position & (bytes.capacity() - 1);
    let mut at = offset + HEADER_SIZE as u64;
    for piece in payload {
        bytes.write_bytes(at, piece);
        at += piece.len() as u64;
    }
    bytes.write_header(offset, &Header { seq: *seq, ..header });
}

/// Whether a header's length, written by a peer, is possible for a record at `position` of which
/// bytes below `limit` are published.
#[must_use]
pub const fn length_is_possible(header: &Header, position: u64, limit: u64, capacity: u64) -> bool {
    let len = header.len as u64;
    let offset = position & (capacity - 1);
    let longest =
        if header.kind == RecordKind::Pad as u8 { capacity } else { max_record(capacity) };
    len >= HEADER_SIZE as u64
        && len <= longest
        && offset + aligned(len) <= capacity
        && position + aligned(len) <= limit
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_is_contiguous_aligned_and_behind_the_head(
            head in (0u64..1 << 40).prop_map(|p| p * 64), len in 64u64..=16384,
        ) {
            let capacity = 65_536;
            let placed = place(head, len, capacity);
            prop_assert!(placed.position >= head);
            prop_assert_eq!(placed.position % 64, 0);
            prop_assert!(placed.end - placed.position >= len);
            let offset = placed.position & (capacity - 1);
            prop_assert!(offset + (placed.end - placed.position) <= capacity);
            prop_assert!(placed.pad == 0 || placed.position & (capacity - 1) == 0);
            prop_assert!(placed.pad == 0 || placed.pad >= 64);
        }

        #[test]
        fn no_length_reaches_outside_the_ring(
            len in any::<u32>(),
            kind in any::<u8>(),
            position in (0u64..1 << 20).prop_map(|p| p * 64),
            ahead in 0u64..=65_536,
        ) {
            let header = Header { len, kind, ..Header::default() };
            if length_is_possible(&header, position, position + ahead, 65_536) {
                prop_assert!(u64::from(len) >= 64);
                prop_assert!((position & 65_535) + u64::from(len) <= 65_536);
                prop_assert!(aligned(u64::from(len)) <= ahead);
            }
        }
    }
}
