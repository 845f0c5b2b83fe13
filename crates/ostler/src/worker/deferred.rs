//! Deferred deliveries: finished by their token, not by the return of the callback.
//!
//! Their outputs are held here until the delivery is finished, or until it is exposed. From then on
//! they are published as they come, but never into the transaction of another delivery whose
//! callback is running: then they wait for its end.
//!
//! While a delivery is unfinished, those of its session that begin behind it wait for their turn
//! (`answer_order = kept`): they are deferred from the start, without a token, and all that they
//! cause is held until the earlier ones are finished.

use std::cell::RefCell;
use std::rc::Rc;

use ostler_core::policy::AnswerOrder;
use ostler_shm::record::HEADER_SIZE;

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

/// What is held back for an output: its bytes and a header, so that many small ones are bounded
/// too.
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
    /// User code took it out of its callback. Without a token it is over when the callback is.
    has_token: bool,
    /// An earlier delivery of its session is not finished: nothing of it may be published.
    waits: bool,
    /// Its token is gone.
    is_over: bool,
    /// It waits for the end of the running callback.
    is_queued: bool,
}

impl DeferredDelivery {
    /// Takes the running delivery out of its callback. `None` when there is none, or it is deferred
    /// already.
    pub(crate) fn begin(inner: &Rc<WorkerContext>) -> Option<Self> {
        let mut running = inner.current.get()?;
        let waiting = inner.deferral.borrow().clone();
        let deferral = match waiting {
            Some(deferral) if deferral.borrow().has_token => return None,
            Some(deferral) => deferral,
            None => {
                // What the callback sent so far is published before the delivery is finished: it
                // has to be exposed, or a death in between would deliver it again with outputs
                // seen.
                if inner.port.borrow().has_staged() {
                    inner.publish_early(Some(&mut running));
                }
                inner.defer(running)
            }
        };
        deferral.borrow_mut().has_token = true;
        inner.keep_alive.set(inner.keep_alive.get() + 1);
        Some(Self { inner: Rc::clone(inner), deferral })
    }

    /// An output on behalf of this delivery.
    pub(crate) fn output(&mut self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let cause = self.deferral.borrow().current.as_cause();
        self.inner.check_session(session, matches!(output, Output::Send(_)), Some(cause))?;
        self.inner.check_size(output)?;
        let mut deferral = self.deferral.borrow_mut();
        if deferral.waits {
            return deferral.hold_for_turn(session, output, &self.inner);
        }
        let fits = deferral.has_room_for(output, &self.inner);
        if !deferral.current.exposed && fits {
            deferral.hold(session, output, &self.inner);
            return Ok(());
        }
        // Only one transaction fits into the rings at a time, and the running callback has one
        // open. What comes meanwhile is bounded by the limit, or one output, and what is above it
        // refused: waiting would not end, it is the caller that has to return.
        if self.inner.is_transaction_open() {
            if !fits && deferral.held_bytes > 0 {
                return Err(SendError::new(SendErrorKind::Full));
            }
            deferral.hold(session, output, &self.inner);
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
        // A panic ends the process: what it had in hand is for the crash policy to settle, not
        // finished.
        if std::thread::panicking() {
            return;
        }
        self.inner.keep_alive.set(self.inner.keep_alive.get().saturating_sub(1));
        self.inner.end_deferral(&self.deferral);
        // Inside a callback there may be an open transaction.
        if self.inner.current.get().is_none() {
            self.inner.settle_deferred();
        }
    }
}

impl Deferral {
    /// Whether the options allow to hold one output more. There is always room for a close: it is
    /// small, and nothing of its session follows.
    fn has_room_for(&self, output: Output<'_>, inner: &WorkerContext) -> bool {
        matches!(output, Output::Close(_))
            || self.held_bytes + cost(output) <= inner.settings.redeliver_output_bytes
    }

    /// Holds an output until the delivery has its turn, as much as the options allow.
    fn hold_for_turn(
        &mut self,
        session: u64,
        output: Output<'_>,
        inner: &WorkerContext,
    ) -> Result<(), SendError> {
        if self.held_bytes == 0 || self.has_room_for(output, inner) {
            self.hold(session, output, inner);
            return Ok(());
        }
        Err(SendError::new(SendErrorKind::Full))
    }

    fn hold(&mut self, session: u64, output: Output<'_>, inner: &WorkerContext) {
        if let Output::Close(reset) = output {
            inner.note_held_close(session, reset, self.current.as_cause());
        }
        self.held_bytes += cost(output);
        self.held.push(Held::new(session, output));
    }
}

impl WorkerContext {
    /// The running callback says how much of its package it has used; `None` = all.
    pub(crate) fn set_used(&self, used: Option<u32>) {
        if !self.settings.keeps_unused {
            tracing::warn!("Package::consume has no effect: it needs framing = stream");
            return;
        }
        if let Some(deferral) = self.deferral.borrow().as_ref() {
            deferral.borrow_mut().current.used = used;
        } else if let Some(running) = self.current.get() {
            self.current.set(Some(RunningDelivery { used, ..running }));
        }
    }

    /// A callback begins. While an earlier delivery of its session is not finished, it waits for
    /// its turn.
    pub(crate) fn begin_callback(&self, running: RunningDelivery) {
        self.current.set(Some(running));
        if self.answer_turns.borrow().is_busy(running.session) {
            self.defer(running);
        }
    }

    /// The callback is over, and with it its delivery unless that was deferred.
    pub(crate) fn end_callback(&self) {
        let Some(current) = self.current.get() else { return };
        let deferral = self.deferral.take();
        match &deferral {
            None => self.finish(&current, true),
            Some(deferral) => {
                // Its package was copied, or is not needed any more: the ring space is free.
                self.port.borrow_mut().publish(Some(current.lane));
                if !deferral.borrow().has_token {
                    self.end_deferral(deferral);
                }
            }
        }
        self.current.set(None);
        self.settle_deferred();
    }

    /// The running delivery is not finished when its callback is over.
    fn defer(&self, running: RunningDelivery) -> SharedDeferral {
        let deferral = Rc::new(RefCell::new(Deferral {
            current: RunningDelivery { position: 0, ring_len: 0, held_bytes: 0, ..running },
            held: Vec::new(),
            held_bytes: 0,
            has_token: false,
            waits: false,
            is_over: false,
            is_queued: false,
        }));
        if self.settings.answer_order == AnswerOrder::Kept {
            let shared = Rc::clone(&deferral);
            let now = self.answer_turns.borrow_mut().enter(running.session, running.seq, shared);
            deferral.borrow_mut().waits = !now;
        }
        // From here on it is the deferral that has to be exposed, see
        // `WorkerContext::expose_deferral`: the callback holds nothing back any more.
        self.current.set(Some(RunningDelivery { exposed: true, ..running }));
        self.deferral.replace(Some(Rc::clone(&deferral)));
        deferral
    }

    /// An output of the running callback, if its delivery waits for its turn.
    pub(crate) fn hold_for_turn(
        &self,
        session: u64,
        output: Output<'_>,
    ) -> Option<Result<(), SendError>> {
        let running = self.deferral.borrow();
        let mut deferral = running.as_ref()?.borrow_mut();
        deferral.waits.then(|| deferral.hold_for_turn(session, output, self))
    }

    /// Whether the running callback has appended what is to be published together with its `FIN`.
    fn is_transaction_open(&self) -> bool {
        self.current.get().is_some_and(|current| !current.exposed)
            && self.port.borrow().has_staged()
    }

    /// Before the running callback sends something itself: if its delivery was deferred, that is
    /// seen before the delivery is finished, and comes behind what its token has sent.
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

    /// Appends what a deferred delivery holds. It was promised to the caller: a session for which
    /// it finds no room is reset, in the same transaction, because it must not go on as if it had
    /// been sent.
    fn append_held(&self, deferral: &mut Deferral) {
        deferral.held_bytes = 0;
        for held in std::mem::take(&mut deferral.held) {
            let (session, output) = held.parts();
            if let Err(error) = self.append_output(session, output, Some(&mut deferral.current)) {
                tracing::warn!(
                    session,
                    %error,
                    "a deferred output found no room: its session is closed"
                );
                self.append_close(session, true, Some(&mut deferral.current));
            }
        }
    }

    /// A deferred delivery causes no more outputs.
    fn end_deferral(&self, deferral: &SharedDeferral) {
        deferral.borrow_mut().is_over = true;
        self.settle_later(deferral);
    }

    fn settle_later(&self, deferral: &SharedDeferral) {
        if !std::mem::replace(&mut deferral.borrow_mut().is_queued, true) {
            self.to_settle.borrow_mut().push_back(Rc::clone(deferral));
        }
    }

    /// Outside of callbacks: publishes what deferred deliveries left, in the order in which they
    /// did, each as one transaction with its `FIN`. What is not finished yet was above the limit,
    /// and is exposed.
    pub(crate) fn settle_deferred(&self) {
        loop {
            let Some(deferral) = self.to_settle.borrow_mut().pop_front() else { return };
            deferral.borrow_mut().is_queued = false;
            if deferral.borrow().is_over {
                self.settle_over(&deferral);
            } else {
                self.show(&mut deferral.borrow_mut());
            }
        }
    }

    /// A delivery that is over is finished when it has its turn; those that waited for it follow.
    fn settle_over(&self, deferral: &SharedDeferral) {
        if self.settings.answer_order == AnswerOrder::Free {
            return self.finish_deferred(&mut deferral.borrow_mut());
        }
        let RunningDelivery { session, seq, .. } = deferral.borrow().current;
        let ended = self.answer_turns.borrow_mut().end(session, seq);
        for finished in ended.finished {
            self.finish_deferred(&mut finished.borrow_mut());
        }
        let Some(turn) = ended.turn else { return };
        let mut turn = turn.borrow_mut();
        turn.waits = false;
        if turn.current.exposed || turn.held_bytes > self.settings.redeliver_output_bytes {
            self.show(&mut turn);
        }
    }

    fn finish_deferred(&self, deferral: &mut Deferral) {
        self.append_held(deferral);
        self.finish(&deferral.current, false);
    }
}
