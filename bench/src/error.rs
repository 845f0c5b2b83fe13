//! The one error type of this crate.

use std::fmt;
use std::io;

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a measurement could not be made. Faults of the *measured* server are results, not errors.
#[derive(Debug)]
pub enum Error {
    /// The command line or an option makes no sense.
    Usage(String),
    /// A system call failed.
    System {
        /// What was tried.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// A server did not start.
    Start {
        /// Name of the peer.
        peer: String,
        /// Why, with the end of its stderr where there is one.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: wraps a system error with what was tried.
    pub fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }

    /// A usage error.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "{text}"),
            Self::System { what, source } => write!(f, "{what}: {source}"),
            Self::Start { peer, reason } => write!(f, "server `{peer}` did not start: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            Self::Usage(_) | Self::Start { .. } => None,
        }
    }
}
