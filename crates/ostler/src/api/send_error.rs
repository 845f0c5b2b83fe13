//! Why a send was not accepted.

use std::fmt;

use ostler_core::brain::CloseReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendErrorKind {
    Full,
    Gone(Option<CloseReason>),
    TooLong {
        len: usize,
        most: usize,
    },
    StateTooLong {
        len: usize,
        most: usize,
    },
    Truncated,
    /// The port has no datagrams, or is none.
    NoDatagrams,
    /// The port cannot send to such an address.
    Unreachable,
    DatagramTooLong {
        len: usize,
        most: usize,
    },
}

/// Why an output was not accepted; nothing of it reaches the client, except after
/// [`SendError::is_truncated`].
///
/// An output that *is* accepted is written to the socket in order, or the session closes with a
/// reason. `Debug` reads like `Display`.
///
/// ```
/// # use ostler::{SendError, Session};
/// fn offer(session: &Session, news: &[u8]) -> Result<(), SendError> {
///     match session.send(news) {
///         // A slow reader misses news; nobody waits for it.
///         Err(error) if error.is_full() => Ok(()),
///         Err(error) if error.is_gone() => {
///             println!("{} is gone: {:?}", session.id(), error.gone_because());
///             Ok(())
///         }
///         other => other,
///     }
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError {
    kind: SendErrorKind,
}

impl SendError {
    pub(crate) const fn new(kind: SendErrorKind) -> Self {
        Self { kind }
    }

    /// `reason`: while it is known.
    pub(crate) const fn gone(reason: Option<CloseReason>) -> Self {
        Self::new(SendErrorKind::Gone(reason))
    }

    pub(crate) const fn too_long(len: usize, most: usize) -> Self {
        Self::new(SendErrorKind::TooLong { len, most })
    }

    pub(crate) const fn state_too_long(len: usize, most: usize) -> Self {
        Self::new(SendErrorKind::StateTooLong { len, most })
    }

    /// The session has too much unsent output (`send_queue_high`), or the memory budget is tight,
    /// or the lane had no room within `send_timeout_ms`. Try again later, or drop the message.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self.kind, SendErrorKind::Full)
    }

    /// The session has ended, or never was.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self.kind, SendErrorKind::Gone(_))
    }

    /// Why the session has ended, by its name in the log and the books (`peer`, `slow_reader`,
    /// `worker_died` …). `None` when it is not [`SendError::is_gone`], or so long ago that nobody
    /// remembers.
    #[must_use]
    pub const fn gone_because(&self) -> Option<&'static str> {
        match self.kind {
            SendErrorKind::Gone(Some(reason)) => Some(reason.name()),
            _ => None,
        }
    }

    /// The message is longer than `max_send_bytes` (or a state longer than
    /// `session_state_size`).
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(
            self.kind,
            SendErrorKind::TooLong { .. }
                | SendErrorKind::StateTooLong { .. }
                | SendErrorKind::DatagramTooLong { .. }
        )
    }

    /// A datagram cannot be sent like this: the port is not one for datagrams, or its peer has no
    /// address that this port can send to, such as a unix socket without a name.
    ///
    /// ```
    /// # use ostler::SendError;
    /// fn is_mistake(error: &SendError) -> bool {
    ///     error.is_unreachable() || error.is_too_long()
    /// }
    /// ```
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self.kind, SendErrorKind::NoDatagrams | SendErrorKind::Unreachable)
    }

    /// A part of the message was sent already when the room ended: the session is closed with the
    /// reason `truncated`.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        matches!(self.kind, SendErrorKind::Truncated)
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SendErrorKind::Full => f.write_str(
                "the session's output is full: its client reads too slowly or the server is short \
                 of memory; \
                 send less or later",
            ),
            SendErrorKind::Gone(None) => f.write_str("the session has ended"),
            SendErrorKind::Gone(Some(reason)) => {
                write!(f, "the session has ended ({})", reason.name())
            }
            SendErrorKind::TooLong { len, most } => {
                write!(
                    f,
                    "{len} bytes are more than the {most} that one send takes; write them with \
                     Session::writer, or raise max_send_bytes"
                )
            }
            SendErrorKind::StateTooLong { len, most } => write!(
                f,
                "a state of {len} bytes is longer than the {most} that are kept for a session; \
                 keep \
                 the rest elsewhere and only its key here"
            ),
            SendErrorKind::NoDatagrams => f.write_str(
                "this port has no datagrams: give the number of one that listens on udp:// or \
                 unixgram://",
            ),
            SendErrorKind::Unreachable => f.write_str(
                "the port cannot send to this address: it is of another kind than the port's, or \
                 a unix socket without a name, which nobody can answer",
            ),
            SendErrorKind::DatagramTooLong { len, most } => {
                write!(f, "{len} bytes are more than the {most} that a datagram has room for")
            }
            SendErrorKind::Truncated => f.write_str(
                "the message could be sent only in part: its session is closed with the reason \
                 truncated",
            ),
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_reads_like_display() {
        for error in [
            SendError::gone(None),
            SendError::gone(Some(CloseReason::PeerError)),
            SendError::too_long(3, 2),
        ] {
            assert_eq!(format!("{error:?}"), error.to_string());
        }
    }
}
