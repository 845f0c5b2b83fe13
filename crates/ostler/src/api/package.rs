//! One message of a session.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::send_error::SendError;
use crate::worker::context::WorkerContext;
use crate::worker::port::Payload;
use crate::worker::send::Output;
use crate::worker::token::DeferredToken;

/// A package: one read of a raw session, one message of a framed one. Its bytes lie in shared memory that only the master
/// can change, and does not while the callback runs.
pub struct Package {
    inner: Rc<WorkerContext>,
    payload: Payload,
    session: u64,
    attempt: bool,
}

/// So many bytes are shown by `Debug`.
const SHOWN_BYTES: usize = 64;

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Package", self.session, self.as_bytes())
    }
}

/// The length and the first bytes, escaped: a package may be long, and of any bytes.
fn debug_bytes(f: &mut fmt::Formatter<'_>, name: &str, session: u64, bytes: &[u8]) -> fmt::Result {
    let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > SHOWN_BYTES { "…" } else { "" };
    write!(f, "{name}(session {session}, {} bytes: \"{shown}{more}\")", bytes.len())
}

impl Package {
    pub(crate) fn new(
        inner: &Rc<WorkerContext>,
        payload: Payload,
        session: u64,
        attempt: bool,
    ) -> Self {
        Self { inner: Rc::clone(inner), payload, session, attempt }
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
        let token = DeferredToken::begin(&self.inner, self.session)?;
        Some(Deferred { token, bytes: self.as_bytes().to_vec(), session: self.session })
    }
}

impl Deref for Package {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A delivery that goes on after its callback. Dropping it finishes it. It may go to another thread:
/// there its outputs are posted to the worker, in their order. When a thread panics with it, its
/// session is closed, because nobody will answer any more.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Session, Worker};
///
/// struct Slow;
///
/// impl Handler for Slow {
///     fn on_receive(&mut self, _: &Worker, _: &Session, package: &Package) -> Outcome {
///         if let Some(mut deferred) = package.defer() {
///             std::thread::spawn(move || {
///                 let answer = deferred.as_bytes().repeat(2); // takes long
///                 deferred.send(&answer)
///             });
///         }
///         Ok(())
///     }
/// }
/// ```
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
    token: DeferredToken,
    bytes: Vec<u8>,
    session: u64,
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Deferred", self.session, &self.bytes)
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

    /// Sends bytes to the package's session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.token.output(self.session, Output::Send(bytes))
    }

    /// Sends bytes to any session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_to(&mut self, session: u64, bytes: &[u8]) -> Result<(), SendError> {
        self.token.output(session, Output::Send(bytes))
    }

    /// Sets the state of the package's session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn set_state(&mut self, state: &[u8]) -> Result<(), SendError> {
        self.token.output(self.session, Output::State(state))
    }

    /// Closes the package's session, after what was sent before, as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn close(&mut self) -> Result<(), SendError> {
        self.token.output(self.session, Output::Close(false))
    }

    /// Finishes the delivery; the same as dropping it.
    pub fn finish(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferred_package_may_go_to_another_thread() {
        const fn may_be_sent<T: Send>() {}
        may_be_sent::<Deferred>();
    }

    #[test]
    fn debug_shows_the_length_and_the_first_bytes_escaped() {
        struct Shown<'a>(&'a [u8]);
        impl fmt::Debug for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                debug_bytes(f, "Package", 7, self.0)
            }
        }
        let short = format!("{:?}", Shown(b"GET \xff\n"));
        assert_eq!(short, "Package(session 7, 6 bytes: \"GET \\xff\\n\")");
        let long = format!("{:?}", Shown(&[b'x'; 1_000]));
        assert!(long.contains("1000 bytes") && long.ends_with("x…\")"), "{long}");
        assert!(long.len() < 120, "{long}");
    }
}
