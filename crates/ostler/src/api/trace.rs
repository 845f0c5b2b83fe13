//! The trace of what a callback is about: where it is read, and how one from outside is gone on
//! with.

use ostler_core::trace::{TraceContext, TraceparentError};

use super::message::Message;
use super::package::{Deferred, Package};
use super::packet::Packet;
use super::span::{DeliveryTimes, FinishedSpan};
use super::task::Task;
use super::worker::Worker;

impl Package {
    /// Where in which trace this callback is: what is asked of others belongs there. Tasks,
    /// messages and calls take it along by themselves; to other programs it goes as the header
    /// `traceparent`, which `Display` writes. A package that is delivered again is of the same
    /// trace.
    ///
    /// ```
    /// # use ostler::Package;
    /// fn request(package: &Package) -> String {
    ///     let trace = package.trace();
    ///     format!("GET /price HTTP/1.1\r\ntraceparent: {trace}\r\n\r\n")
    /// }
    /// ```
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.context().traces.context_of_delivery()
    }

    /// The client says of which trace its package is, in a header of its own protocol: from here
    /// on the callback, and what it asks for, belong to that. Answers the context that the callback
    /// has then. A recorded trace stays one, whatever `trace_sample_ppm` says.
    ///
    /// ```
    /// # use ostler::{Outcome, Package};
    /// fn on_receive(package: &Package) -> Outcome {
    ///     let mut lines = package.split(|byte| *byte == b'\n');
    ///     if let Some(value) = lines.find_map(|line| line.strip_prefix(b"traceparent: ")) {
    ///         let _ = package.adopt_trace(value.trim_ascii()); // one that is wrong is none
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// What is wrong with it. The package stays of the trace that it was of.
    pub fn adopt_trace(
        &self,
        traceparent: impl AsRef<[u8]>,
    ) -> Result<TraceContext, TraceparentError> {
        let parent = TraceContext::parse(traceparent.as_ref())?;
        Ok(self.context().traces.adopt(parent).unwrap_or(parent))
    }

    /// When it was received, handed to this worker, and begun.
    ///
    /// ```
    /// # use ostler::Package;
    /// fn note(package: &Package) {
    ///     println!("waited {:?}", package.times().waited());
    /// }
    /// ```
    #[must_use]
    pub fn times(&self) -> DeliveryTimes {
        self.context().traces.times()
    }
}

impl Deferred {
    /// The context of the callback in which the package was deferred, as [`Package::trace`].
    ///
    /// ```
    /// # use ostler::Deferred;
    /// fn note(deferred: &Deferred) {
    ///     println!("{} is late", deferred.trace());
    /// }
    /// ```
    #[must_use]
    pub const fn trace(&self) -> TraceContext {
        self.trace
    }
}

impl Packet {
    /// Where in which trace this callback is, as [`Package::trace`].
    ///
    /// ```
    /// # use ostler::Packet;
    /// fn note(packet: &Packet) {
    ///     println!("trace_id={}", packet.trace().trace_id());
    /// }
    /// ```
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.context().traces.context_of_delivery()
    }

    /// When it was received, handed to this worker, and begun.
    ///
    /// ```
    /// # use ostler::Packet;
    /// fn note(packet: &Packet) {
    ///     println!("waited {:?}", packet.times().waited());
    /// }
    /// ```
    #[must_use]
    pub fn times(&self) -> DeliveryTimes {
        self.context().traces.times()
    }
}

impl Task {
    /// Where in which trace this run of the task is: in that of the callback that has asked it,
    /// also when a worker died that had it, or the server was restarted (`task_journal`).
    ///
    /// ```
    /// # use ostler::Task;
    /// fn note(task: &Task) {
    ///     println!("trace_id={} attempt={}", task.trace().trace_id(), task.attempt());
    /// }
    /// ```
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.context().traces.context_of_delivery()
    }

    /// When it was asked, handed to this worker, and begun. Of a task that the server before has
    /// kept, as if it had been asked when this one began; a delay that was wished is waiting, too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Task;
    /// fn is_worth_it(task: &Task) -> bool {
    ///     task.times().age() < Duration::from_secs(60)
    /// }
    /// ```
    #[must_use]
    pub fn times(&self) -> DeliveryTimes {
        self.context().traces.times()
    }
}

impl Message {
    /// Where in which trace it was sent, if it was sent in a callback of one. In `on_message` the
    /// callback is of that trace by itself; who waits for messages goes on with it by
    /// [`Worker::continue_trace`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Worker;
    /// fn next(worker: &Worker) {
    ///     let message = worker.wait_for_message(Duration::from_secs(1));
    ///     if let Some(trace) = message.and_then(|message| message.trace()) {
    ///         worker.continue_trace(trace);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.sent_in()
    }
}

impl Worker {
    /// Where in which trace the callback is that runs. `None`: none runs, or it is of none, as that
    /// of a timer.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn note(worker: &Worker, what: &str) {
    ///     match worker.trace() {
    ///         Some(trace) => println!("trace_id={} {what}", trace.trace_id()),
    ///         None => println!("{what}"),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.context().traces.context()
    }

    /// The callback that runs, and what it asks for, belong to this trace from here on, as with
    /// [`Package::adopt_trace`]. A callback of a timer may go on with a trace in this way, too. One
    /// that goes on with several, one after another, is a span in each: a second call ends the span
    /// of the first. Answers the context that the callback has then; `None` where none runs (in the
    /// function that makes a handler), and nothing has changed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Package, Session, Worker};
    /// struct Shop;
    ///
    /// fn later(worker: &Worker, package: &Package) {
    ///     let trace = package.trace();
    ///     worker.after::<Shop>(Duration::from_secs(1), move |_, worker| {
    ///         worker.continue_trace(trace);
    ///         worker.task(b"remind").send()?; // belongs to the trace of the package
    ///         Ok(())
    ///     });
    /// }
    /// ```
    pub fn continue_trace(&self, parent: TraceContext) -> Option<TraceContext> {
        self.context().traces.adopt(parent)
    }

    /// From now on `listener` is called with every span of this process that is over and whose
    /// trace is recorded (`trace_sample_ppm`, or a client's word). To be called in
    /// [`Handler::on_worker_start`](crate::Handler::on_worker_start), in each process of the server
    /// whose spans are of interest. It takes the place of the one before.
    ///
    /// The listener is called between two deliveries, and in [`Worker::continue_trace`] when that
    /// ends a span: it should only hand the span on, for example to a thread of its own.
    ///
    /// ```
    /// # use ostler::{FinishedSpan, Outcome, Worker};
    /// fn on_worker_start(worker: &Worker) -> Outcome {
    ///     let (spans, exporter) = std::sync::mpsc::channel::<FinishedSpan>();
    ///     std::thread::spawn(move || {
    ///         for span in exporter {
    ///             println!("{} {} {:?}", span.context(), span.name(), span.duration());
    ///         }
    ///     });
    ///     worker.on_span(move |span| {
    ///         let _ = spans.send(*span);
    ///     });
    ///     Ok(())
    /// }
    /// ```
    pub fn on_span(&self, listener: impl FnMut(&FinishedSpan) + 'static) {
        self.context().traces.listen(Box::new(listener));
    }
}
