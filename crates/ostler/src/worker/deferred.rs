//! Deferred deliveries: finished by their token, not by the return of the callback (architecture section 6).

use std::rc::Rc;

use ostler_shm::record::Kind;

use super::inner::{Current, Inner};
use super::send::Output;
use crate::api::send_error::{SendError, SendErrorKind};

/// An output that waits for its delivery to be finished.
#[derive(Debug)]
enum Held {
    Send(u64, Vec<u8>),
    Close(u64, bool),
    State(u64, Vec<u8>),
}

/// A delivery that was deferred.
pub(crate) struct DeferredDelivery {
    inner: Rc<Inner>,
    lane: usize,
    seq: u64,
    held: Vec<Held>,
    held_bytes: usize,
    exposed: bool,
}

/// A deferred delivery that is finished and whose outputs are to be appended.
pub(crate) struct Finished {
    lane: usize,
    seq: u64,
    held: Vec<Held>,
}

impl DeferredDelivery {
    /// Takes the running delivery out of its callback. `None` when there is none, or it is deferred already.
    pub(crate) fn begin(inner: &Rc<Inner>) -> Option<Self> {
        let mut current = inner.current.get().filter(|current| !current.deferred)?;
        let exposed = current.exposed || !inner.settings.holds_outputs();
        // What the callback sent so far stays staged in the rings and is published at its end, before the delivery is
        // finished: it has to be exposed, or a death in between would deliver it again with outputs seen.
        let mut deferred = Self {
            inner: Rc::clone(inner),
            lane: current.lane,
            seq: current.seq,
            held: Vec::new(),
            held_bytes: 0,
            exposed,
        };
        if !exposed && inner.port.borrow().has_staged() {
            deferred.expose();
        }
        current.deferred = true;
        current.exposed = deferred.exposed;
        inner.current.set(Some(current));
        inner.keep_alive.set(inner.keep_alive.get() + 1);
        Some(deferred)
    }

    fn as_current(&self) -> Current {
        Current {
            lane: self.lane,
            seq: self.seq,
            position: 0,
            ring_len: 0,
            exposed: self.exposed,
            deferred: true,
            held_bytes: 0,
        }
    }

    /// An output on behalf of this delivery.
    pub(crate) fn output(&mut self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        self.inner.check_session(session, matches!(output, Output::Send(_)))?;
        self.inner.check_size(output)?;
        if !self.exposed {
            self.hold(session, output);
            if self.held_bytes <= self.inner.settings.redeliver_output_bytes {
                return Ok(());
            }
            self.expose();
            return self.append_held();
        }
        // Another delivery's transaction may be open: its records must not be published by this one.
        if self.is_transaction_open() {
            self.hold(session, output);
            return Ok(());
        }
        self.append_held()?;
        self.inner.append_output(session, output, Some(self.as_current()))?;
        self.inner.port.borrow_mut().publish(None);
        Ok(())
    }

    fn is_transaction_open(&self) -> bool {
        self.inner.settings.holds_outputs() && self.inner.port.borrow().has_staged()
    }

    fn hold(&mut self, session: u64, output: Output<'_>) {
        self.held.push(match output {
            Output::Send(bytes) => {
                self.held_bytes += bytes.len();
                Held::Send(session, bytes.to_vec())
            }
            Output::Close(reset) => Held::Close(session, reset),
            Output::State(state) => Held::State(session, state.to_vec()),
        });
    }

    fn append_held(&mut self) -> Result<(), SendError> {
        if self.is_transaction_open() {
            return Ok(());
        }
        self.held_bytes = 0;
        let held = std::mem::take(&mut self.held);
        let result = self.inner.append_all(held, self.as_current());
        self.inner.port.borrow_mut().publish(None);
        result
    }

    fn expose(&mut self) {
        self.inner.append_surely(self.lane, Kind::Expose, self.seq);
        self.exposed = true;
    }

    fn end(&mut self) {
        let finished =
            Finished { lane: self.lane, seq: self.seq, held: std::mem::take(&mut self.held) };
        self.inner.keep_alive.set(self.inner.keep_alive.get().saturating_sub(1));
        // Inside a callback there may be an open transaction, and only one fits into the rings at a time.
        self.inner.finished_later.borrow_mut().push(finished);
        if self.inner.current.get().is_none() {
            self.inner.finish_deferred();
        }
    }
}

impl Drop for DeferredDelivery {
    fn drop(&mut self) {
        // A panic ends the process: what it had in hand is for the crash policy to settle, not finished.
        if !std::thread::panicking() {
            self.end();
        }
    }
}

impl Inner {
    fn append_all(&self, held: Vec<Held>, current: Current) -> Result<(), SendError> {
        let mut result = Ok(());
        for output in held {
            let appended = match &output {
                Held::Send(session, bytes) => {
                    self.append_output(*session, Output::Send(bytes), Some(current))
                }
                Held::Close(session, reset) => {
                    self.append_output(*session, Output::Close(*reset), Some(current))
                }
                Held::State(session, state) => {
                    self.append_output(*session, Output::State(state), Some(current))
                }
            };
            if let (Err(error), Held::Send(session, _)) = (appended, &output) {
                // It was promised to the caller: the session must not go on as if it had been sent.
                self.aborts.borrow_mut().push(*session);
                tracing::warn!(session, %error, "a deferred output found no room: its session is closed");
                result = Err(SendError::new(SendErrorKind::Truncated));
            }
        }
        result
    }

    /// Appends and publishes what deferred deliveries left, each as one transaction with its `FIN`.
    pub(crate) fn finish_deferred(&self) {
        loop {
            let Some(finished) = self.finished_later.borrow_mut().pop() else { return };
            // While it is appended, it is the running delivery: outputs too large for the ring expose it.
            let current = Current {
                lane: finished.lane,
                seq: finished.seq,
                position: 0,
                ring_len: 0,
                exposed: !self.settings.holds_outputs(),
                deferred: false,
                held_bytes: 0,
            };
            let before = self.current.replace(Some(current));
            let _ = self.append_all(finished.held, current);
            self.finish(finished.lane, finished.seq, false);
            self.current.set(before);
        }
    }
}
