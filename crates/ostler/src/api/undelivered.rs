//! A message that did not reach its receiver.

use super::message_error::{MessageError, MessageErrorKind};

/// A message of this process that was accepted and did not reach its receiver, for
/// [`Handler::on_undelivered`](crate::Handler).
///
/// ```
/// # use ostler::{Handler, Outcome, Package, Session, Undelivered, Worker};
/// # use std::collections::HashMap;
/// struct Orders {
///     on_the_way: HashMap<u64, Vec<u8>>,
/// }
///
/// impl Handler for Orders {
///     fn on_receive(&mut self, worker: &Worker, _: &Session, order: &Package) -> Outcome {
///         let number = worker.send_message(1, order)?;
///         self.on_the_way.insert(number, order.to_vec());
///         Ok(())
///     }
///
///     fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
///         let order = self.on_the_way.remove(&undelivered.number());
///         if let Some(order) = order.filter(|_| undelivered.error().is_not_running()) {
///             worker.send_message(2, &order)?;
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Undelivered {
    number: u64,
    kind: MessageErrorKind,
}

impl Undelivered {
    pub(crate) const fn new(number: u64, kind: MessageErrorKind) -> Self {
        Self { number, kind }
    }

    /// The number of the message, as [`Worker::send_message`](crate::Worker::send_message) returned
    /// it.
    ///
    /// ```
    /// # use ostler::Undelivered;
    /// fn note(undelivered: &Undelivered) {
    ///     println!("message {}: {}", undelivered.number(), undelivered.error());
    /// }
    /// ```
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Why it did not arrive.
    ///
    /// ```
    /// # use ostler::Undelivered;
    /// fn is_worth_another_try(undelivered: &Undelivered) -> bool {
    ///     undelivered.error().is_full()
    /// }
    /// ```
    #[must_use]
    pub fn error(&self) -> MessageError {
        self.kind.into()
    }
}
