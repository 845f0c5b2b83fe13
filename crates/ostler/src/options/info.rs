//! What is known about one option: a row of the table.

use super::amount::Measure;
use super::setting::Access;
use super::size;

pub(super) use OptionKind as Kind;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptionKind {
    /// A whole number from `min` to `max`.
    Integer {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number of bytes from `min` to `max`, with or without a unit: `65536`, `64K`, `64MiB`,
    /// `1.5G`.
    Bytes {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// The same, or 0 (also `auto`) for automatic.
    BytesOrAutomatic {
        /// Smallest value apart from 0.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A time from `min` to `max` milliseconds, with or without a unit: `500`, `500ms`, `10s`,
    /// `1.5min`, `2h`, `1d`.
    Milliseconds {
        /// Smallest value, in milliseconds.
        min: u64,
        /// Largest value, in milliseconds.
        max: u64,
    },
    /// A time from `min` to `max` microseconds, with or without a unit: `100`, `100us`, `2ms`.
    Microseconds {
        /// Smallest value, in microseconds.
        min: u64,
        /// Largest value, in microseconds.
        max: u64,
    },
    /// A power of two from `min` to `max` bytes, or 0 (also `auto`) for automatic.
    PowerOfTwo {
        /// Smallest value apart from 0.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// `true` or `false` (also `on`, `off`, `yes`, `no`, `1`, `0`).
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `close`, `drop` or `redeliver:N` with `N` up to `attempts_max`.
    CrashPolicy {
        /// Largest `N`.
        attempts_max: u64,
    },
    /// `HOST:PORT` or a URL: `tcp://HOST:PORT`.
    Address,
    /// One to `bytes_max` bytes, with the escapes `\r \n \t \0 \\ \xNN`.
    Delimiter {
        /// Most bytes, after the escapes are read.
        bytes_max: usize,
    },
    /// Permissions of a file: a `0` and three octal digits, `0660`.
    Permissions,
    /// `close`, `reset`, `bytes:ANSWER` or `answer:ANSWER` with up to `bytes_max` bytes.
    Refusal {
        /// Most bytes of the answer, after the escapes are read.
        bytes_max: usize,
    },
    /// A path, or nothing.
    Path,
    /// Paths between commas, or nothing.
    Paths,
    /// Addresses and networks between commas or spaces, `unix` among them, or nothing.
    Networks,
    /// Names of protocols between commas, or nothing.
    Protocols,
    /// Names between commas, or nothing.
    Names,
    /// Names of capabilities between commas, `none`, or nothing.
    Capabilities,
    /// `all`, or numbers and ranges of processors between commas.
    Cpus,
    /// A whole number from `min` to `max`, which may be below zero.
    Signed {
        /// Smallest value.
        min: i32,
        /// Largest value.
        max: i32,
    },
    /// Nothing, or between spaces one value for all kinds of process that run code of the program
    /// and others for some of them, as in `KIND:VALUE`. A limit may also be `max`.
    PerKind {
        /// What each value is.
        of: &'static OptionKind,
        /// Whether `master` is one of the kinds.
        has_master: bool,
    },
    /// Up to `bytes_max` letters, digits and `.`, `_`, `-`, or nothing.
    Name {
        /// Most characters.
        bytes_max: usize,
    },
}

impl OptionKind {
    /// The kind and its limits in words, as the documentation shows it.
    #[must_use]
    pub fn describe(&self) -> String {
        match *self {
            Self::Integer { min, max } => format!("{min} to {max}"),
            Self::Bytes { min, max } => format!("{} to {}", size::render(min), size::render(max)),
            Self::BytesOrAutomatic { min, max } => {
                format!("0 or {} to {}", size::render(min), size::render(max))
            }
            Self::Milliseconds { min, max } => range(Measure::Milliseconds, min, max),
            Self::Microseconds { min, max } => range(Measure::Microseconds, min, max),
            Self::PowerOfTwo { min, max } => {
                format!("0 or a power of two, {} to {}", size::render(min), size::render(max))
            }
            Self::Bool => "true or false".to_owned(),
            Self::Choice(words) => words.join(", "),
            Self::CrashPolicy { attempts_max } => {
                format!("close, drop, redeliver:N with N 1 to {attempts_max}")
            }
            Self::Address => "HOST:PORT or a URL".to_owned(),
            Self::Delimiter { bytes_max } => {
                format!(r"1 to {bytes_max} bytes; \r \n \t \0 \\ \xNN")
            }
            Self::Permissions => "octal, 0000 to 0777".to_owned(),
            Self::Refusal { bytes_max } => {
                format!(
                    "close, reset, bytes:ANSWER or answer:ANSWER of up to {bytes_max} bytes; \
                     \\r \\n \\t \\0 \\\\ \\xNN"
                )
            }
            Self::Path => "path or empty".to_owned(),
            Self::Paths => "paths, or empty".to_owned(),
            Self::Networks => "addresses, networks, `unix`, or empty".to_owned(),
            Self::Protocols | Self::Names => "names, or empty".to_owned(),
            Self::Capabilities => "names of capabilities, none, or empty".to_owned(),
            Self::Cpus => "all, or numbers as in 0-3,6".to_owned(),
            Self::Signed { min, max } => format!("{min} to {max}"),
            Self::PerKind { of, has_master } => {
                let master = if has_master { ", master" } else { "" };
                let kinds = format!("event, task, user, companion{master}");
                format!("empty, or VALUE and KIND:VALUE; kinds: {kinds}; values: {}", of.describe())
            }
            Self::Name { bytes_max } => format!("up to {bytes_max} letters, digits, `.`, `_`, `-`"),
        }
    }
}

fn range(measure: Measure, min: u64, max: u64) -> String {
    format!("{} to {}", measure.render(min), measure.render(max))
}

/// One option: a row of [`Options::table`](super::Options::table).
///
/// ```
/// for info in ostler::Options::table() {
///     println!("{:<24} {:<20} {}", info.name, info.kind.describe(), info.effect);
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OptionInfo {
    /// The name, as [`Options::set`](super::Options::set) takes it.
    pub name: &'static str,
    /// The group under which the documentation lists it.
    pub topic: &'static str,
    /// What values it takes.
    pub kind: OptionKind,
    /// The default: a value, or words if it depends on the machine.
    pub default: &'static str,
    /// What a number counts; empty where the kind says it.
    pub unit: &'static str,
    /// Why the default and the limits are what they are.
    pub why: &'static str,
    /// What it does, with the rows of the requirements it answers.
    pub effect: &'static str,
    pub(super) access: Access,
}

impl OptionInfo {
    /// Whether each port has this option for itself: `port.NAME.OPTION` sets it for one of them,
    /// the option alone for all that do not say it.
    ///
    /// ```
    /// let of_ports = ostler::Options::table().iter().filter(|info| info.is_of_port());
    /// assert!(of_ports.map(|info| info.name).any(|name| name == "framing"));
    /// ```
    #[must_use]
    pub const fn is_of_port(&self) -> bool {
        matches!(self.access, Access::Port(_))
    }
}
