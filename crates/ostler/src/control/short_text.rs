//! A short text of fixed size: what a control message can carry of an error.

use std::fmt;

use super::wire::Malformed;

/// Bytes of a text at most; a longer one is cut. With its length it fills what a message has room
/// for.
pub(crate) const SHORT_TEXT_BYTES: usize = 119;

/// A text for the log and for error messages: valid UTF-8 on one line, whoever sent it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortText {
    len: u8,
    bytes: [u8; SHORT_TEXT_BYTES],
}

impl ShortText {
    /// The text, cut where it does not fit; control characters become spaces.
    pub(crate) fn new(text: &str) -> Self {
        let mut short = Self { len: 0, bytes: [0; SHORT_TEXT_BYTES] };
        for character in text.chars() {
            let character = if character.is_control() { ' ' } else { character };
            let from = usize::from(short.len);
            let Some(room) = short.bytes.get_mut(from..from + character.len_utf8()) else { break };
            // Below 256: the whole array is.
            short.len += character.encode_utf8(room).len() as u8;
        }
        short
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or(&[]);
        std::str::from_utf8(bytes).unwrap_or("")
    }

    /// Length and bytes, as they travel.
    pub(super) const fn to_wire(self) -> (u8, [u8; SHORT_TEXT_BYTES]) {
        (self.len, self.bytes)
    }

    /// Only what [`ShortText::new`] can have made.
    pub(super) fn from_wire(len: u8, bytes: [u8; SHORT_TEXT_BYTES]) -> Result<Self, Malformed> {
        let text = bytes.get(..usize::from(len)).ok_or(Malformed)?;
        let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
        let short = Self::new(text);
        if short.len == len && short.bytes == bytes { Ok(short) } else { Err(Malformed) }
    }
}

impl fmt::Display for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_stay_on_one_line() {
        assert_eq!(
            ShortText::new("no such file\nor directory").as_str(),
            "no such file or directory"
        );
        let long = "ä".repeat(100);
        assert_eq!(ShortText::new(&long).as_str(), &long[..SHORT_TEXT_BYTES - 1]);
        assert_eq!(ShortText::new("").as_str(), "");
    }

    #[test]
    fn nothing_else_comes_over_the_wire() {
        let (len, bytes) = ShortText::new("fine").to_wire();
        assert!(ShortText::from_wire(len, bytes).is_ok());
        assert_eq!(ShortText::from_wire(len + 1, bytes), Err(Malformed), "a zero byte");
        assert_eq!(ShortText::from_wire(len - 1, bytes), Err(Malformed), "more than its length");
        assert_eq!(ShortText::from_wire(200, bytes), Err(Malformed), "longer than a text can be");
        assert_eq!(ShortText::from_wire(1, [0xFF; SHORT_TEXT_BYTES]), Err(Malformed), "no UTF-8");
    }
}
