//! The delivery whose callback is running.

use std::cell::{Cell, RefCell};

use ostler_core::ids::PortId;

use super::closed::Cause;
use super::deferred::SharedDeferral;

/// A delivery as the cause of outputs: the one whose callback is running, or one that was deferred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningDelivery {
    /// Its session.
    pub(crate) session: u64,
    /// The port on which that came.
    pub(crate) port: PortId,
    /// Its home lane.
    pub(crate) lane: usize,
    /// Its number there.
    pub(crate) seq: u64,
    /// Position of its record in the package ring.
    pub(crate) position: u64,
    /// Bytes of its payload when it lies in the ring, 0 when not.
    pub(crate) ring_len: usize,
    /// Address and length of its payload when it lies in its reactor's area.
    pub(crate) area: Option<(usize, usize)>,
    /// Its outputs are published as they come, it is never delivered again.
    pub(crate) exposed: bool,
    /// Bytes of its outputs that are held back.
    pub(crate) held_bytes: usize,
    /// Bytes of its package that were used, if not all of them.
    pub(crate) used: Option<u32>,
    /// A package of a session that was closed before: no handler sees it.
    pub(crate) skipped: bool,
}

impl RunningDelivery {
    /// It, as the cause of its outputs.
    pub(crate) const fn as_cause(&self) -> Cause {
        Cause { session: self.session, seq: self.seq }
    }
}

/// What is running: nothing, a delivery that is finished when its callback is over, or one that was
/// deferred. A deferral exists only while a delivery is running.
#[derive(Default)]
pub(crate) struct Running {
    delivery: Cell<Option<RunningDelivery>>,
    /// It, when it was deferred or waits for its turn: it is not finished when the callback is
    /// over.
    deferral: RefCell<Option<SharedDeferral>>,
}

impl Running {
    /// A callback begins.
    pub(super) fn begin(&self, delivery: RunningDelivery) {
        self.delivery.set(Some(delivery));
    }

    /// The delivery; `None` between callbacks.
    pub(super) fn delivery(&self) -> Option<RunningDelivery> {
        self.delivery.get()
    }

    /// Keeps what became of it: outputs were caused, or a part of its package was used.
    pub(super) fn update(&self, delivery: Option<RunningDelivery>) {
        self.delivery.set(delivery);
    }

    /// It is not finished when its callback is over. From here on it is the deferral that has to be
    /// exposed, see [`WorkerContext::expose_deferral`](super::context::WorkerContext): the callback
    /// holds nothing back any more.
    pub(super) fn defer(&self, delivery: RunningDelivery, deferral: SharedDeferral) {
        self.delivery.set(Some(RunningDelivery { exposed: true, ..delivery }));
        self.deferral.replace(Some(deferral));
    }

    /// Looks at its deferral, if it was deferred. The look must not begin, defer or end it.
    pub(super) fn with_deferral<T>(&self, look: impl FnOnce(&SharedDeferral) -> T) -> Option<T> {
        self.deferral.borrow().as_ref().map(look)
    }

    /// The callback is over: its deferral, if there is one, goes on alone.
    pub(super) fn take_deferral(&self) -> Option<SharedDeferral> {
        self.deferral.take()
    }

    /// Nothing is running any more.
    pub(super) fn end(&self) {
        self.delivery.set(None);
    }
}
