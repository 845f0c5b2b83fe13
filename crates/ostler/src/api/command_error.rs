//! Why a command has no result.

use std::fmt;
use std::io::ErrorKind;

use super::message_error::{MessageError, MessageErrorKind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandErrorKind {
    NoSuchCommand,
    Failed(String),
    TimedOut,
    Undelivered(MessageErrorKind),
    ServerEnds,
    CannotWait(ErrorKind),
}

/// Why a command of another process has no result ([`CommandCall`](crate::CommandCall)). `Debug`
/// reads like `Display`.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{CommandError, Worker};
/// fn connections_of(worker: &Worker, slot: u16) -> Result<Vec<u8>, CommandError> {
///     let answer = worker.call(slot, "connections", b"").wait(Duration::from_secs(1));
///     if let Err(error) = &answer
///         && error.is_timed_out()
///     {
///         println!("w{slot} is busy");
///     }
///     answer
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CommandError {
    kind: CommandErrorKind,
}

impl From<CommandErrorKind> for CommandError {
    fn from(kind: CommandErrorKind) -> Self {
        Self { kind }
    }
}

impl CommandError {
    /// The process has no command of that name.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn has_command(worker: &Worker, slot: u16, name: &str) -> bool {
    ///     let answer = worker.call(slot, name, b"").wait(Duration::from_secs(1));
    ///     !answer.is_err_and(|error| error.is_no_such_command())
    /// }
    /// ```
    #[must_use]
    pub const fn is_no_such_command(&self) -> bool {
        matches!(self.kind, CommandErrorKind::NoSuchCommand)
    }

    /// The command returned an error; the text of this one is its.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn note(worker: &Worker) {
    ///     match worker.call(1, "sum", b"1 x").wait(Duration::from_secs(1)) {
    ///         Err(error) if error.is_failed() => println!("{error}"),
    ///         _ => {}
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        matches!(self.kind, CommandErrorKind::Failed(_))
    }

    /// No answer came in time. It may have been called all the same; what comes later is nobody's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn is_busy(worker: &Worker, slot: u16) -> bool {
    ///     let answer = worker.call(slot, "ping", b"").wait(Duration::from_millis(100));
    ///     answer.is_err_and(|error| error.is_timed_out())
    /// }
    /// ```
    #[must_use]
    pub const fn is_timed_out(&self) -> bool {
        matches!(self.kind, CommandErrorKind::TimedOut)
    }

    /// The call did not reach the process, for this reason.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn is_there(worker: &Worker, slot: u16) -> bool {
    ///     let answer = worker.call(slot, "ping", b"").wait(Duration::from_secs(1));
    ///     let undelivered = answer.err().and_then(|error| error.undelivered());
    ///     !undelivered.is_some_and(|error| error.is_not_running())
    /// }
    /// ```
    #[must_use]
    pub fn undelivered(&self) -> Option<MessageError> {
        match self.kind {
            CommandErrorKind::Undelivered(kind) => Some(kind.into()),
            _ => None,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CommandErrorKind::NoSuchCommand => f.write_str(
                "the process has no command of that name: add it with `Worker::add_command`",
            ),
            CommandErrorKind::Failed(why) => write!(f, "the command failed: {why}"),
            CommandErrorKind::TimedOut => f.write_str("no answer came in time"),
            CommandErrorKind::Undelivered(kind) => fmt::Display::fmt(&MessageError::from(*kind), f),
            CommandErrorKind::ServerEnds => f.write_str("the server ends"),
            CommandErrorKind::CannotWait(kind) => write!(f, "cannot wait: {kind}"),
        }
    }
}

impl fmt::Debug for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for CommandError {}
