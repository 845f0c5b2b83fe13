//! The end of a package: a few bytes, written as text with escapes.

use std::fmt::Write as _;

use super::info::Kind;
use super::setting::{Problem, Setting};

impl Setting for Vec<u8> {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        let Kind::Delimiter { bytes_max } = kind else {
            return Err(
                "the table gives this option no delimiter; this is a bug in Ostler".to_owned()
            );
        };
        let bytes = unescape(text)?;
        match bytes.len() {
            0 => Err(r"it needs at least one byte, for example `\n`".to_owned()),
            len if len > bytes_max => {
                let nearest = escape(bytes.get(..bytes_max).unwrap_or_default());
                Err(format!(
                    "{len} bytes are more than {bytes_max}; the nearest valid value is {nearest}"
                ))
            }
            _ => Ok(bytes),
        }
    }

    fn render(&self) -> String {
        escape(self)
    }
}

pub(super) fn unescape(text: &str) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let byte = match rest.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => hex(rest.next(), rest.next())?,
            _ => return Err(r"a backslash starts one of \r \n \t \0 \\ \xNN".to_owned()),
        };
        bytes.push(byte);
    }
    Ok(bytes)
}

fn hex(high: Option<char>, low: Option<char>) -> Result<u8, Problem> {
    let digit = |c: Option<char>| c.and_then(|c| c.to_digit(16)).and_then(|d| u8::try_from(d).ok());
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(r"two hexadecimal digits follow \x, for example \x1e".to_owned()),
    }
}

pub(super) fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\r' => text.push_str(r"\r"),
            b'\n' => text.push_str(r"\n"),
            b'\t' => text.push_str(r"\t"),
            0 => text.push_str(r"\0"),
            b'\\' => text.push_str(r"\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing into a String cannot fail.
            _ => drop(write!(text, r"\x{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: Kind = Kind::Delimiter { bytes_max: 8 };

    #[test]
    fn options_delimiter_reads_every_escape() {
        let bytes = Vec::<u8>::parse(KIND, r"\r\n\t\0\\\x1eA").unwrap();
        assert_eq!(bytes, b"\r\n\t\0\\\x1eA");
        assert_eq!(
            Vec::<u8>::parse(KIND, "\r\n").unwrap(),
            b"\r\n",
            "real control characters count too"
        );
        assert_eq!(Vec::<u8>::parse(KIND, "é").unwrap(), [0xc3, 0xa9]);
    }

    #[test]
    fn options_delimiter_refuses_what_it_cannot_mean() {
        for bad in ["", r"\q", r"\", r"\x1", r"\xzz", "123456789"] {
            assert!(Vec::<u8>::parse(KIND, bad).is_err(), "{bad}");
        }
        let problem = Vec::<u8>::parse(KIND, "123456789").unwrap_err();
        assert!(problem.ends_with("nearest valid value is 12345678"), "{problem}");
    }

    proptest! {
        #[test]
        fn options_delimiter_survives_writing_and_reading(
            bytes in prop::collection::vec(any::<u8>(), 1..=8)
        ) {
            prop_assert_eq!(Vec::<u8>::parse(KIND, &bytes.render()).unwrap(), bytes);
        }
    }
}
