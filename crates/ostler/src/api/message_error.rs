//! Why a message was not sent, or did not reach its receiver.

use std::fmt;

use ostler_core::messages::MessageEnd;

use super::process_slot::ProcessSlot;
use super::send_error::SendError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageErrorKind {
    NoSuchProcess(ProcessSlot),
    ToItself,
    TooLong { len: usize, most: usize },
    LaneFull,
    NotRunning,
    ReceiverFull,
    NoMemory,
    ReceiverEnded,
}

/// Why a message was not sent ([`Worker::send_message`](crate::Worker::send_message)), or did not
/// reach its receiver ([`Undelivered::error`](crate::Undelivered::error)). `Debug` reads like
/// `Display`.
///
/// ```
/// # use ostler::{Outcome, Worker};
/// fn tell(worker: &Worker, slot: u16) -> Outcome {
///     match worker.send_message(slot, b"news") {
///         Err(error) if error.is_to_itself() => Ok(()), // this worker knows it
///         sent => Ok(sent.map(drop)?),
///     }
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageError {
    kind: MessageErrorKind,
}

impl From<MessageErrorKind> for MessageError {
    fn from(kind: MessageErrorKind) -> Self {
        Self { kind }
    }
}

impl From<SendError> for MessageError {
    /// Nothing else can go wrong with a record for the master.
    fn from(_: SendError) -> Self {
        MessageErrorKind::LaneFull.into()
    }
}

impl MessageErrorKind {
    /// What a sender is told of an end.
    pub(crate) const fn of_end(end: MessageEnd) -> Self {
        match end {
            MessageEnd::NotRunning => Self::NotRunning,
            MessageEnd::Full => Self::ReceiverFull,
            MessageEnd::NoMemory => Self::NoMemory,
            MessageEnd::ReceiverEnded => Self::ReceiverEnded,
        }
    }
}

impl MessageError {
    /// The server has no process of that kind in that slot, and never will.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn has_worker(worker: &Worker, slot: u16) -> bool {
    ///     !worker.send_message(slot, b"").is_err_and(|error| error.is_no_such_process())
    /// }
    /// ```
    #[must_use]
    pub const fn is_no_such_process(&self) -> bool {
        matches!(self.kind, MessageErrorKind::NoSuchProcess(_))
    }

    /// The receiver would be the slot of the sender.
    ///
    /// ```
    /// # use ostler::{MessageError, Worker};
    /// fn tell_all(worker: &Worker, workers: u16) -> Result<(), MessageError> {
    ///     for slot in 0..workers {
    ///         match worker.send_message(slot, b"news") {
    ///             Err(error) if error.is_to_itself() => {}
    ///             sent => drop(sent?),
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn is_to_itself(&self) -> bool {
        matches!(self.kind, MessageErrorKind::ToItself)
    }

    /// The message is longer than `message_max_length`.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn fits(worker: &Worker, text: &[u8]) -> bool {
    ///     !worker.send_message(0, text).is_err_and(|error| error.is_too_long())
    /// }
    /// ```
    #[must_use]
    pub const fn is_too_long(&self) -> bool {
        matches!(self.kind, MessageErrorKind::TooLong { .. })
    }

    /// The receiver has not handled what it was sent before (`message_queue_bytes`), or the memory
    /// for messages is used up (`memory_budget`), or the lane had no room within `send_timeout_ms`.
    /// Try again later.
    ///
    /// ```
    /// # use ostler::Undelivered;
    /// fn is_worth_another_try(undelivered: &Undelivered) -> bool {
    ///     undelivered.error().is_full()
    /// }
    /// ```
    #[must_use]
    pub const fn is_full(&self) -> bool {
        use MessageErrorKind as Kind;
        matches!(self.kind, Kind::LaneFull | Kind::ReceiverFull | Kind::NoMemory)
    }

    /// Nobody lives in that slot now: its process has ended, and another one has not begun.
    ///
    /// ```
    /// # use ostler::Undelivered;
    /// fn note(undelivered: &Undelivered) {
    ///     if undelivered.error().is_not_running() {
    ///         println!("nobody was there");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn is_not_running(&self) -> bool {
        matches!(self.kind, MessageErrorKind::NotRunning)
    }

    /// The receiver has ended before it had begun to handle the message. One that it had begun is
    /// delivered, whatever became of it.
    ///
    /// ```
    /// # use ostler::Undelivered;
    /// fn note(undelivered: &Undelivered) {
    ///     if undelivered.error().is_receiver_ended() {
    ///         println!("it died with the message unread");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn is_receiver_ended(&self) -> bool {
        matches!(self.kind, MessageErrorKind::ReceiverEnded)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            MessageErrorKind::NoSuchProcess(slot) => {
                write!(
                    f,
                    "the server has no process {slot}: look at `workers`, `task_workers` and \
                           the program's own processes"
                )
            }
            MessageErrorKind::ToItself => {
                f.write_str("a process sends no message to its own slot: call the function")
            }
            MessageErrorKind::TooLong { len, most } => {
                write!(f, "{len} bytes are more than `message_max_length` allows ({most})")
            }
            MessageErrorKind::LaneFull => {
                f.write_str("the lane had no room within `send_timeout_ms`: try again later")
            }
            MessageErrorKind::NotRunning => {
                f.write_str("the receiver does not run now: try again when it was restarted")
            }
            MessageErrorKind::ReceiverFull => f.write_str(
                "the receiver has `message_queue_bytes` of messages unread: try again later",
            ),
            MessageErrorKind::NoMemory => {
                f.write_str("`memory_budget` has no room for it: try again later, or raise it")
            }
            MessageErrorKind::ReceiverEnded => {
                f.write_str("the receiver ended before it had read the message")
            }
        }
    }
}

impl fmt::Debug for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for MessageError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_is_answered_and_the_text_says_what_to_do() {
        let error = |kind| MessageError { kind };
        let full = [
            MessageErrorKind::LaneFull,
            MessageErrorKind::ReceiverFull,
            MessageErrorKind::NoMemory,
        ];
        assert!(full.into_iter().all(|kind| error(kind).is_full()));
        let of = |end| error(MessageErrorKind::of_end(end));
        assert!(of(MessageEnd::Full).is_full() && of(MessageEnd::NoMemory).is_full());
        assert!(of(MessageEnd::NotRunning).is_not_running());
        assert!(of(MessageEnd::ReceiverEnded).is_receiver_ended());
        let unknown = error(MessageErrorKind::NoSuchProcess(ProcessSlot::Worker(9)));
        assert!(unknown.is_no_such_process() && unknown.to_string().contains("process w9"));
    }
}
