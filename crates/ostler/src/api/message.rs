//! Messages of one process of the server to another.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use ostler_core::ids::ProcessKey;
use ostler_core::trace::TraceContext;

use super::message_error::MessageError;
use super::package::debug_bytes;
use super::process_slot::ProcessSlot;
use super::worker::Worker;

/// A message of another process of the server, for [`Handler::on_message`](crate::Handler); its
/// bytes are those that were sent.
///
/// ```
/// # use ostler::{Handler, Message, Outcome, Package, Session, Worker};
/// # use std::collections::HashMap;
/// /// Each worker has the prices in its own memory; who learns a new one tells the others.
/// struct Prices {
///     cache: HashMap<Vec<u8>, u64>,
/// }
///
/// impl Handler for Prices {
///     fn on_receive(&mut self, worker: &Worker, _: &Session, name: &Package) -> Outcome {
///         self.cache.remove(&name[..]);
///         Ok(worker.send_message(1, name).map(drop)?)
///     }
///
///     fn on_message(&mut self, _: &Worker, name: &Message) -> Outcome {
///         self.cache.remove(&name[..]);
///         Ok(())
///     }
/// }
/// ```
pub struct Message {
    sender: ProcessKey,
    number: u64,
    sent_in: Option<TraceContext>,
    bytes: Vec<u8>,
}

impl Message {
    pub(crate) const fn new(
        sender: ProcessKey,
        number: u64,
        sent_in: Option<TraceContext>,
        bytes: Vec<u8>,
    ) -> Self {
        Self { sender, number, sent_in, bytes }
    }

    /// The trace in which it was sent.
    pub(crate) const fn sent_in(&self) -> Option<TraceContext> {
        self.sent_in
    }

    /// Who has sent it: an answer goes there, to whoever lives in that slot then.
    ///
    /// ```
    /// # use ostler::{Message, Outcome, Worker};
    /// fn on_message(worker: &Worker, message: &Message) -> Outcome {
    ///     worker.send_message(message.sender(), b"I have read it")?;
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn sender(&self) -> ProcessSlot {
        ProcessSlot::of(self.sender)
    }

    /// The number by which its sender knows it.
    ///
    /// ```
    /// # use ostler::Message;
    /// fn name(message: &Message) -> String {
    ///     format!("message {} of {}", message.number(), message.sender())
    /// }
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The bytes.
    ///
    /// ```
    /// # use ostler::Message;
    /// fn text(message: &Message) -> String {
    ///     String::from_utf8_lossy(message.as_bytes()).into_owned()
    /// }
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same, for who keeps them.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn next(worker: &Worker) -> Option<Vec<u8>> {
    ///     Some(worker.wait_for_message(Duration::from_secs(1))?.into_bytes())
    /// }
    /// ```
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Message", format_args!("{} of {}", self.number, self.sender), self)
    }
}

impl Worker {
    /// Sends a message to another process of the server, which handles it in
    /// [`Handler::on_message`](crate::Handler::on_message) (or that of its
    /// [`ProcessBody`](crate::ProcessBody) or [`ServerEvents`](crate::ServerEvents)). Returns its
    /// number.
    ///
    /// Of one process, another one gets messages in the order in which they were sent. One that
    /// was accepted and does not reach its receiver comes back as
    /// [`Undelivered`](crate::Undelivered). Inside a callback a message is one of its outputs: with
    /// `crash_policy = redeliver` it is sent when the package is finished, or not at all.
    ///
    /// ```
    /// # use ostler::{MessageError, Worker};
    /// fn forget(worker: &Worker, key: &str) -> Result<(), MessageError> {
    ///     worker.send_message(0, key.as_bytes())?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`MessageError::is_no_such_process`], [`MessageError::is_to_itself`],
    /// [`MessageError::is_too_long`], [`MessageError::is_full`] when the lane has no room within
    /// `send_timeout_ms`.
    pub fn send_message(
        &self,
        to: impl Into<ProcessSlot>,
        bytes: &[u8],
    ) -> Result<u64, MessageError> {
        self.context().send_message(to.into(), bytes)
    }

    /// Waits for a message of another process, at most for `timeout`. For a
    /// [`ProcessBody::run`](crate::ProcessBody::run) that does not return, in which nobody is
    /// called. `None`: none came, or this process is to leave ([`Worker::is_leaving`]).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, UserProcess};
    /// let printer = UserProcess::function("printer", |worker| {
    ///     while !worker.is_leaving() {
    ///         if let Some(page) = worker.wait_for_message(Duration::from_secs(1)) {
    ///             println!("{}", page.escape_ascii());
    ///         }
    ///     }
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn wait_for_message(&self, timeout: Duration) -> Option<Message> {
        self.context().wait_for_message(timeout)
    }
}
