//! The trace of the callback that runs, and the span that it is.
//!
//! Ids are made when somebody asks for them: user code, a task or message that is sent, or who
//! listens to spans. A callback of which nobody asks costs a few words.

use std::cell::{Cell, RefCell};

use ostler_core::Nanos;
use ostler_core::ids::ProcessKey;
use ostler_core::invariant;
use ostler_core::trace::{SampleRatio, SpanId, SpanIds, TraceContext, Traced, trace_of};
use tracing::Span;
use tracing::field::display;
use tracing::span::EnteredSpan;

use super::context::WorkerContext;
use crate::api::span::{Clocks, DeliveryTimes, FinishedSpan};
use crate::sys::clock;

/// Of what trace a callback is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Of none.
    Nothing,
    /// Of that which this begins.
    New(Traced),
    /// Of that of whoever has caused it.
    Of(TraceContext),
}

/// When what a callback is about was received, and so on; nanoseconds of the monotonic clock. 0:
/// that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// The server had it.
    pub(crate) received: Nanos,
    /// It was written to this process.
    pub(crate) queued: Nanos,
    /// This process began with it.
    pub(crate) taken: Nanos,
    /// The callback returned.
    pub(crate) done: Nanos,
}

impl Times {
    /// Those of what waited nowhere: what is not known was when the callback began.
    const fn or_taken(self) -> Self {
        if self.received > 0 {
            return self;
        }
        Self { received: self.taken, queued: self.taken, ..self }
    }
}

/// A callback that begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) callback: &'static str,
    pub(super) origin: Origin,
    pub(super) times: Times,
    /// 0: it is about none.
    pub(super) session: u64,
    /// How often the same was begun before.
    pub(super) attempt: u16,
}

/// Where in its trace a callback is.
#[derive(Clone, Copy, Debug)]
struct Place {
    context: TraceContext,
    /// Whoever has caused what came.
    parent: Option<SpanId>,
    /// The span of its way through the server, between that and this; `None`: it had none.
    way: Option<SpanId>,
    /// User code has said so.
    is_adopted: bool,
}

/// The callback that runs.
#[derive(Clone, Copy, Debug)]
struct Current {
    beginning: Beginning,
    /// When its span began.
    began: Nanos,
    place: Option<Place>,
    has_failed: bool,
}

/// What is called with every span of a recorded trace.
pub(crate) type OnSpan = Box<dyn FnMut(&FinishedSpan)>;

/// The traces of a process.
pub(crate) struct Traces {
    key: [u64; 2],
    ratio: SampleRatio,
    ids: Cell<SpanIds>,
    current: Cell<Option<Current>>,
    /// As they were when the callback that runs needed them first.
    clocks: Cell<Option<Clocks>>,
    /// The span that a subscriber knows the callback by.
    entered: RefCell<Option<Span>>,
    listener: RefCell<Option<OnSpan>>,
    is_heard: Cell<bool>,
}

impl Traces {
    pub(super) const fn new(key: [u64; 2], process: ProcessKey, ratio: SampleRatio) -> Self {
        Self {
            key,
            ratio,
            ids: Cell::new(SpanIds::new(key, process)),
            current: Cell::new(None),
            clocks: Cell::new(None),
            entered: RefCell::new(None),
            listener: RefCell::new(None),
            is_heard: Cell::new(false),
        }
    }

    /// A callback begins; what is answered is to live until it has returned.
    pub(super) fn begin(&self, beginning: Beginning) -> Option<EnteredSpan> {
        let began = beginning.times.taken;
        self.current.set(Some(Current { beginning, began, place: None, has_failed: false }));
        self.clocks.set(None);
        if tracing::span_enabled!(target: TARGET, tracing::Level::DEBUG) {
            return Some(self.enter(&beginning));
        }
        None
    }

    /// Whoever has subscribed to spans of callbacks is told of this one.
    #[cold]
    fn enter(&self, beginning: &Beginning) -> EnteredSpan {
        let Beginning { callback, times, session, attempt, .. } = *beginning;
        let waited = (times.received > 0).then(|| times.taken.saturating_sub(times.received));
        // What is not known yet may be recorded when it is.
        let place = self.place();
        let context = place.map(|place| place.context);
        let parent = place.and_then(|place| place.parent);
        let span = tracing::debug_span!(
            target: TARGET,
            "callback",
            callback,
            session,
            trace_id = context.map(|context| display(context.trace_id())),
            span_id = context.map(|context| display(context.span_id())),
            parent_id = parent.map(display),
            waited_us = waited.map(|waited| waited / 1_000),
            attempt = attempt.saturating_add(1),
        );
        *self.entered.borrow_mut() = Some(span.clone());
        span.entered()
    }

    /// It has left the callback.
    #[cold]
    fn leave(&self, span: EnteredSpan) {
        drop(span);
        self.entered.take();
    }

    /// The callback that runs fails.
    pub(super) fn failed(&self) {
        if let Some(current) = self.current.get() {
            self.current.set(Some(Current { has_failed: true, ..current }));
        }
    }

    /// The callback that ran is over, also for who looks at what it has failed with.
    pub(super) fn end(&self) {
        if self.is_heard.get() {
            self.tell();
        }
        self.current.set(None);
    }

    /// Tells who listens of the spans that are over, if their trace is recorded.
    #[cold]
    fn tell(&self) {
        let Some(place) = self.place().filter(|place| place.context.is_sampled()) else { return };
        let Some(Current { beginning, began, has_failed, .. }) = self.current.get() else { return };
        let Some(mut listener) = self.listener.take() else { return };
        let done = clock::monotonic_ns().max(began);
        let times = Times { done, ..beginning.times }.or_taken();
        let Beginning { callback, session, attempt, .. } = beginning;
        let span = FinishedSpan {
            callback,
            context: place.context,
            parent: place.way.or(place.parent),
            times,
            began,
            clocks: self.clocks(),
            session,
            attempt: attempt.saturating_add(1),
            has_failed,
            is_way: false,
        };
        if let Some(way) = place.way {
            let (context, parent) = (place.context.with_span(way), place.parent);
            listener(&FinishedSpan { context, parent, is_way: true, has_failed: false, ..span });
        }
        listener(&span);
        // Unless it has chosen another one.
        self.listener.borrow_mut().get_or_insert(listener);
    }

    /// Who hears of spans from now on; nobody else does.
    pub(crate) fn listen(&self, listener: OnSpan) {
        *self.listener.borrow_mut() = Some(listener);
        self.is_heard.set(true);
        // Of a callback that began before nobody has asked when.
        if let Some(current) = self.current.get().filter(|current| current.began == 0) {
            self.current.set(Some(Current { began: clock::monotonic_ns(), ..current }));
        }
    }

    /// Nobody hears of spans any more.
    pub(crate) fn stop_listening(&self) {
        self.is_heard.set(false);
        drop(self.listener.take());
    }

    fn next_id(&self) -> SpanId {
        let mut ids = self.ids.get();
        let id = ids.next_id();
        self.ids.set(ids);
        id
    }

    /// Where the callback that runs is; made now if nobody has asked before.
    fn place(&self) -> Option<Place> {
        let current = self.current.get()?;
        if current.place.is_some() {
            return current.place;
        }
        let place = self.make_place(&current.beginning)?;
        self.current.set(Some(Current { place: Some(place), ..current }));
        Some(place)
    }

    fn make_place(&self, beginning: &Beginning) -> Option<Place> {
        let way = (beginning.times.received > 0).then(|| self.next_id());
        Some(match beginning.origin {
            Origin::Nothing => return None,
            Origin::New(traced) => {
                let trace = trace_of(self.key, traced);
                let mut ids = self.ids.get();
                let context = ids.begin(trace).sampled(self.ratio.samples(trace));
                self.ids.set(ids);
                Place { context, parent: None, way, is_adopted: false }
            }
            Origin::Of(parent) => {
                let context = parent.with_span(self.next_id());
                Place { context, parent: Some(parent.span_id()), way, is_adopted: false }
            }
        })
    }

    /// The context of the callback that runs; `None`: none runs that is of a trace.
    pub(crate) fn context(&self) -> Option<TraceContext> {
        Some(self.place()?.context)
    }

    /// The same for a callback of something that a reactor has given.
    pub(crate) fn context_of_delivery(&self) -> TraceContext {
        self.context().unwrap_or_else(|| {
            invariant!(false, "who has a delivery is called with it");
            let mut ids = self.ids.get();
            ids.begin(trace_of(self.key, Traced::Received { reactor: 0, at: 0 }))
        })
    }

    /// The times of what the callback that runs is about.
    pub(crate) fn times(&self) -> DeliveryTimes {
        let times = self.current.get().map(|current| current.beginning.times);
        DeliveryTimes::new(times.unwrap_or_default(), self.clocks())
    }

    /// What the clocks say, once for the callback that runs.
    fn clocks(&self) -> Clocks {
        let clocks = self.clocks.get().unwrap_or_else(Clocks::now);
        self.clocks.set(Some(clocks));
        clocks
    }

    /// The callback that runs is of another trace than it seemed: of that of whoever has caused
    /// what came. Answers its context; `None`: none runs.
    pub(crate) fn adopt(&self, parent: TraceContext) -> Option<TraceContext> {
        let current = self.current.get()?;
        let (began, way, span) = match self.place() {
            Some(place) if !place.is_adopted => (current.began, place.way, place.context.span_id()),
            before => {
                if before.is_some() && self.is_heard.get() {
                    // What was done in that trace is a span of its own.
                    self.tell();
                    self.clocks.set(None);
                }
                (clock::monotonic_ns(), None, self.next_id())
            }
        };
        let context = parent.with_span(span);
        let place = Place { context, parent: Some(parent.span_id()), way, is_adopted: true };
        self.current.set(Some(Current { began, place: Some(place), ..current }));
        // Not the current one, which may be the user's own.
        let entered = self.entered.borrow().clone();
        if let Some(entered) = entered {
            entered.record("trace_id", display(context.trace_id()));
            entered.record("span_id", display(context.span_id()));
            entered.record("parent_id", display(parent.span_id()));
        }
        Some(context)
    }
}

/// What spans of callbacks are called to subscribers.
pub(crate) const TARGET: &str = "ostler::callback";

impl WorkerContext {
    /// The callback is over, and what it has failed with was looked at.
    pub(super) fn end_traced(&self, span: Option<EnteredSpan>) {
        if let Some(span) = span {
            self.traces.leave(span);
        }
        self.traces.end();
    }

    /// A callback begins that has to do with what was sent in this context.
    pub(super) fn begin_traced(
        &self,
        callback: &'static str,
        cause: Option<TraceContext>,
    ) -> Option<EnteredSpan> {
        let origin = cause.map_or(Origin::Nothing, Origin::Of);
        let taken = if self.traces.is_heard.get() { clock::monotonic_ns() } else { 0 };
        let times = Times { taken, ..Times::default() };
        self.traces.begin(Beginning { callback, origin, times, session: 0, attempt: 0 })
    }
}
