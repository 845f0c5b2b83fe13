//! Packages whose header says how long they are.

use super::stated_length::StatedLength;
use super::{Frame, Framing, FramingError};

/// The largest offset of the field, and of the body, in bytes: as far as the reference allows, so
/// that a header fits into one page with what precedes it.
pub const MAX_HEADER_OFFSET: u32 = 8_152;

/// How the length is written: the pack letters of PHP and Perl (option `package_length_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LengthType {
    /// `c`: signed, 1 byte.
    I8,
    /// `C`: unsigned, 1 byte.
    U8,
    /// `s`: signed, 2 bytes, byte order of the machine.
    I16,
    /// `S`: unsigned, 2 bytes, byte order of the machine.
    U16,
    /// `n`: unsigned, 2 bytes, network byte order.
    U16Big,
    /// `v`: unsigned, 2 bytes, little endian.
    U16Little,
    /// `l`: signed, 4 bytes, byte order of the machine.
    I32,
    /// `L`: unsigned, 4 bytes, byte order of the machine.
    U32,
    /// `N`: unsigned, 4 bytes, network byte order.
    U32Big,
    /// `V`: unsigned, 4 bytes, little endian.
    U32Little,
    /// `q`: signed, 8 bytes, byte order of the machine.
    I64,
    /// `Q`: unsigned, 8 bytes, byte order of the machine.
    U64,
    /// `J`: unsigned, 8 bytes, network byte order.
    U64Big,
    /// `P`: unsigned, 8 bytes, little endian.
    U64Little,
}

/// Each type with its letter.
const LETTERS: [(char, LengthType); 14] = [
    ('c', LengthType::I8),
    ('C', LengthType::U8),
    ('s', LengthType::I16),
    ('S', LengthType::U16),
    ('n', LengthType::U16Big),
    ('v', LengthType::U16Little),
    ('l', LengthType::I32),
    ('L', LengthType::U32),
    ('N', LengthType::U32Big),
    ('V', LengthType::U32Little),
    ('q', LengthType::I64),
    ('Q', LengthType::U64),
    ('J', LengthType::U64Big),
    ('P', LengthType::U64Little),
];

impl LengthType {
    /// The type with this pack letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, length_type)| *length_type)
    }

    /// Its pack letter.
    #[must_use]
    pub fn letter(self) -> char {
        LETTERS.iter().find(|(_, known)| *known == self).map_or('N', |(letter, _)| *letter)
    }

    /// How many bytes the field has: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size(self) -> u32 {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::U16Big | Self::U16Little => 2,
            Self::I32 | Self::U32 | Self::U32Big | Self::U32Little => 4,
            Self::I64 | Self::U64 | Self::U64Big | Self::U64Little => 8,
        }
    }

    /// The value of the field at the front of `bytes`. `Ok(None)` when it is not there in full.
    ///
    /// # Errors
    /// When the value is negative: no package has such a length.
    fn read(self, bytes: &[u8]) -> Result<Option<u64>, Negative> {
        macro_rules! read {
            ($number:ty, $from:ident) => {
                bytes.first_chunk().map(|field| <$number>::$from(*field))
            };
        }
        let signed = |value: Option<i64>| {
            value.map(|value| u64::try_from(value).map_err(|_| Negative)).transpose()
        };
        match self {
            Self::I8 => signed(read!(i8, from_ne_bytes).map(i64::from)),
            Self::I16 => signed(read!(i16, from_ne_bytes).map(i64::from)),
            Self::I32 => signed(read!(i32, from_ne_bytes).map(i64::from)),
            Self::I64 => signed(read!(i64, from_ne_bytes)),
            Self::U8 => Ok(read!(u8, from_ne_bytes).map(u64::from)),
            Self::U16 => Ok(read!(u16, from_ne_bytes).map(u64::from)),
            Self::U16Big => Ok(read!(u16, from_be_bytes).map(u64::from)),
            Self::U16Little => Ok(read!(u16, from_le_bytes).map(u64::from)),
            Self::U32 => Ok(read!(u32, from_ne_bytes).map(u64::from)),
            Self::U32Big => Ok(read!(u32, from_be_bytes).map(u64::from)),
            Self::U32Little => Ok(read!(u32, from_le_bytes).map(u64::from)),
            Self::U64 => Ok(read!(u64, from_ne_bytes)),
            Self::U64Big => Ok(read!(u64, from_be_bytes)),
            Self::U64Little => Ok(read!(u64, from_le_bytes)),
        }
    }
}

/// The field holds a number below zero.
#[derive(Clone, Copy, Debug)]
struct Negative;

/// Reads the length of a package from a field in its header (settings `open_length_check` and
/// `package_length_type` of the reference, S37).
///
/// The package has `field + body_offset` bytes from the beginning of the header: with
/// `body_offset` 0 the field counts everything, with the size of the header it counts the body.
#[derive(Clone, Copy, Debug)]
pub struct LengthField {
    length_type: LengthType,
    length_offset: u16,
    body_offset: u16,
    max_length: u32,
    length: StatedLength,
}

impl LengthField {
    /// The field of this type stands `length_offset` bytes behind the beginning of the package.
    ///
    /// # Errors
    /// [`FramingError::OffsetTooLarge`] for an offset above [`MAX_HEADER_OFFSET`], and
    /// [`FramingError::MaxLengthTooSmall`] if a package of `max_length` bytes cannot hold the
    /// field.
    pub fn new(
        length_type: LengthType,
        length_offset: u32,
        body_offset: u32,
        max_length: u32,
    ) -> Result<Self, FramingError> {
        let checked = |offset: u32| match u16::try_from(offset) {
            Ok(small) if offset <= MAX_HEADER_OFFSET => Ok(small),
            _ => Err(FramingError::OffsetTooLarge { offset }),
        };
        let (length_offset, body_offset) = (checked(length_offset)?, checked(body_offset)?);
        let needed = u32::from(length_offset) + length_type.size();
        let needed = needed.max(u32::from(body_offset));
        if max_length < needed {
            return Err(FramingError::MaxLengthTooSmall { max_length, needed });
        }
        Ok(Self {
            length_type,
            length_offset,
            body_offset,
            max_length,
            length: StatedLength::new(),
        })
    }

    /// The length that the header states.
    fn stated(&self, buffered: &[u8]) -> Result<u32, Frame> {
        let field = buffered.get(usize::from(self.length_offset)..).unwrap_or_default();
        let value = match self.length_type.read(field) {
            Ok(Some(value)) => value,
            Ok(None) => return Err(Frame::NeedMore),
            Err(Negative) => return Err(Frame::Malformed),
        };
        let total = value.saturating_add(u64::from(self.body_offset));
        let shortest = u64::from(self.length_offset) + u64::from(self.length_type.size());
        if total < shortest {
            // The package would end before the field that states its end.
            return Err(Frame::Malformed);
        }
        u32::try_from(total).ok().filter(|total| *total <= self.max_length).ok_or(Frame::TooLong)
    }
}

impl Framing for LengthField {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        let mut length = self.length;
        let frame = length.frame(buffered.len(), || self.stated(buffered));
        self.length = length;
        frame
    }

    fn max_length(&self) -> usize {
        usize::try_from(self.max_length).unwrap_or(usize::MAX)
    }
}
