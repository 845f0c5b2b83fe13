//! The token of a deferred delivery, for any thread: on the worker's own thread it acts at once,
//! elsewhere it posts what is to be done.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ostler_core::invariant;
use ostler_shm::peer::PeerBlock;

use super::context::WorkerContext;
use super::datagrams::SendingPort;
use super::deferred::DeferredDelivery;
use super::handlers::HandlerId;
use super::inbox::{Inbox, Refused};
use super::output::Output;
use super::owned_output::{NO_SESSION, OwnedOutput};
use super::running::RunningDelivery;
use crate::api::send_error::{SendError, SendErrorKind};
use crate::api::worker::Worker;

thread_local! {
    /// The worker that lives on this thread.
    static HERE: RefCell<Weak<WorkerContext>> = const { RefCell::new(Weak::new()) };
}

/// Names a worker context within this process.
static NEXT_CONTEXT: AtomicU64 = AtomicU64::new(1);

/// A number for a new context.
pub(crate) fn next_context_id() -> u64 {
    NEXT_CONTEXT.fetch_add(1, Ordering::Relaxed)
}

/// This thread is the one of `context` from now on.
pub(crate) fn live_here(context: &Rc<WorkerContext>) {
    HERE.set(Rc::downgrade(context));
}

fn context_here(id: u64) -> Option<Rc<WorkerContext>> {
    // Nothing is here any more while the thread ends.
    let here = HERE.try_with(|here| here.borrow().upgrade()).ok().flatten();
    here.filter(|context| context.id == id)
}

/// The deliveries whose tokens user code has, by the numbers of the tokens. One is taken out while
/// it is worked on, so that nothing of the table is borrowed then.
#[derive(Default)]
pub(crate) struct Tokens {
    deliveries: RefCell<HashMap<u64, DeferredDelivery>>,
    last: Cell<u64>,
}

impl Tokens {
    /// Makes a number for a delivery.
    fn add(&self, delivery: DeferredDelivery) -> u64 {
        let number = self.last.get() + 1;
        self.last.set(number);
        self.put_back(number, delivery);
        number
    }

    fn take(&self, number: u64) -> Option<DeferredDelivery> {
        self.deliveries.borrow_mut().remove(&number)
    }

    fn put_back(&self, number: u64, delivery: DeferredDelivery) {
        self.deliveries.borrow_mut().insert(number, delivery);
    }
}

/// Finishes its delivery when it is dropped, on whatever thread.
pub(crate) struct DeferredToken {
    context: u64,
    delivery: u64,
    session: u64,
    inbox: Arc<Inbox>,
    /// Bytes of outputs that were posted and did not arrive yet; while there are any, everything is
    /// posted, or it would overtake them.
    on_the_way: Arc<AtomicUsize>,
    /// The most of them.
    on_the_way_max: usize,
    max_send_bytes: usize,
    session_state_max_bytes: usize,
}

/// What an output costs on its way, besides its bytes.
const POSTED_COST_BYTES: usize = 64;

impl DeferredToken {
    /// Takes the running delivery out of its callback. `None` when it is deferred already.
    pub(crate) fn begin(context: &Rc<WorkerContext>) -> Option<Self> {
        let RunningDelivery { port, session, .. } = context.running.delivery()?;
        let deferred = DeferredDelivery::begin(context)?;
        let delivery = context.tokens.add(deferred);
        Some(Self {
            context: context.id,
            delivery,
            session,
            inbox: Arc::clone(&context.inbox),
            on_the_way: Arc::default(),
            on_the_way_max: context.settings.redeliver_output_bytes,
            max_send_bytes: context.settings.port(port).max_send_bytes,
            session_state_max_bytes: context.settings.session_state_max_bytes,
        })
    }

    /// The context, if this is its thread and nothing is on its way to it.
    fn at_home(&self) -> Option<Rc<WorkerContext>> {
        context_here(self.context).filter(|_| self.on_the_way.load(Ordering::Acquire) == 0)
    }

    /// The delivery has used so much of its package; `None` = all.
    pub(crate) fn set_used(&self, used: Option<u32>) {
        if let Some(context) = self.at_home() {
            return set_used(&context, self.delivery, used);
        }
        let delivery = self.delivery;
        self.inbox.post_always(Box::new(move |_, worker| {
            set_used(worker.context(), delivery, used);
            Ok(())
        }));
    }

    /// An output of the delivery.
    pub(crate) fn output(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        if let Some(context) = self.at_home() {
            let Some(mut deferred) = context.tokens.take(self.delivery) else {
                invariant!(false, "a delivery stays until its token is dropped");
                return Err(SendError::gone(None));
            };
            let result = deferred.output(session, output);
            context.tokens.put_back(self.delivery, deferred);
            return result;
        }
        match output {
            Output::Send(bytes) if bytes.len() > self.max_send_bytes => {
                return Err(SendError::too_long(bytes.len(), self.max_send_bytes));
            }
            Output::State(state) if state.len() > self.session_state_max_bytes => {
                return Err(SendError::state_too_long(state.len(), self.session_state_max_bytes));
            }
            _ => {}
        }
        let posted = OwnedOutput::new(session, output);
        self.post(posted, POSTED_COST_BYTES + output.len())
    }

    /// A datagram as an output of the delivery.
    pub(crate) fn send_datagram(
        &self,
        port: SendingPort,
        peer: &PeerBlock,
        bytes: &[u8],
    ) -> Result<(), SendError> {
        self.output(NO_SESSION, Output::Datagram(port.datagram(peer, bytes)?))
    }

    fn post(&self, posted: OwnedOutput, cost: usize) -> Result<(), SendError> {
        let before = self.on_the_way.fetch_add(cost, Ordering::AcqRel);
        let is_close = matches!(posted, OwnedOutput::Close(..));
        if before > 0 && before + cost > self.on_the_way_max && !is_close {
            self.on_the_way.fetch_sub(cost, Ordering::AcqRel);
            return Err(SendError::new(SendErrorKind::Full));
        }
        let (delivery, on_the_way) = (self.delivery, Arc::clone(&self.on_the_way));
        let arrive = move |worker: &Worker| {
            arrive(worker.context(), delivery, &posted);
            on_the_way.fetch_sub(cost, Ordering::AcqRel);
        };
        let result = self.inbox.post(
            HandlerId::Server,
            Box::new(move |_, worker| {
                arrive(worker);
                Ok(())
            }),
        );
        result.map_err(|refused| {
            self.on_the_way.fetch_sub(cost, Ordering::AcqRel);
            match refused {
                Refused::Full => SendError::new(SendErrorKind::Full),
                Refused::Ended => SendError::gone(None),
            }
        })
    }

    /// The thread that had the token panics: nobody will answer any more.
    fn abandon(context: &WorkerContext, delivery: u64, session: u64) {
        if session == NO_SESSION {
            if context.complaints.package_lost.admits() {
                tracing::error!("a deferred datagram was lost in a panic");
            }
            return;
        }
        if context.complaints.package_lost.admits() {
            let text = "a deferred package was lost in a panic, its session is closed";
            tracing::error!(session, "{text}");
        }
        arrive(context, delivery, &OwnedOutput::Close(session, false));
    }
}

impl Drop for DeferredToken {
    fn drop(&mut self) {
        if let Some(context) = self.at_home() {
            // Taken out first: finishing may publish, and looks at nothing of the table.
            let deferred = context.tokens.take(self.delivery);
            return drop(deferred);
        }
        let (delivery, session) = (self.delivery, self.session);
        let in_panic = std::thread::panicking();
        // A worker that has ended has settled nothing: the master does.
        self.inbox.post_always(Box::new(move |_, worker| {
            if in_panic {
                Self::abandon(worker.context(), delivery, session);
            }
            let deferred = worker.context().tokens.take(delivery);
            drop(deferred);
            Ok(())
        }));
    }
}

fn set_used(context: &WorkerContext, delivery: u64, used: Option<u32>) {
    if let Some(deferred) = context.tokens.take(delivery) {
        deferred.set_used(used);
        context.tokens.put_back(delivery, deferred);
    }
}

/// A posted output is at its worker. It was accepted: a session for which it finds no room is
/// reset, because it must not go on as if it had been sent. A datagram may be lost anywhere.
fn arrive(context: &WorkerContext, delivery: u64, posted: &OwnedOutput) {
    let (session, output) = posted.parts();
    let Some(mut deferred) = context.tokens.take(delivery) else {
        invariant!(false, "what a token has posted arrives before its end");
        return;
    };
    match deferred.output(session, output) {
        Err(error) if !output.is_of_session() => context.datagram_lost(&error),
        Err(error) if !error.is_gone() => {
            if context.complaints.output_lost.admits() {
                let text = "a deferred output found no room: its session is closed";
                tracing::warn!(session, %error, "{text}");
            }
            // Gone meanwhile: then there is nothing to reset.
            let _ = deferred.output(session, Output::Close(true));
        }
        Ok(()) | Err(_) => {}
    }
    context.tokens.put_back(delivery, deferred);
}
