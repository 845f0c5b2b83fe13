//! What a client is told that is refused.

use super::choices::none_of;
use super::delimiter::{escape, unescape};
use super::info::Kind;
use super::setting::{Problem, Setting};

/// What a client sees that the server refuses to serve: because too many wait, or for too long, or
/// because no worker has served for too long.
///
/// ```
/// use ostler::{Refusal, Server};
/// use std::time::Duration;
///
/// let server = Server::builder()
///     .queue_wait_max(Duration::from_secs(2))
///     .refusal(Refusal::Answer(b"-BUSY try again later\r\n".to_vec()));
/// # let _ = server;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The connection ends in good order.
    Close,
    /// The connection ends with a TCP reset.
    Reset,
    /// These bytes, then the connection ends in good order.
    Answer(Vec<u8>),
    /// These bytes, for each package that is refused; the connection stays. For framings with
    /// boundaries.
    AnswerAndStay(Vec<u8>),
}

const WORDS: &[&str] = &["close", "reset", "bytes:ANSWER", "answer:ANSWER"];
const PREFIX: &str = "bytes:";
const STAYS_PREFIX: &str = "answer:";

impl Setting for Refusal {
    fn parse(kind: Kind, text: &str) -> Result<Self, Problem> {
        let Kind::Refusal { bytes_max } = kind else {
            return Err(
                "the table gives this option no refusal; this is a bug in Ostler".to_owned()
            );
        };
        for (prefix, stays) in [(PREFIX, false), (STAYS_PREFIX, true)] {
            let Some(answer) = text.trim_start().strip_prefix(prefix) else { continue };
            let bytes = unescape(answer)?;
            return match bytes.len() {
                0 => Err(format!("it needs an answer behind `{prefix}`, or `close`")),
                len if len > bytes_max => Err(format!(
                    "an answer of {len} bytes is longer than {bytes_max}; shorten it, or close"
                )),
                _ if stays => Ok(Self::AnswerAndStay(bytes)),
                _ => Ok(Self::Answer(bytes)),
            };
        }
        match text.trim().to_ascii_lowercase().as_str() {
            "close" => Ok(Self::Close),
            "reset" => Ok(Self::Reset),
            other => Err(none_of(WORDS, other)),
        }
    }

    fn render(&self) -> String {
        match self {
            Self::Close => "close".to_owned(),
            Self::Reset => "reset".to_owned(),
            Self::Answer(bytes) => format!("{PREFIX}{}", escape(bytes)),
            Self::AnswerAndStay(bytes) => format!("{STAYS_PREFIX}{}", escape(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind::Refusal { bytes_max: 8 };

    #[test]
    fn options_refusal_reads_its_forms_and_writes_them_back() {
        let answer = || b"-BUSY\r\n".to_vec();
        for (text, refusal) in [
            ("close", Refusal::Close),
            (" Reset", Refusal::Reset),
            (r"bytes:-BUSY\r\n", Refusal::Answer(answer())),
            (r"answer:-BUSY\r\n", Refusal::AnswerAndStay(answer())),
        ] {
            assert_eq!(Refusal::parse(KIND, text).as_ref(), Ok(&refusal));
            assert_eq!(Refusal::parse(KIND, &refusal.render()), Ok(refusal));
        }
    }

    #[test]
    fn options_refusal_says_what_is_wrong() {
        let problem = |text| Refusal::parse(KIND, text).unwrap_err();
        assert!(problem("clsoe").contains("did you mean `close`"));
        assert!(problem("bytes:").contains("needs an answer"));
        assert!(problem("bytes:123456789").contains("9 bytes is longer than 8"));
        assert!(problem(r"bytes:\q").contains("backslash"));
    }
}
