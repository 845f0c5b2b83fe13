//! Deferred deliveries: finished by their token, not by the return of the callback.
//!
//! Their outputs are held here until the delivery is finished, or until it is exposed. From then on they are published as
//! they come, but never into the transaction of another delivery whose callback is running: then they wait for its end.

use std::cell::RefCell;
use std::rc::Rc;

use ostler_shm::record::{FLAG_RESET, HEADER_SIZE, Header, RecordKind};
use ostler_shm::sessions::reactor_of;

use super::context::{RunningDelivery, WorkerContext};
use super::send::Output;
use crate::api::send_error::{SendError, SendErrorKind};

/// An output that waits.
#[derive(Debug)]
enum Held {
    Send(u64, Vec<u8>),
    Close(u64, bool),
    State(u64, Vec<u8>),
}

impl Held {
    fn new(session: u64, output: Output<'_>) -> Self {
        match output {
            Output::Send(bytes) => Self::Send(session, bytes.to_vec()),
            Output::Close(reset) => Self::Close(session, reset),
            Output::State(state) => Self::State(session, state.to_vec()),
        }
    }

    fn parts(&self) -> (u64, Output<'_>) {
        match self {
            Self::Send(session, bytes) => (*session, Output::Send(bytes)),
            Self::Close(session, reset) => (*session, Output::Close(*reset)),
            Self::State(session, state) => (*session, Output::State(state)),
        }
    }
}

/// What is held back for an output: its bytes and a header, so that many small ones are bounded too.
const fn cost(output: Output<'_>) -> usize {
    HEADER_SIZE + output.len()
}

/// The token of a delivery that was deferred.
pub(crate) struct DeferredDelivery {
    inner: Rc<WorkerContext>,
    deferral: SharedDeferral,
}

/// Shared by the token, the callback that it was taken in, and the ends of other callbacks.
pub(crate) type SharedDeferral = Rc<RefCell<Deferral>>;

/// A delivery that was deferred.
pub(crate) struct Deferral {
    /// As the cause of its outputs. Its package is not in the ring any more.
    current: RunningDelivery,
    held: Vec<Held>,
    held_bytes: usize,
    /// Its token is gone.
    is_over: bool,
    /// It waits for the end of the running callback.
    is_queued: bool,
}

impl DeferredDelivery {
    /// Takes the running delivery out of its callback. `None` when there is none, or it is deferred already.
    pub(crate) fn begin(inner: &Rc<WorkerContext>) -> Option<Self> {
        let mut running = inner.current.get().filter(|_| inner.deferral.borrow().is_none())?;
        // What the callback sent so far is published before the delivery is finished: it has to be exposed, or a death in
        // between would deliver it again with outputs seen.
        if inner.port.borrow().has_staged() {
            inner.publish_early(Some(&mut running));
        }
        let current = RunningDelivery { position: 0, ring_len: 0, held_bytes: 0, ..running };
        let deferral = Rc::new(RefCell::new(Deferral {
            current,
            held: Vec::new(),
            held_bytes: 0,
            is_over: false,
            is_queued: false,
        }));
        // From here on it is the deferral that has to be exposed, see `WorkerContext::expose_deferral`: the callback holds nothing
        // back any more.
        inner.current.set(Some(RunningDelivery { exposed: true, ..running }));
        inner.deferral.replace(Some(Rc::clone(&deferral)));
        inner.keep_alive.set(inner.keep_alive.get() + 1);
        Some(Self { inner: Rc::clone(inner), deferral })
    }

    /// An output on behalf of this delivery.
    pub(crate) fn output(&mut self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        self.inner.check_session(session, matches!(output, Output::Send(_)))?;
        self.inner.check_size(output)?;
        let mut deferral = self.deferral.borrow_mut();
        let fits = deferral.held_bytes + cost(output) <= self.inner.settings.redeliver_output_bytes;
        if !deferral.current.exposed && fits {
            deferral.hold(session, output);
            return Ok(());
        }
        // Only one transaction fits into the rings at a time, and the running callback has one open. What comes meanwhile
        // is bounded by the limit, or one output, and what is above it refused: waiting would not end, it is the caller
        // that has to return.
        if self.inner.is_transaction_open() {
            if !fits && deferral.held_bytes > 0 {
                return Err(SendError::new(SendErrorKind::Full));
            }
            deferral.hold(session, output);
            drop(deferral);
            self.inner.settle_later(&self.deferral);
            return Ok(());
        }
        self.inner.show(&mut deferral);
        let result = self.inner.append_output(session, output, Some(&mut deferral.current));
        self.inner.port.borrow_mut().publish(None);
        result
    }
}

impl Drop for DeferredDelivery {
    fn drop(&mut self) {
        // A panic ends the process: what it had in hand is for the crash policy to settle, not finished.
        if std::thread::panicking() {
            return;
        }
        self.deferral.borrow_mut().is_over = true;
        self.inner.keep_alive.set(self.inner.keep_alive.get().saturating_sub(1));
        self.inner.settle_later(&self.deferral);
        // Inside a callback there may be an open transaction.
        if self.inner.current.get().is_none() {
            self.inner.settle_deferred();
        }
    }
}

impl Deferral {
    fn hold(&mut self, session: u64, output: Output<'_>) {
        self.held_bytes += cost(output);
        self.held.push(Held::new(session, output));
    }
}

impl WorkerContext {
    /// Whether the running callback has appended what is to be published together with its `FIN`.
    fn is_transaction_open(&self) -> bool {
        self.current.get().is_some_and(|current| !current.exposed)
            && self.port.borrow().has_staged()
    }

    /// Before the running callback sends something itself: if its delivery was deferred, that is seen before the delivery is
    /// finished, and comes behind what its token has sent.
    pub(crate) fn expose_deferral(&self) {
        let deferral = self.deferral.borrow();
        if let Some(deferral) = deferral.as_ref().filter(|_| self.settings.holds_outputs()) {
            self.show(&mut deferral.borrow_mut());
        }
    }

    /// Exposes a deferred delivery and publishes what it holds. No transaction is open.
    fn show(&self, deferral: &mut Deferral) {
        if !deferral.current.exposed {
            self.publish_early(Some(&mut deferral.current));
        }
        self.append_held(deferral);
        self.port.borrow_mut().publish(None);
    }

    /// Appends what a deferred delivery holds. It was promised to the caller: a session for which it finds no room is reset,
    /// in the same transaction, because it must not go on as if it had been sent.
    fn append_held(&self, deferral: &mut Deferral) {
        deferral.held_bytes = 0;
        for held in std::mem::take(&mut deferral.held) {
            let (session, output) = held.parts();
            if let Err(error) = self.append_output(session, output, Some(&mut deferral.current)) {
                tracing::warn!(session, %error, "a deferred output found no room: its session is closed");
                let header = Header {
                    kind: RecordKind::Close as u8,
                    flags: FLAG_RESET,
                    subject: session,
                    cause: deferral.current.seq,
                    ..Header::default()
                };
                self.append_blocking(reactor_of(session), header);
            }
        }
    }

    fn settle_later(&self, deferral: &SharedDeferral) {
        if !std::mem::replace(&mut deferral.borrow_mut().is_queued, true) {
            self.to_settle.borrow_mut().push_back(Rc::clone(deferral));
        }
    }

    /// Outside of callbacks: publishes what deferred deliveries left, in the order in which they did, each as one
    /// transaction with its `FIN`. What is not finished yet was above the limit, and is exposed.
    pub(crate) fn settle_deferred(&self) {
        loop {
            let Some(deferral) = self.to_settle.borrow_mut().pop_front() else { return };
            let mut deferral = deferral.borrow_mut();
            deferral.is_queued = false;
            if deferral.is_over {
                self.append_held(&mut deferral);
                self.finish(deferral.current.lane, deferral.current.seq, false);
            } else {
                self.show(&mut deferral);
            }
        }
    }
}
