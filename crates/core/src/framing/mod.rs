//! Package framing: where one message of a byte stream ends and the next begins.
//!
//! **Responsible for:** finding package boundaries incrementally, each byte looked at once however
//! the stream is cut into reads, and for saying when a package is too long.
//!
//! **Must never:** own or copy payload, allocate per connection, or panic on any input: every byte
//! comes from a client.
//!
//! A port keeps one [`Framer`] made from its [`FramingConfig`]; every connection takes a copy. A
//! further framing is a file with its state, a variant of [`Framer`] and one of [`FramingConfig`].

mod config;
mod delimiter;
mod eof_at_end;
mod eof_split;
mod length_field;
mod mqtt;
mod next_bytes;
mod raw;
mod resp;
mod search;
mod stated_length;
mod stream;
#[cfg(test)]
mod tests;

pub use config::{FramingConfig, FramingError, MAX_EOF_LENGTH};
pub use eof_at_end::EofAtEnd;
pub use eof_split::EofSplit;
pub use length_field::{LengthField, LengthType, MAX_HEADER_OFFSET};
pub use mqtt::Mqtt;
pub use next_bytes::{NextBytes, STATED_GROWTH_MAX, STATED_REST_MIN};
pub use raw::Raw;
pub use resp::Resp;
pub use stream::Stream;

/// What is at the front of the buffered bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first `len` bytes (1 or more, never more than are buffered) are one package.
    Package {
        /// Length in bytes, delimiter or header included.
        len: usize,
    },
    /// The package is not complete: ask again when more bytes have arrived.
    NeedMore,
    /// The package is not complete, and its header says that it has at least `len` bytes, more than
    /// are buffered: whoever receives can make room for all of them at once.
    Incomplete {
        /// Length in bytes from the front, at most [`Framing::max_length`].
        len: usize,
    },
    /// The bytes are not what the framing describes: the connection is to be closed, because no
    /// later boundary can be trusted. Final, as [`Frame::TooLong`].
    Malformed,
    /// The package is, or will be, longer than the framing allows: the connection is to be
    /// closed. Final: the answer stays the same however much arrives.
    TooLong,
}

/// Finds packages in the byte stream of one connection.
pub trait Framing {
    /// Judges the bytes at the front of the stream.
    ///
    /// `buffered` is everything received and not yet consumed. The caller keeps two rules, for what
    /// was looked at is not looked at again: after [`Frame::NeedMore`] or
    /// [`Frame::Incomplete`] the next call brings the
    /// same bytes, with or without more behind them; after [`Frame::Package`] it brings what
    /// follows those `len` bytes. Breaking them yields wrong boundaries, never a panic.
    fn next(&mut self, buffered: &[u8]) -> Frame;

    /// The longest possible package in bytes. Buffering more than this for one package is never of
    /// use: with that many bytes the answer is not [`Frame::NeedMore`].
    fn max_length(&self) -> usize;
}

/// Any framing, for one connection: the configuration and how far its stream was searched. Kept at
/// 24 bytes, because every idle connection holds one.
#[derive(Clone, Copy, Debug)]
pub enum Framer {
    /// See [`Raw`].
    Raw(Raw),
    /// See [`EofAtEnd`].
    EofAtEnd(EofAtEnd),
    /// See [`EofSplit`].
    EofSplit(EofSplit),
    /// See [`LengthField`].
    LengthField(LengthField),
    /// See [`Mqtt`].
    Mqtt(Mqtt),
    /// See [`Resp`].
    Resp(Resp),
    /// See [`Stream`].
    Stream(Stream),
}

impl Framer {
    /// Makes a framer; done once per port, connections copy it.
    ///
    /// # Errors
    /// As the `new` of the framing that the configuration names.
    pub fn new(config: &FramingConfig) -> Result<Self, FramingError> {
        Ok(match config {
            FramingConfig::Raw { max_length } => Self::Raw(Raw::new(*max_length)?),
            FramingConfig::EofSplit { eof, max_length } => {
                Self::EofSplit(EofSplit::new(eof, *max_length)?)
            }
            FramingConfig::EofAtEnd { eof, max_length } => {
                Self::EofAtEnd(EofAtEnd::new(eof, *max_length)?)
            }
            FramingConfig::LengthField { length_type, length_offset, body_offset, max_length } => {
                Self::LengthField(LengthField::new(
                    *length_type,
                    *length_offset,
                    *body_offset,
                    *max_length,
                )?)
            }
            FramingConfig::Mqtt { max_length } => Self::Mqtt(Mqtt::new(*max_length)?),
            FramingConfig::Resp { max_length } => Self::Resp(Resp::new(*max_length)?),
            FramingConfig::Stream { max_length } => Self::Stream(Stream::new(*max_length)?),
        })
    }

    /// A worker has used only the first `used` bytes of the last package; the `rest` is at the
    /// front of the buffer again. Happens with [`Framer::Stream`] only.
    pub fn put_back(&mut self, used: usize, rest: usize) {
        if let Self::Stream(stream) = self {
            stream.put_back(used, rest);
        }
    }
}

/// The framing inside a [`Framer`], whichever it is.
macro_rules! each {
    ($framer:expr, $framing:ident => $answer:expr) => {
        match $framer {
            Framer::Raw($framing) => $answer,
            Framer::EofAtEnd($framing) => $answer,
            Framer::EofSplit($framing) => $answer,
            Framer::LengthField($framing) => $answer,
            Framer::Mqtt($framing) => $answer,
            Framer::Resp($framing) => $answer,
            Framer::Stream($framing) => $answer,
        }
    };
}

impl Framing for Framer {
    fn next(&mut self, buffered: &[u8]) -> Frame {
        each!(self, framing => framing.next(buffered))
    }

    fn max_length(&self) -> usize {
        each!(self, framing => framing.max_length())
    }
}
