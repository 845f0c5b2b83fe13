//! The numbered requests of the load: each names itself and no two are alike, so a reply can be
//! judged by its bytes.

use crate::faults::Random;

/// Mark, length, owner, number.
pub(crate) const HEADER_BYTES: usize = 24;

const MARK: [u8; 4] = *b"OSTL";

/// The requests of one connection: content and size follow from owner and number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    /// Unique among all connections of all loads.
    pub(crate) owner: u64,
    pub(crate) bytes_min: usize,
    pub(crate) bytes_max: usize,
}

/// The head of a frame as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) owner: u64,
    pub(crate) number: u64,
    pub(crate) length: usize,
}

impl Header {
    /// Reads the head; `None` when there are too few bytes or no mark.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (mark, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (owner, rest) = rest.split_first_chunk::<8>()?;
        let (number, _) = rest.split_first_chunk::<8>()?;
        (*mark == MARK).then_some(Self {
            owner: u64::from_le_bytes(*owner),
            number: u64::from_le_bytes(*number),
            length: usize::try_from(u32::from_le_bytes(*length)).ok()?,
        })
    }
}

impl Frames {
    /// The size of a request.
    pub(crate) fn length(&self, number: u64) -> usize {
        let span = self.bytes_max - self.bytes_min + 1;
        let random = Random::new(self.owner ^ number.rotate_left(32)).next_u64();
        // The remainder is below `span`, which is a usize.
        self.bytes_min + usize::try_from(random % span as u64).unwrap_or(0)
    }

    /// The whole request.
    pub(crate) fn frame(&self, number: u64) -> Vec<u8> {
        let length = self.length(number);
        let mut bytes = Vec::with_capacity(length + 8);
        bytes.extend(MARK);
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(self.owner.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        let mut filler = Random::new(self.owner.wrapping_add(number));
        while bytes.len() < length {
            bytes.extend(filler.next_u64().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_and_names_itself() {
        let frames = Frames { owner: 7, bytes_min: HEADER_BYTES, bytes_max: 100 };
        for number in 0..200 {
            let frame = frames.frame(number);
            let length = frame.len();
            assert!((HEADER_BYTES..=100).contains(&length));
            assert_eq!(Header::read(&frame), Some(Header { owner: 7, number, length }));
        }
        assert_eq!(Header::read(&frames.frame(1)[..HEADER_BYTES - 1]), None);
        assert_ne!(frames.frame(1), Frames { owner: 8, ..frames }.frame(1));
    }
}
