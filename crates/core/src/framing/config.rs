//! The framing of a port, as the user states it.

use std::fmt;

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
            Self::MaxLengthTooSmall { max_length, needed } => {
                write!(f, "the package limit of {max_length} bytes is below {needed} bytes")
            }
        }
    }
}

impl std::error::Error for FramingError {}
