//! Spans as OpenTelemetry has them (feature `opentelemetry`).

use std::rc::{Rc, Weak};
use std::time::Duration;

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor};

use super::span::FinishedSpan;
use super::worker::Worker;
use crate::worker::WorkerContext;

/// How long a process that ends waits for what is still to be exported, if it has so long.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

/// A processor that is told to end when nobody tells it spans any more.
struct Exporting<P: SpanProcessor> {
    processor: P,
    context: Weak<WorkerContext>,
}

impl<P: SpanProcessor> Drop for Exporting<P> {
    fn drop(&mut self) {
        let left = self.context.upgrade().map_or(SHUTDOWN_MAX, |context| context.time_to_end());
        if let Err(error) = self.processor.shutdown_with_timeout(left.min(SHUTDOWN_MAX)) {
            tracing::warn!(%error, "spans could not be exported");
        }
    }
}

impl FinishedSpan {
    /// The span as exporters of OpenTelemetry take it. Its attributes are `ostler.session` (if it
    /// is about one) and `ostler.attempt`. Its way through the server is a span of the kind
    /// *server*, or *consumer* for a task; callbacks are *internal*. Feature `opentelemetry`.
    ///
    /// ```
    /// # use ostler::{FinishedSpan, Worker};
    /// fn listen(worker: &Worker) {
    ///     worker.on_span(|span: &FinishedSpan| println!("{:?}", span.to_span_data()));
    /// }
    /// ```
    #[must_use]
    pub fn to_span_data(&self) -> SpanData {
        let (context, parent) = (self.context(), self.parent());
        let is_way = self.is_way;
        let of_session = self.session().map(|session| {
            // Ids have 53 bits.
            KeyValue::new("ostler.session", i64::try_from(session).unwrap_or(i64::MAX))
        });
        let attempt = KeyValue::new("ostler.attempt", i64::from(self.attempt()));
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(context.trace_id().bits().to_be_bytes()),
                SpanId::from_bytes(context.span_id().bits().to_be_bytes()),
                TraceFlags::new(context.flags()),
                false,
                TraceState::default(),
            ),
            parent_span_id: parent
                .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.bits().to_be_bytes())),
            parent_span_is_remote: parent.is_some()
                && (is_way || matches!(self.callback, "on_message" | "command")),
            span_kind: match (is_way, self.callback) {
                (false, _) => SpanKind::Internal,
                (true, "on_task") => SpanKind::Consumer,
                (true, _) => SpanKind::Server,
            },
            name: self.name().into(),
            start_time: self.began(),
            end_time: self.ended(),
            attributes: of_session.into_iter().chain([attempt]).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if self.has_failed() {
                Status::error("the callback failed")
            } else {
                Status::Unset
            },
            instrumentation_scope: InstrumentationScope::builder("ostler")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

impl Worker {
    /// From now on every span of this process that is over and whose trace is recorded goes to this
    /// processor of OpenTelemetry, in the place of [`Worker::on_span`]. To be called in
    /// [`Handler::on_worker_start`](crate::Handler::on_worker_start): a processor with a thread of
    /// its own (`BatchSpanProcessor`) has to be made in the process that uses it. When the process
    /// ends in order it is shut down, for which there are five seconds, or what is left of
    /// `drain_timeout_ms` if that is less (of one second for the companion). Feature
    /// `opentelemetry`.
    ///
    /// Who the program is, the processor has to be told before (`set_resource`), as a provider of
    /// the SDK would do.
    ///
    /// ```
    /// use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanExporter, SpanProcessor as _};
    /// use opentelemetry_sdk::Resource;
    /// # use ostler::Worker;
    ///
    /// /// The exporter is, for example, that of the crate `opentelemetry-otlp`.
    /// fn export(worker: &Worker, exporter: impl SpanExporter + 'static) {
    ///     let mut processor = BatchSpanProcessor::builder(exporter).build();
    ///     processor.set_resource(&Resource::builder().with_service_name("shop").build());
    ///     worker.export_spans(processor);
    /// }
    /// ```
    pub fn export_spans(&self, processor: impl SpanProcessor + 'static) {
        let exporting = Exporting { processor, context: Rc::downgrade(self.context()) };
        self.on_span(move |span| exporting.processor.on_end(span.to_span_data()));
    }
}
