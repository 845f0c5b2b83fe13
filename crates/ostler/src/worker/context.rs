//! What all handles of one worker process share.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use ostler_core::answer_turns::AnswerTurns;
use ostler_core::ids::ProcessKey;
use ostler_core::policy::{AnswerOrder, CrashPolicy};

use super::closed::{Cause, ClosedSessions};
use super::deferred::{DeferredDelivery, SharedDeferral};
use super::inbox::Inbox;
use super::port::Port;
use super::state::StateOverlay;
use super::timers::Timers;
use crate::options::{FramingKind, Options};

/// A delivery as the cause of outputs: the one whose callback is running, or one that was deferred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningDelivery {
    /// Its session.
    pub(crate) session: u64,
    /// Its home lane.
    pub(crate) lane: usize,
    /// Its number there.
    pub(crate) seq: u64,
    /// Position of its record in the package ring.
    pub(crate) position: u64,
    /// Bytes of its payload when it lies in the ring, 0 when not.
    pub(crate) ring_len: usize,
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

/// The settings a worker needs, taken from the options once.
#[derive(Clone, Debug)]
pub(crate) struct WorkerSettings {
    pub(crate) crash_policy: CrashPolicy,
    pub(crate) answer_order: AnswerOrder,
    /// What is not used of a package is given again.
    pub(crate) keeps_unused: bool,
    pub(crate) max_send_bytes: usize,
    pub(crate) send_timeout_ms: u64,
    pub(crate) redeliver_output_bytes: usize,
    pub(crate) max_requests: Option<u64>,
}

impl WorkerSettings {
    pub(crate) fn new(options: &Options, key: ProcessKey) -> Self {
        Self {
            crash_policy: options.crash_policy,
            answer_order: options.answer_order,
            keeps_unused: options.framing == FramingKind::Stream,
            max_send_bytes: options.max_send_bytes,
            send_timeout_ms: options.send_timeout_ms,
            redeliver_output_bytes: options.redeliver_output_bytes,
            max_requests: options.max_requests_of(key.slot),
        }
    }

    /// Whether outputs are held back until their delivery is finished.
    pub(crate) const fn holds_outputs(&self) -> bool {
        matches!(self.crash_policy, CrashPolicy::Redeliver(_))
    }
}

/// Shared by [`crate::Worker`], [`crate::Session`] and what runs on the worker's thread.
pub(crate) struct WorkerContext {
    /// Which of this process's contexts it is: a token finds its own.
    pub(crate) id: u64,
    pub(crate) key: ProcessKey,
    pub(crate) settings: WorkerSettings,
    /// What the factory makes; timers and remotes are meant for it.
    pub(crate) handler_type: TypeId,
    /// What other threads post.
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) port: RefCell<Port>,
    /// The delivery whose callback is running.
    pub(crate) current: Cell<Option<RunningDelivery>>,
    /// It, when it was deferred or waits for its turn: it is not finished when the callback is
    /// over.
    pub(crate) deferral: RefCell<Option<SharedDeferral>>,
    /// The deliveries whose tokens user code has, by the numbers of the tokens.
    pub(crate) tokens: RefCell<HashMap<u64, DeferredDelivery>>,
    pub(crate) last_token: Cell<u64>,
    /// The unfinished deliveries of each session, when their answers keep their order.
    pub(crate) answer_turns: RefCell<AnswerTurns<SharedDeferral>>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) states: RefCell<StateOverlay>,
    pub(crate) closed: RefCell<ClosedSessions>,
    /// Deferred deliveries that wait for the end of the running callback: finished ones, and such
    /// as hold too much.
    pub(crate) to_settle: RefCell<VecDeque<SharedDeferral>>,
    /// Sessions whose message could not be completed and must be told so as soon as there is room.
    pub(crate) aborts: RefCell<Vec<u64>>,
    /// What keeps this process alive while it leaves.
    pub(crate) keep_alive: Cell<usize>,
    /// User code asked to be replaced.
    pub(crate) wants_to_leave: Cell<bool>,
    /// Nothing will be given any more: the process ends when nothing holds it.
    pub(crate) is_leaving: Cell<bool>,
    pub(crate) finished: Cell<u64>,
}

impl WorkerContext {
    pub(crate) fn new(
        key: ProcessKey,
        settings: WorkerSettings,
        handler_type: TypeId,
        inbox: Arc<Inbox>,
        port: Port,
    ) -> Rc<Self> {
        let in_order = settings.answer_order == AnswerOrder::Kept;
        Rc::new(Self {
            id: super::token::next_context_id(),
            key,
            settings,
            handler_type,
            inbox,
            port: RefCell::new(port),
            current: Cell::new(None),
            deferral: RefCell::default(),
            tokens: RefCell::default(),
            last_token: Cell::new(0),
            answer_turns: RefCell::default(),
            timers: RefCell::default(),
            states: RefCell::default(),
            closed: RefCell::new(ClosedSessions::new(in_order)),
            to_settle: RefCell::default(),
            aborts: RefCell::default(),
            keep_alive: Cell::new(0),
            wants_to_leave: Cell::new(false),
            is_leaving: Cell::new(false),
            finished: Cell::new(0),
        })
    }
}
