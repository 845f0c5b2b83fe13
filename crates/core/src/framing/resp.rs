//! The Redis serialization protocol.

use super::search::find_byte;
use super::{Frame, Framing, FramingError};

/// The shortest value: `_\r\n`.
const SHORTEST: u32 = 3;

/// A line that only holds a number is never longer: a sign, 20 digits, `\r\n` and the type.
const NUMBER_LINE_MAX: usize = 24;

/// Packages are values of the Redis serialization protocol, versions 2 and 3: what a client sends
/// is an array of bulk strings, and an *inline command*, a line that begins with no type's byte, is
/// a package as well.
///
/// A package is one whole value with everything in it, its headers included. What is no value is
/// [`Frame::Malformed`]; what would become longer than `max_length` is [`Frame::TooLong`] as soon
/// as a header says so. Streamed strings and aggregates (`$?`, `*?`) are not part of the protocol
/// that servers speak, and malformed here.
#[derive(Clone, Copy, Debug)]
pub struct Resp {
    max_length: u32,
    /// Everything before this place of the current package is complete; it may lie behind what is
    /// buffered, where a string is still to come.
    place: u32,
    /// No end of a line before this place.
    searched: u32,
    /// Values that the current package still lacks; 0 when none has begun.
    missing: u32,
}

/// What a line says of the bytes behind it.
enum Line {
    /// The value is complete with the line.
    Value,
    /// So many bytes and an end of line follow.
    Bulk(u32),
    /// So many values follow.
    Values(u32),
    /// So many values follow, and then the one that they belong to.
    Attributes(u32),
}

impl Resp {
    /// Values of at most `max_length` bytes, headers included.
    ///
    /// # Errors
    /// [`FramingError::MaxLengthTooSmall`] if `max_length` is below 3.
    pub const fn new(max_length: u32) -> Result<Self, FramingError> {
        if max_length < SHORTEST {
            return Err(FramingError::MaxLengthTooSmall { max_length, needed: SHORTEST });
        }
        Ok(Self { max_length, place: 0, searched: 0, missing: 0 })
    }

    /// Takes one line, and the string that it announces, off the current package.
    fn advance(&mut self, buffered: &[u8]) -> Result<(), Frame> {
        let begin = index(self.place);
        let ended = begin == 0 || buffered.get(begin - 2..begin) == Some(b"\r\n");
        if !ended {
            return Err(Frame::Malformed);
        }
        let rest = buffered.get(begin..).unwrap_or_default();
        let first = *rest.first().ok_or(Frame::NeedMore)?;
        let is_inline = self.missing == 0 && !is_type(first);
        let end = self.line_end(buffered)?;
        self.missing = self.missing.max(1) - 1;
        if is_inline {
            return self.move_to(end);
        }
        let line = buffered.get(begin + 1..index(end)).and_then(|line| line.strip_suffix(b"\r\n"));
        let after = match parse(first, line.ok_or(Frame::Malformed)?)? {
            Line::Value => end,
            Line::Bulk(bytes) => end.saturating_add(bytes).saturating_add(2),
            Line::Values(count) => {
                self.missing = self.missing.saturating_add(count);
                end
            }
            Line::Attributes(count) => {
                self.missing = self.missing.saturating_add(count).saturating_add(1);
                end
            }
        };
        self.move_to(after)
    }

    /// Where the line at `place` ends, its line feed included.
    fn line_end(&mut self, buffered: &[u8]) -> Result<u32, Frame> {
        let from = index(self.searched.max(self.place));
        let window = buffered.get(..self.max_length()).unwrap_or(buffered);
        let found = find_byte(window.get(from..).unwrap_or_default(), b'\n');
        let rest = window.get(index(self.place)..).unwrap_or_default();
        let has_number = rest.first().is_some_and(|first| is_number(*first));
        if let Some(found) = found {
            let end = from + found + 1;
            // Zeros in front do not make it longer than it may be: whether the line had come whole
            // must not matter.
            let is_long = end - index(self.place) > NUMBER_LINE_MAX;
            return if has_number && is_long { Err(Frame::Malformed) } else { Ok(narrow(end)) };
        }
        if has_number && rest.len() >= NUMBER_LINE_MAX {
            return Err(Frame::Malformed);
        }
        self.searched = narrow(window.len());
        Err(if window.len() < self.max_length() { Frame::NeedMore } else { Frame::TooLong })
    }

    /// Everything before `place` belongs to the package; refuses what cannot fit any more.
    fn move_to(&mut self, place: u32) -> Result<(), Frame> {
        let shortest = u64::from(place) + u64::from(self.missing) * u64::from(SHORTEST);
        if shortest > u64::from(self.max_length) {
            return Err(Frame::TooLong);
        }
        self.place = place;
        Ok(())
    }
}

impl Framing for Resp {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        loop {
            let len = index(self.place);
            if len > buffered.len() {
                return Frame::Incomplete { len: len + index(self.missing * SHORTEST) };
            }
            if len > 0 && self.missing == 0 {
                let is_inline = buffered.first().is_some_and(|first| !is_type(*first));
                if !is_inline && !buffered.get(..len).is_some_and(|all| all.ends_with(b"\r\n")) {
                    return Frame::Malformed;
                }
                *self = Self { place: 0, searched: 0, missing: 0, ..*self };
                return Frame::Package { len };
            }
            // On an error nothing was changed but `searched`, so asking again answers the same.
            let before = *self;
            if let Err(frame) = self.advance(buffered) {
                *self = Self { searched: self.searched, ..before };
                return frame;
            }
        }
    }

    fn max_length(&self) -> usize {
        index(self.max_length)
    }
}

/// Whether a value may begin with this byte.
const fn is_type(byte: u8) -> bool {
    is_number(byte) || matches!(byte, b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(')
}

/// Whether a value that begins with this byte has only a number in its line.
const fn is_number(byte: u8) -> bool {
    matches!(byte, b'$' | b'*' | b'!' | b'=' | b'%' | b'~' | b'>' | b'|')
}

/// What a line says, without its first byte and its end.
fn parse(first: u8, line: &[u8]) -> Result<Line, Frame> {
    if line.contains(&b'\r') || !is_type(first) {
        return Err(Frame::Malformed);
    }
    if !is_number(first) {
        return Ok(Line::Value);
    }
    // The null string and the null array of version 2.
    if matches!(first, b'$' | b'*') && line == b"-1" {
        return Ok(Line::Value);
    }
    if line.is_empty() || !line.iter().all(u8::is_ascii_digit) {
        return Err(Frame::Malformed);
    }
    // All digits: what does not fit is too long for every limit.
    let text = std::str::from_utf8(line).map_err(|_| Frame::Malformed)?;
    let number = text.parse::<u32>().map_err(|_| Frame::TooLong)?;
    Ok(match first {
        b'$' | b'!' | b'=' => Line::Bulk(number),
        b'%' => Line::Values(number.saturating_mul(2)),
        b'|' => Line::Attributes(number.saturating_mul(2)),
        _ => Line::Values(number),
    })
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
