//! Where things lie in the memory files (protocol §2). Sizes and a protocol number stand in the
//! `down` header, so that a worker of another build is refused with a clear error instead of
//! reading nonsense (decision 20).

use crate::ring;
use crate::words::{DownWords, ProcessWords, UpWords};
use std::mem::size_of;

/// First word of a `down` file: "OSTLERdn".
pub const DOWN_MAGIC: u64 = u64::from_le_bytes(*b"OSTLERdn");
/// First word of the board: "OSTLERbd".
pub const BOARD_MAGIC: u64 = u64::from_le_bytes(*b"OSTLERbd");
/// First word of the commons: "OSTLERco".
pub const COMMONS_MAGIC: u64 = u64::from_le_bytes(*b"OSTLERco");
/// First word of a black box: "OSTLERbx".
pub const BLACK_BOX_MAGIC: u64 = u64::from_le_bytes(*b"OSTLERbx");
/// First word of a roster: "OSTLERro".
pub const ROSTER_MAGIC: u64 = u64::from_le_bytes(*b"OSTLERro");
/// Number of this protocol; changed with every change of layout or meaning.
pub const PROTOCOL: u64 = 22;
/// Bytes of a page; every ring begins on one.
pub const PAGE: u64 = 4096;
/// Least bytes of a lane's ring for answers (`ctl`).
pub const ANSWERS_SIZE_MIN: u64 = 16 * 1024;
/// Most bytes of it: what finds no room waits in the reactor.
pub const ANSWERS_SIZE_MAX: u64 = 64 * 1024;
/// Smallest lane ring, bytes.
pub const LANE_SIZE_MIN: u64 = 64 * 1024;
/// Largest lane ring, bytes: positions inside a record header are 32 bits wide, and nothing was
/// gained above 4 MiB.
pub const LANE_SIZE_MAX: u64 = 16 * 1024 * 1024;

/// The sizes that fix a worker's memory files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of reactors, so of lanes.
    pub reactors: usize,
    /// Bytes of each package ring and of each out ring; a power of two.
    pub lane_size: u64,
}

const fn round_up(value: u64, to: u64) -> u64 {
    value.div_ceil(to) * to
}

impl Sizes {
    /// Whether these sizes are possible.
    #[must_use]
    pub const fn are_valid(&self) -> bool {
        self.reactors >= 1
            && self.reactors <= crate::sessions::REACTORS_MAX
            && self.lane_size.is_power_of_two()
            && self.lane_size >= LANE_SIZE_MIN
            && self.lane_size <= LANE_SIZE_MAX
    }

    /// Bytes of each ring for answers: an eighth of a ring for packages, within its limits.
    #[must_use]
    pub const fn answers_size(&self) -> u64 {
        match self.lane_size / 8 {
            size if size < ANSWERS_SIZE_MIN => ANSWERS_SIZE_MIN,
            size if size > ANSWERS_SIZE_MAX => ANSWERS_SIZE_MAX,
            size => size,
        }
    }

    const fn down_rings_at(&self) -> u64 {
        PAGE + round_up(self.reactors as u64 * size_of::<DownWords>() as u64, PAGE)
    }

    /// Offset of a lane's words in the `down` file.
    #[must_use]
    pub const fn down_words_at(&self, reactor: usize) -> u64 {
        PAGE + (reactor * size_of::<DownWords>()) as u64
    }

    /// Offset of a lane's package ring in the `down` file.
    #[must_use]
    pub const fn package_ring_at(&self, reactor: usize) -> u64 {
        self.down_rings_at() + reactor as u64 * (self.lane_size + self.answers_size())
    }

    /// Offset of a lane's ring for answers in the `down` file.
    #[must_use]
    pub const fn answers_ring_at(&self, reactor: usize) -> u64 {
        self.package_ring_at(reactor) + self.lane_size
    }

    /// Bytes of the `down` file.
    #[must_use]
    pub const fn down_len(&self) -> u64 {
        self.package_ring_at(self.reactors)
    }

    /// Offset of the process words in the `up` file.
    #[must_use]
    pub const fn process_words_at(&self) -> u64 {
        0
    }

    /// Offset of a lane's words in the `up` file.
    #[must_use]
    pub const fn up_words_at(&self, reactor: usize) -> u64 {
        PAGE + (reactor * size_of::<UpWords>()) as u64
    }

    /// Offset of a lane's out ring in the `up` file.
    #[must_use]
    pub const fn out_ring_at(&self, reactor: usize) -> u64 {
        PAGE + round_up(self.reactors as u64 * size_of::<UpWords>() as u64, PAGE)
            + reactor as u64 * self.lane_size
    }

    /// Bytes of the `up` file.
    #[must_use]
    pub const fn up_len(&self) -> u64 {
        self.out_ring_at(self.reactors)
    }

    /// The longest payload of an answer's record.
    #[must_use]
    pub const fn answer_payload_max(&self) -> usize {
        ring::max_record(self.answers_size()) as usize - crate::record::HEADER_SIZE
    }

    /// The longest payload of one record.
    #[must_use]
    pub const fn payload_max(&self) -> usize {
        ring::max_record(self.lane_size) as usize - crate::record::HEADER_SIZE
    }
}

const _: () = assert!(size_of::<ProcessWords>() as u64 <= PAGE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps() {
        for reactors in [1, 2, 7, 64] {
            let sizes = Sizes { reactors, lane_size: LANE_SIZE_MIN };
            assert!(sizes.are_valid());
            assert!(sizes.down_words_at(reactors) <= sizes.package_ring_at(0));
            assert!(sizes.up_words_at(reactors) <= sizes.out_ring_at(0));
            for reactor in 0..reactors {
                assert_eq!(sizes.package_ring_at(reactor) % PAGE, 0);
                assert_eq!(sizes.out_ring_at(reactor) % PAGE, 0);
                assert!(
                    sizes.answers_ring_at(reactor) + sizes.answers_size()
                        <= sizes.package_ring_at(reactor + 1)
                );
            }
        }
    }
}
