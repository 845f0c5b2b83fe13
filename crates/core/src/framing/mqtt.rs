//! MQTT control packets.

use super::stated_length::StatedLength;
use super::{Frame, Framing, FramingError};

/// A remaining length has at most so many bytes (MQTT 5.0, 1.5.5; MQTT 3.1.1, 2.2.3).
const LENGTH_BYTES_MAX: usize = 4;

/// The shortest packet: its type and a remaining length of zero, as PINGREQ.
const SHORTEST: u32 = 2;

/// Packages are MQTT control packets: a byte with the type, the *remaining length* of one to four
/// bytes of seven bits each, and as many bytes as that says (MQTT 3.1.1, 2.2; the same in 5.0).
///
/// Type 0 is forbidden by all versions, and with it what other protocols begin with a zero byte;
/// everything behind the fixed header is for the handler to judge.
#[derive(Clone, Copy, Debug)]
pub struct Mqtt {
    max_length: u32,
    length: StatedLength,
}

impl Mqtt {
    /// Packets of at most `max_length` bytes, fixed header included.
    ///
    /// # Errors
    /// [`FramingError::MaxLengthTooSmall`] if `max_length` is below 2.
    pub const fn new(max_length: u32) -> Result<Self, FramingError> {
        if max_length < SHORTEST {
            return Err(FramingError::MaxLengthTooSmall { max_length, needed: SHORTEST });
        }
        Ok(Self { max_length, length: StatedLength::new() })
    }

    /// The length that the fixed header states.
    fn stated(&self, buffered: &[u8]) -> Result<u32, Frame> {
        let (first, rest) = buffered.split_first().ok_or(Frame::NeedMore)?;
        if first >> 4 == 0 {
            return Err(Frame::Malformed);
        }
        let mut remaining = 0_u32;
        for (index, byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
            remaining |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let header = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(SHORTEST);
                let total = remaining.saturating_add(header);
                return if total <= self.max_length { Ok(total) } else { Err(Frame::TooLong) };
            }
        }
        Err(match rest.len() {
            0..LENGTH_BYTES_MAX if buffered.len() < self.max_length() => Frame::NeedMore,
            0..LENGTH_BYTES_MAX => Frame::TooLong,
            _ => Frame::Malformed,
        })
    }
}

impl Framing for Mqtt {
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
