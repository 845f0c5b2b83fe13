//! One message of a session.

use std::ops::Deref;
use std::rc::Rc;

use super::send_error::SendError;
use super::worker::Worker;
use crate::worker::context::WorkerContext;
use crate::worker::deferred::DeferredDelivery;
use crate::worker::port::Payload;
use crate::worker::send::Output;

/// A package: one read of a raw session, one message of a framed one. Its bytes lie in shared memory that only the master
/// can change, and does not while the callback runs.
#[derive(Debug)]
pub struct Package {
    inner: PackageInner,
    payload: Payload,
    session: u64,
    attempt: bool,
}

struct PackageInner(Rc<WorkerContext>);

impl std::fmt::Debug for PackageInner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "worker {}", self.0.key)
    }
}

impl Package {
    pub(crate) fn new(
        inner: &Rc<WorkerContext>,
        payload: Payload,
        session: u64,
        attempt: bool,
    ) -> Self {
        Self { inner: PackageInner(Rc::clone(inner)), payload, session, attempt }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.payload.bytes()
    }

    /// Whether a worker that died had started it before (only with `crash_policy = redeliver`): side effects outside this
    /// server may have happened already.
    #[must_use]
    pub const fn is_redelivered(&self) -> bool {
        self.attempt
    }

    /// Takes the delivery out of the callback: it is finished when the answer is dropped, not when `on_receive` returns.
    /// Until then the session stays with this worker and the delivery stays in hand.
    ///
    /// `None` when it was deferred already.
    #[must_use]
    pub fn defer(&self) -> Option<Deferred> {
        let delivery = DeferredDelivery::begin(&self.inner.0)?;
        Some(Deferred {
            worker: Worker::new(Rc::clone(&self.inner.0)),
            delivery,
            bytes: self.as_bytes().to_vec(),
            session: self.session,
        })
    }
}

impl Deref for Package {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A delivery that goes on after its callback. Dropping it finishes it.
///
/// With `crash_policy = redeliver` its outputs become visible all at once when it is finished; more than
/// `redeliver_output_bytes` of them become visible as they come, and the package is then never delivered again. The same
/// happens when the callback it was taken in sends something itself.
///
/// Until it is finished, later packages of its session are handled, but what they cause is held back, so that the answers
/// of a session come in the order of its packages (`answer_order = kept`, the default).
///
/// What becomes visible as it comes waits for the end of a callback of another delivery that it is sent in, if that one
/// has sent something too: at most `redeliver_output_bytes` (or one message), then sending answers *full* until that
/// callback has returned.
pub struct Deferred {
    worker: Worker,
    delivery: DeferredDelivery,
    bytes: Vec<u8>,
    session: u64,
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deferred").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Deferred {
    /// The package's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Id of the package's session.
    #[must_use]
    pub const fn session_id(&self) -> u64 {
        self.session
    }

    /// The worker.
    #[must_use]
    pub const fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Sends bytes to the package's session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.delivery.output(self.session, Output::Send(bytes))
    }

    /// Sends bytes to any session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_to(&mut self, session: u64, bytes: &[u8]) -> Result<(), SendError> {
        self.delivery.output(session, Output::Send(bytes))
    }

    /// Sets the state of the package's session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn set_state(&mut self, state: &[u8]) -> Result<(), SendError> {
        self.delivery.output(self.session, Output::State(state))
    }

    /// Closes the package's session, after what was sent before, as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn close(&mut self) -> Result<(), SendError> {
        self.delivery.output(self.session, Output::Close(false))
    }

    /// Finishes the delivery; the same as dropping it.
    pub fn finish(self) {}
}
