//! Deferred deliveries: finished by their token, not by the return of the callback.
//!
//! Their outputs are held here until the delivery is finished, or until it is exposed. From then on
//! they are published as they come, but never into the transaction of another delivery whose
//! callback is running: then they wait for its end.
//!
//! While a delivery is unfinished, those of its session that begin behind it wait for their turn
//! (`answer_order = kept`): they are deferred from the start, without a token, and all that they
//! cause is held until the earlier ones are finished.

mod held;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use ostler_core::answer_turns::{AnswerTurns, Ended};
use ostler_core::ids::PortId;
use ostler_core::invariant;

use super::context::WorkerContext;
use super::leaving::{Holder, HolderId};
use super::output::Output;
use super::owned_output::{NO_SESSION, OwnedOutput};
use super::running::RunningDelivery;
use crate::api::send_error::{SendError, SendErrorKind};

/// The token of a delivery that was deferred.
pub(crate) struct DeferredDelivery {
    context: Rc<WorkerContext>,
    deferral: SharedDeferral,
    hold: HolderId,
}

/// Shared by the token, the callback that it was taken in, and the ends of other callbacks.
pub(crate) type SharedDeferral = Rc<RefCell<Deferral>>;

/// A delivery that was deferred.
pub(crate) struct Deferral {
    /// As the cause of its outputs. Its package is not in the ring any more.
    current: RunningDelivery,
    held: Vec<OwnedOutput>,
    held_bytes: usize,
    /// How often user code took it out of its callback: it is over when the last of those tokens is
    /// gone; without one, when the callback is.
    tokens: usize,
    /// An earlier delivery of its session is not finished: nothing of it may be published.
    waits: bool,
    /// Its callback has sent something while it waited: that is seen as soon as it has its turn,
    /// because its token may be waiting for what follows.
    shows_at_turn: bool,
    /// Its token is gone.
    is_over: bool,
    /// It waits for the end of the running callback.
    is_queued: bool,
}

impl DeferredDelivery {
    /// Takes the running delivery out of its callback. `None` when there is none, or it is deferred
    /// already.
    pub(crate) fn begin(context: &Rc<WorkerContext>) -> Option<Self> {
        let tokens = context.running.with_deferral(|deferral| deferral.borrow().tokens);
        if tokens.unwrap_or(0) > 0 { None } else { Self::share(context) }
    }

    /// The same, also when it is deferred already: it is finished when all are done with it. `None`
    /// when none is running.
    pub(super) fn share(context: &Rc<WorkerContext>) -> Option<Self> {
        let mut running = context.running.delivery()?;
        let deferral = match context.running.with_deferral(Rc::clone) {
            Some(deferral) => deferral,
            None => {
                // What the callback sent so far is published before the delivery is finished: it
                // has to be exposed, or a death in between would deliver it again with outputs
                // seen.
                if context.sender.has_staged() || context.holds_back(&running) {
                    context.sender.publish_early(Some(&mut running));
                    context.release_held(&running);
                }
                context.defer(running)
            }
        };
        deferral.borrow_mut().tokens += 1;
        let hold = context.leaving.hold(Holder::Deferred(running.session));
        Some(Self { context: Rc::clone(context), deferral, hold })
    }

    /// An output on behalf of this delivery. A datagram was checked where it comes from.
    pub(crate) fn output(&mut self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let (cause, waits) = {
            let deferral = self.deferral.borrow();
            (deferral.current.as_cause(), deferral.waits)
        };
        if output.is_of_session() {
            let is_seen_now = output.is_for_client() && !waits;
            self.context.sessions.check(session, is_seen_now, Some(cause))?;
            self.context.sessions.check_files(session, output)?;
            self.context.check_size(session, output)?;
        }
        let mut deferral = self.deferral.borrow_mut();
        if deferral.waits {
            return deferral.hold_for_turn(session, output, &self.context);
        }
        let fits = deferral.has_room_for(output, &self.context);
        if !deferral.current.exposed && fits {
            deferral.hold(session, output, &self.context);
            return Ok(());
        }
        // Only one transaction fits into the rings at a time, and the running callback has one
        // open. What comes meanwhile is bounded by the limit, or one output, and what is above it
        // refused: waiting would not end, it is the caller that has to return.
        if self.context.is_transaction_open() {
            if !fits && deferral.held_bytes > 0 {
                return Err(SendError::new(SendErrorKind::Full));
            }
            deferral.hold(session, output, &self.context);
            drop(deferral);
            self.context.settle_later(&self.deferral);
            return Ok(());
        }
        self.context.show(&mut deferral);
        let result = self.context.append_output(session, output, Some(&mut deferral.current));
        self.context.sender.publish();
        result
    }
}

impl DeferredDelivery {
    /// Its number on its lane.
    pub(super) fn seq(&self) -> u64 {
        self.deferral.borrow().current.seq
    }

    /// Whether every earlier delivery of its session is finished.
    pub(super) fn has_turn(&self) -> bool {
        !self.deferral.borrow().waits
    }

    /// What it causes is seen from now on. It has its turn, and no transaction is open.
    pub(super) fn show(&self) {
        self.context.show(&mut self.deferral.borrow_mut());
    }

    /// It has used so much of its package; `None` = all.
    pub(crate) fn set_used(&self, used: Option<u32>) {
        let port = self.deferral.borrow().current.port;
        if self.context.may_leave_a_rest(port) {
            self.deferral.borrow_mut().current.used = used;
        }
    }
}

impl Drop for DeferredDelivery {
    fn drop(&mut self) {
        // A panic ends the process: what it had in hand is for the crash policy to settle, not
        // finished.
        if std::thread::panicking() {
            return;
        }
        self.context.leaving.release(self.hold);
        let mut deferral = self.deferral.borrow_mut();
        deferral.tokens -= 1;
        if deferral.tokens > 0 {
            return;
        }
        drop(deferral);
        self.context.end_deferral(&self.deferral);
        // Inside a callback there may be an open transaction.
        if self.context.running.delivery().is_none() {
            self.context.settle_deferred();
        }
    }
}

/// The deliveries that are not finished with their callbacks.
pub(crate) struct Deferrals {
    /// The unfinished deliveries of each session, when their answers keep their order.
    turns: RefCell<AnswerTurns<SharedDeferral>>,
    keeps_order: bool,
    /// Those that wait for the end of the running callback: finished ones, and such as hold too
    /// much.
    to_settle: RefCell<VecDeque<SharedDeferral>>,
}

impl Deferrals {
    pub(super) fn new(keeps_order: bool) -> Self {
        Self { turns: RefCell::default(), keeps_order, to_settle: RefCell::default() }
    }

    /// Whether a delivery of this session would have to wait for its turn.
    fn is_busy(&self, session: u64) -> bool {
        self.turns.borrow().is_busy(session)
    }

    /// Whether the answers of this session keep their order. Datagrams are of none: those of
    /// different peers have nothing to do with each other, and the network may change their order.
    const fn keeps_order_of(&self, session: u64) -> bool {
        self.keeps_order && session != NO_SESSION
    }

    /// Takes a delivery in; whether it has its turn at once.
    fn enter(&self, delivery: &RunningDelivery, deferral: &SharedDeferral) -> bool {
        let enter = || {
            let shared = Rc::clone(deferral);
            self.turns.borrow_mut().enter(delivery.session, delivery.seq, shared)
        };
        !self.keeps_order_of(delivery.session) || enter()
    }

    /// A delivery is over: who is finished with it, and whose turn it is.
    fn end(&self, delivery: &RunningDelivery) -> Ended<SharedDeferral> {
        self.turns.borrow_mut().end(delivery.session, delivery.seq)
    }

    /// It is looked at when no callback is running.
    fn queue(&self, deferral: SharedDeferral) {
        self.to_settle.borrow_mut().push_back(deferral);
    }

    fn next_queued(&self) -> Option<SharedDeferral> {
        self.to_settle.borrow_mut().pop_front()
    }
}

impl WorkerContext {
    /// Whether a handler may use a part of a package.
    fn may_leave_a_rest(&self, port: PortId) -> bool {
        let may = self.settings.port(port).keeps_unused;
        if !may && self.complaints.consume_ignored.admits() {
            tracing::warn!("Package::consume has no effect: it needs framing = stream");
        }
        may
    }

    /// The most bytes of the running callback's package that may be left unused, if any may.
    pub(crate) fn running_stream_max_length(&self) -> Option<usize> {
        let port = self.settings.port(self.running.delivery()?.port);
        port.keeps_unused.then_some(port.package_max_length)
    }

    /// Whether the running delivery does not end with its callback, or its session was closed.
    pub(crate) fn is_running_deferred_or_closed(&self) -> bool {
        let Some(running) = self.running.delivery() else { return true };
        self.running.with_deferral(|_| ()).is_some()
            || self
                .sessions
                .skips_package(running.as_cause(), self.settings.port(running.port).discards_gone)
    }

    /// The running callback says how much of its package it has used; `None` = all.
    pub(crate) fn set_used(&self, used: Option<u32>) {
        let Some(running) = self.running.delivery() else { return };
        if !self.may_leave_a_rest(running.port) {
            return;
        }
        let deferred = self.running.with_deferral(|deferral| {
            deferral.borrow_mut().current.used = used;
        });
        if deferred.is_none() {
            self.running.update(Some(RunningDelivery { used, ..running }));
        }
    }

    /// A callback begins. While an earlier delivery of its session is not finished, it waits for
    /// its turn.
    pub(crate) fn begin_callback(&self, running: RunningDelivery) {
        self.running.begin(running);
        if self.deferrals.is_busy(running.session) {
            self.defer(running);
        }
    }

    /// The callback is over, and with it its delivery unless that was deferred.
    pub(crate) fn end_callback(&self) {
        let Some(current) = self.running.delivery() else {
            invariant!(false, "a callback that ends has begun");
            return;
        };
        let deferral = self.running.take_deferral();
        match &deferral {
            None => self.finish(&current, true),
            Some(deferral) => {
                // Its package was copied, or is not needed any more: the ring space is free.
                self.sender.publish_and_free(current.lane);
                if deferral.borrow().tokens == 0 {
                    self.end_deferral(deferral);
                }
            }
        }
        self.running.end();
        self.settle_deferred();
    }

    /// The running delivery is not finished when its callback is over.
    fn defer(&self, running: RunningDelivery) -> SharedDeferral {
        let deferral = Rc::new(RefCell::new(Deferral {
            current: RunningDelivery {
                position: 0,
                ring_len: 0,
                area: None,
                held_bytes: 0,
                ..running
            },
            held: Vec::new(),
            held_bytes: 0,
            tokens: 0,
            waits: false,
            shows_at_turn: false,
            is_over: false,
            is_queued: false,
        }));
        let has_turn = self.deferrals.enter(&running, &deferral);
        deferral.borrow_mut().waits = !has_turn;
        self.running.defer(running, Rc::clone(&deferral));
        deferral
    }

    /// Whether what the running callback sends is held until its delivery has its turn. It does not
    /// matter then that the session is full now: what makes it so is written before.
    pub(super) fn waits_for_turn(&self) -> bool {
        self.running.with_deferral(|deferral| deferral.borrow().waits).unwrap_or(false)
    }

    /// An output of the running callback, if its delivery waits for its turn.
    pub(crate) fn hold_for_turn(
        &self,
        session: u64,
        output: Output<'_>,
    ) -> Option<Result<(), SendError>> {
        let held = self.running.with_deferral(|deferral| {
            let mut deferral = deferral.borrow_mut();
            deferral.shows_at_turn |= deferral.waits;
            deferral.waits.then(|| deferral.hold_for_turn(session, output, self))
        });
        held.flatten()
    }

    /// Whether the running callback has appended what is to be published together with its `FIN`.
    pub(super) fn is_transaction_open(&self) -> bool {
        self.running.delivery().is_some_and(|running| !running.exposed) && self.sender.has_staged()
    }

    /// Before the running callback sends something itself: if its delivery was deferred, that is
    /// seen before the delivery is finished, and comes behind what its token has sent.
    pub(crate) fn expose_deferral(&self) {
        let running = self.running.delivery();
        if running.is_some_and(|running| self.settings.port(running.port).holds_outputs()) {
            self.running.with_deferral(|deferral| self.show(&mut deferral.borrow_mut()));
        }
    }

    /// Exposes a deferred delivery and publishes what it holds, unless it waits for its turn: then
    /// earlier ones come first. No transaction is open.
    fn show(&self, deferral: &mut Deferral) {
        if !deferral.current.exposed {
            self.sender.publish_early(Some(&mut deferral.current));
        }
        if !deferral.waits {
            self.append_held(deferral);
        }
        self.sender.publish();
    }

    /// A deferred delivery causes no more outputs.
    fn end_deferral(&self, deferral: &SharedDeferral) {
        deferral.borrow_mut().is_over = true;
        self.settle_later(deferral);
    }

    fn settle_later(&self, deferral: &SharedDeferral) {
        if !std::mem::replace(&mut deferral.borrow_mut().is_queued, true) {
            self.deferrals.queue(Rc::clone(deferral));
        }
    }

    /// Outside of callbacks: publishes what deferred deliveries left, in the order in which they
    /// did, each as one transaction with its `FIN`. What is not finished yet was above the limit,
    /// and is exposed.
    pub(crate) fn settle_deferred(&self) {
        loop {
            let Some(deferral) = self.deferrals.next_queued() else { return };
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
        let current = deferral.borrow().current;
        if !self.deferrals.keeps_order_of(current.session) {
            return self.finish_deferred(&mut deferral.borrow_mut());
        }
        let ended = self.deferrals.end(&current);
        for finished in ended.finished {
            self.finish_deferred(&mut finished.borrow_mut());
        }
        let Some(turn) = ended.turn else { return };
        let mut turn = turn.borrow_mut();
        turn.waits = false;
        let holds_too_much = turn.held_bytes > self.settings.redeliver_output_bytes;
        if turn.current.exposed || turn.shows_at_turn || holds_too_much {
            self.show(&mut turn);
        }
    }

    fn finish_deferred(&self, deferral: &mut Deferral) {
        self.append_held(deferral);
        self.finish(&deferral.current, false);
    }
}

#[cfg(test)]
mod tests;
