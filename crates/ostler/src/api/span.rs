//! Spans that are over, and when what happened.

use std::time::{Duration, SystemTime};

use ostler_core::Nanos;
use ostler_core::trace::{SpanId, TraceContext};

use crate::sys::clock;
use crate::worker::Times;

/// What both clocks say at one moment, by which moments of the one are told as times of the other.
/// Two of them are as far apart then as they were, however often somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clocks {
    monotonic: Nanos,
    today: SystemTime,
}

impl Clocks {
    /// What they say now.
    pub(crate) fn now() -> Self {
        Self { monotonic: clock::monotonic_ns(), today: SystemTime::now() }
    }

    /// A moment of the monotonic clock as a time of day.
    fn time_of_day(self, at: Nanos) -> SystemTime {
        let ago = Duration::from_nanos(self.monotonic.saturating_sub(at));
        let ahead = Duration::from_nanos(at.saturating_sub(self.monotonic));
        let then = self.today.checked_sub(ago).and_then(|then| then.checked_add(ahead));
        then.unwrap_or(self.today)
    }
}

/// When the server received something, handed it to this process, and so on. The clock is one for
/// all processes of the server; as times of day they are as good as the machine's.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{Outcome, Package};
/// fn on_receive(package: &Package) -> Outcome {
///     if package.times().waited() > Duration::from_secs(1) {
///         return Err("nobody waits for this any more".into());
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryTimes(Times, Clocks);

impl DeliveryTimes {
    pub(crate) const fn new(times: Times, clocks: Clocks) -> Self {
        Self(times, clocks)
    }

    /// When the server had received it and could have given it to a worker; of a task, when it was
    /// taken in, and of one that was kept for the next server, when that read it: a delay that was
    /// wished counts as waiting. It stays when it is delivered again. What a client has sent while
    /// nobody could serve it was received later than it was sent: it waited in the kernel.
    ///
    /// ```
    /// # use ostler::Package;
    /// fn note(package: &Package) {
    ///     println!("received at {:?}", package.times().received());
    /// }
    /// ```
    #[must_use]
    pub fn received(&self) -> SystemTime {
        self.1.time_of_day(self.0.received)
    }

    /// When it was written to this process, which may have been busy.
    ///
    /// ```
    /// # use ostler::Package;
    /// fn was_quick(package: &Package) -> bool {
    ///     let times = package.times();
    ///     times.queued().duration_since(times.received()).is_ok_and(|it| it.as_millis() < 10)
    /// }
    /// ```
    #[must_use]
    pub fn queued(&self) -> SystemTime {
        self.1.time_of_day(self.0.queued)
    }

    /// When this process began with it.
    ///
    /// ```
    /// # use ostler::Task;
    /// fn note(task: &Task) {
    ///     println!("begun at {:?}", task.times().taken());
    /// }
    /// ```
    #[must_use]
    pub fn taken(&self) -> SystemTime {
        self.1.time_of_day(self.0.taken)
    }

    /// When its callback returned; `None` while that runs.
    ///
    /// ```
    /// # use ostler::{FinishedSpan, Worker};
    /// fn listen(worker: &Worker) {
    ///     worker.on_span(|span: &FinishedSpan| assert!(span.times().done().is_some()));
    /// }
    /// ```
    #[must_use]
    pub fn done(&self) -> Option<SystemTime> {
        (self.0.done > 0).then(|| self.1.time_of_day(self.0.done))
    }

    /// How long it waited in the server until this process began with it.
    ///
    /// ```
    /// # use ostler::Package;
    /// fn note(package: &Package) {
    ///     println!("waited {:?}", package.times().waited());
    /// }
    /// ```
    #[must_use]
    pub const fn waited(&self) -> Duration {
        Duration::from_nanos(self.0.taken.saturating_sub(self.0.received))
    }

    /// How long ago the server received it.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Package;
    /// fn is_worth_it(package: &Package) -> bool {
    ///     package.times().age() < Duration::from_secs(2)
    /// }
    /// ```
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_nanos(clock::monotonic_ns().saturating_sub(self.0.received))
    }
}

/// What came, before a process began with it.
const WAY: &str = "queue";

/// A span of a recorded trace that is over, for [`Worker::on_span`](crate::Worker::on_span): a
/// callback, or the way through the server of what it was about.
///
/// ```
/// # use ostler::{FinishedSpan, Worker};
/// fn listen(worker: &Worker) {
///     worker.on_span(|span: &FinishedSpan| {
///         println!("{} {} took {:?}", span.context(), span.name(), span.duration());
///     });
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FinishedSpan {
    /// The callback, also of a way.
    pub(crate) callback: &'static str,
    pub(crate) context: TraceContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) times: Times,
    /// When the callback began, or went on with this trace after another one.
    pub(crate) began: Nanos,
    /// For its times and those of its way.
    pub(crate) clocks: Clocks,
    pub(crate) session: u64,
    pub(crate) attempt: u16,
    pub(crate) has_failed: bool,
    /// Not a callback.
    pub(crate) is_way: bool,
}

impl FinishedSpan {
    /// The callback, as the method of [`Handler`](crate::Handler) is called (`on_receive`,
    /// `on_task`, …); `on_writable`, `on_reply`, `command`, `timer`, `post`, `reload` for closures
    /// and functions that were handed over, `run` for the body of a user process. Or `queue`: from
    /// when the server had it to when the callback began.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn is_of_a_task(span: &FinishedSpan) -> bool {
    ///     span.name() == "on_task"
    /// }
    /// ```
    #[must_use]
    pub const fn name(&self) -> &'static str {
        if self.is_way { WAY } else { self.callback }
    }

    /// Its trace and its own id.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn note(span: &FinishedSpan) {
    ///     println!("trace_id={}", span.context().trace_id());
    /// }
    /// ```
    #[must_use]
    pub const fn context(&self) -> TraceContext {
        self.context
    }

    /// The span that has caused it; `None`: the trace begins here.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn begins_here(span: &FinishedSpan) -> bool {
    ///     span.parent().is_none()
    /// }
    /// ```
    #[must_use]
    pub const fn parent(&self) -> Option<SpanId> {
        self.parent
    }

    /// When what it was about was received, and so on.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn note(span: &FinishedSpan) {
    ///     println!("waited {:?}", span.times().waited());
    /// }
    /// ```
    #[must_use]
    pub const fn times(&self) -> DeliveryTimes {
        DeliveryTimes(self.times, self.clocks)
    }

    /// When it began.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn note(span: &FinishedSpan) {
    ///     println!("{} began at {:?}", span.name(), span.began());
    /// }
    /// ```
    #[must_use]
    pub fn began(&self) -> SystemTime {
        self.clocks.time_of_day(self.moments().0)
    }

    /// When it was over.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn note(span: &FinishedSpan) {
    ///     println!("{} was over at {:?}", span.name(), span.ended());
    /// }
    /// ```
    #[must_use]
    pub fn ended(&self) -> SystemTime {
        self.clocks.time_of_day(self.moments().1)
    }

    /// How long it took.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::FinishedSpan;
    /// fn is_slow(span: &FinishedSpan) -> bool {
    ///     span.duration() > Duration::from_millis(100)
    /// }
    /// ```
    #[must_use]
    pub const fn duration(&self) -> Duration {
        let (began, ended) = self.moments();
        Duration::from_nanos(ended.saturating_sub(began))
    }

    const fn moments(&self) -> (Nanos, Nanos) {
        let Times { received, taken, done, .. } = self.times;
        if self.is_way { (received, taken) } else { (self.began, done) }
    }

    /// The session that it was about, if it was about one.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn note(span: &FinishedSpan) {
    ///     println!("session={:?}", span.session());
    /// }
    /// ```
    #[must_use]
    pub const fn session(&self) -> Option<u64> {
        if self.session == 0 { None } else { Some(self.session) }
    }

    /// The how manieth attempt it was, from 1: more for what workers had that died. Of tasks this
    /// is counted; 2 of a package is every delivery but the first.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn was_first(span: &FinishedSpan) -> bool {
    ///     span.attempt() == 1
    /// }
    /// ```
    #[must_use]
    pub const fn attempt(&self) -> u16 {
        self.attempt
    }

    /// Whether the callback returned an error.
    ///
    /// ```
    /// # use ostler::FinishedSpan;
    /// fn note(span: &FinishedSpan) {
    ///     println!("{} failed: {}", span.name(), span.has_failed());
    /// }
    /// ```
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.has_failed
    }
}
