//! Why a send was not accepted.

use std::fmt;
use std::io::{self, ErrorKind};

use ostler_core::brain::CloseReason;
use ostler_shm::group_index::GROUP_NAME_MAX_BYTES;

use crate::sys::file::Unsendable;

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
    /// The memory for long states has no room for it.
    NoRoomForState {
        len: usize,
    },
    Truncated,
    /// The file cannot be opened.
    FileNotOpened {
        errno: i32,
    },
    /// It is nothing that can be sent.
    FileUnsendable(Unsendable),
    /// The part of it that is to be sent ends behind its end.
    FileTooShort {
        end: u64,
        size: u64,
    },
    /// The system does not let it be passed to the process that sends it.
    FileNotPassed {
        errno: i32,
    },
    /// The port has no datagrams, or is none.
    NoDatagrams,
    /// The port cannot send to such an address.
    Unreachable,
    DatagramTooLong {
        len: usize,
        most: usize,
    },
    /// No group has such a name.
    GroupName {
        len: usize,
    },
    /// What is wanted goes to own sessions only, and this is another process's (BASE mode).
    OtherWorker,
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

impl From<SendErrorKind> for SendError {
    fn from(kind: SendErrorKind) -> Self {
        Self::new(kind)
    }
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
    /// or the lane had no room within `send_timeout_ms`. Try again later, or drop the message. A
    /// state: it is longer than `session_state_size`, and the memory for those has no room for it.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self.kind, SendErrorKind::Full | SendErrorKind::NoRoomForState { .. })
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
    /// `session_state_max_bytes`).
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(
            self.kind,
            SendErrorKind::TooLong { .. }
                | SendErrorKind::StateTooLong { .. }
                | SendErrorKind::DatagramTooLong { .. }
        )
    }

    /// It cannot be sent like this. A datagram: the port is not one for datagrams, or its peer has
    /// no address that this port can send to, such as a unix socket without a name. A file or
    /// a message of a length that nobody knows yet: with `mode = base` the session is another
    /// worker's.
    ///
    /// ```
    /// # use ostler::SendError;
    /// fn is_mistake(error: &SendError) -> bool {
    ///     error.is_unreachable() || error.is_too_long()
    /// }
    /// ```
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(
            self.kind,
            SendErrorKind::NoDatagrams | SendErrorKind::Unreachable | SendErrorKind::OtherWorker
        )
    }

    /// It is no name of a group: those have 1 to 255 bytes.
    ///
    /// ```
    /// # use ostler::Session;
    /// fn enter(session: &Session, room: &str) -> &'static str {
    ///     match session.join(room) {
    ///         Err(error) if error.is_bad_group_name() => "there is no such room",
    ///         Err(_) => "try again",
    ///         Ok(()) => "welcome",
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn is_bad_group_name(&self) -> bool {
        matches!(self.kind, SendErrorKind::GroupName { .. })
    }

    /// What is wrong with the file of a [`Session::sendfile`](crate::Session::sendfile), as opposed
    /// to its session; `None` when it is something else.
    ///
    /// | kind | what it is |
    /// |---|---|
    /// | [`NotFound`], [`PermissionDenied`] and others of opening | the path cannot be opened |
    /// | [`UnexpectedEof`] | the file is shorter than what is to be sent of it |
    /// | [`InvalidInput`] | it is no regular file, or not open for reading |
    /// | [`Unsupported`] | reads of it are answered by a program or a driver |
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// # use std::io::ErrorKind;
    /// fn answer(session: &Session, path: &str) -> Outcome {
    ///     match session.sendfile(path, 0, None) {
    ///         Err(error) if error.file_error() == Some(ErrorKind::NotFound) => {
    ///             Ok(session.send(b"no such file\n")?)
    ///         }
    ///         other => Ok(other?),
    ///     }
    /// }
    /// ```
    ///
    /// [`NotFound`]: ErrorKind::NotFound
    /// [`PermissionDenied`]: ErrorKind::PermissionDenied
    /// [`UnexpectedEof`]: ErrorKind::UnexpectedEof
    /// [`InvalidInput`]: ErrorKind::InvalidInput
    /// [`Unsupported`]: ErrorKind::Unsupported
    #[must_use]
    pub fn file_error(&self) -> Option<ErrorKind> {
        let of_number = |errno| io::Error::from_raw_os_error(errno).kind();
        Some(match self.kind {
            SendErrorKind::FileNotOpened { errno } | SendErrorKind::FileNotPassed { errno } => {
                of_number(errno)
            }
            SendErrorKind::FileUnsendable(why) => match why {
                Unsendable::NotRegular | Unsendable::NotReadable => ErrorKind::InvalidInput,
                Unsendable::Answered => ErrorKind::Unsupported,
                Unsendable::Unknown(errno) => of_number(errno),
            },
            SendErrorKind::FileTooShort { .. } => ErrorKind::UnexpectedEof,
            _ => return None,
        })
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
                "a state of {len} bytes is longer than the {most} that are kept for a session: \
                 raise session_state_max_bytes, or keep the rest elsewhere and its key here"
            ),
            SendErrorKind::NoRoomForState { len } => write!(
                f,
                "the memory for long states has no room for {len} bytes now: raise memory_budget, \
                 a quarter of which it is, or keep less"
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
            SendErrorKind::FileNotOpened { errno } => {
                write!(f, "the file cannot be opened: {}", io::Error::from_raw_os_error(errno))
            }
            SendErrorKind::FileUnsendable(why) => fmt_unsendable(f, why),
            SendErrorKind::FileTooShort { end, size } => write!(
                f,
                "the file has {size} bytes, and its part that is to be sent would end at {end}"
            ),
            SendErrorKind::FileNotPassed { errno } => write!(
                f,
                "the file cannot be passed to the process that sends it: {}",
                io::Error::from_raw_os_error(errno)
            ),
            SendErrorKind::GroupName { len } => write!(
                f,
                "the name of a group has 1 to {GROUP_NAME_MAX_BYTES} bytes, and this has {len}"
            ),
            SendErrorKind::OtherWorker => f.write_str(
                "with mode = base the session of another worker takes whole messages only: use \
                 Session::send, or write from the worker that has it",
            ),
            SendErrorKind::Truncated => f.write_str(
                "the message could be sent only in part: its session is closed with the reason \
                 truncated",
            ),
        }
    }
}

fn fmt_unsendable(f: &mut fmt::Formatter<'_>, why: Unsendable) -> fmt::Result {
    f.write_str(match why {
        Unsendable::NotRegular => {
            "only regular files can be sent: read what this is, and write it with Session::writer"
        }
        Unsendable::NotReadable => "the file is not open for reading",
        Unsendable::Answered => {
            "a program or a driver answers reads of this file, and would hold up all clients: read \
             it here, and write it with Session::writer"
        }
        Unsendable::Unknown(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            return write!(f, "the system does not say what the file is: {error}");
        }
    })
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
            SendErrorKind::FileUnsendable(Unsendable::Answered).into(),
        ] {
            assert_eq!(format!("{error:?}"), error.to_string());
        }
    }
}
