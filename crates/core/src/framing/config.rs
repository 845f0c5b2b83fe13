//! The framing of a port, as the user states it.

use std::fmt;

use super::length_field::{LengthType, MAX_HEADER_OFFSET};

/// The longest delimiter in bytes (option `package_eof`).
pub const MAX_EOF_LENGTH: usize = 8;

/// The framing of a port: exactly one. Plain data; [`super::Framer::new`] checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FramingConfig {
    /// No framing: what one read brings is a package.
    Raw {
        /// Longest package in bytes, at least 1.
        max_length: u32,
    },
    /// A delimiter ends each package and is part of it (option `package_eof`).
    EofSplit {
        /// The delimiter, 1 to [`MAX_EOF_LENGTH`] bytes.
        eof: Vec<u8>,
        /// Longest package in bytes, delimiter included; at least as long as the delimiter
        /// (option `package_max_length`).
        max_length: u32,
    },
    /// Everything received is a package as soon as it ends with the delimiter.
    EofAtEnd {
        /// The delimiter, 1 to [`MAX_EOF_LENGTH`] bytes.
        eof: Vec<u8>,
        /// Longest package in bytes, delimiter included; at least as long as the delimiter.
        max_length: u32,
    },
    /// A field in the header states the length.
    LengthField {
        /// How the field is written.
        length_type: LengthType,
        /// Bytes before the field, at most [`MAX_HEADER_OFFSET`].
        length_offset: u32,
        /// What is added to the field for the length of the whole package, at most
        /// [`MAX_HEADER_OFFSET`].
        body_offset: u32,
        /// Longest package in bytes, header included; at least as long as the header.
        max_length: u32,
    },
    /// MQTT control packets.
    Mqtt {
        /// Longest packet in bytes, fixed header included; at least 2.
        max_length: u32,
    },
    /// Values of the Redis serialization protocol.
    Resp {
        /// Longest value in bytes, headers included; at least 3.
        max_length: u32,
    },
    /// No framing either, but the worker says how much of a package it has used, and gets the rest
    /// again.
    Stream {
        /// Longest package in bytes, at least 1; also what a worker that uses nothing is given at
        /// most.
        max_length: u32,
    },
}

/// Why a [`FramingConfig`] is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramingError {
    /// The delimiter is empty: it would end a package everywhere.
    EofEmpty,
    /// The delimiter is longer than [`MAX_EOF_LENGTH`] bytes.
    EofTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The length field, or the body, stands too far behind the beginning of the package.
    OffsetTooLarge {
        /// The offset in bytes.
        offset: u32,
    },
    /// No package fits: the limit is below the shortest package.
    MaxLengthTooSmall {
        /// The limit that was set, in bytes.
        max_length: u32,
        /// The shortest package, in bytes.
        needed: u32,
    },
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EofEmpty => f.write_str("the package delimiter is empty"),
            Self::EofTooLong { length } => {
                write!(f, "the package delimiter has {length} bytes, at most {MAX_EOF_LENGTH} fit")
            }
            Self::OffsetTooLarge { offset } => {
                write!(f, "an offset of {offset} bytes is above {MAX_HEADER_OFFSET}")
            }
            Self::MaxLengthTooSmall { max_length, needed } => {
                write!(f, "the package limit of {max_length} bytes is below {needed} bytes")
            }
        }
    }
}

impl std::error::Error for FramingError {}
