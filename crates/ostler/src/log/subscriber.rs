//! Who gets the program's events: one subscriber for the whole life of a process, with the level of
//! the server that runs in it now.

use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use crate::options::LogLevel;

/// Place of the current level in [`LEVELS`].
static CURRENT: AtomicUsize = AtomicUsize::new(0);

const LEVELS: [(LogLevel, LevelFilter); 5] = [
    (LogLevel::Error, LevelFilter::ERROR),
    (LogLevel::Warn, LevelFilter::WARN),
    (LogLevel::Info, LevelFilter::INFO),
    (LogLevel::Debug, LevelFilter::DEBUG),
    (LogLevel::Trace, LevelFilter::TRACE),
];

/// From now on events down to this level are written. For a process of one thread: the interest of
/// every place that makes events is asked anew.
pub(super) fn set_level(level: LogLevel) {
    let place = LEVELS.iter().position(|(one, _)| *one == level).unwrap_or(0);
    CURRENT.store(place, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

fn current_level() -> LevelFilter {
    let place = CURRENT.load(Ordering::Relaxed);
    LEVELS.get(place).map_or(LevelFilter::ERROR, |(_, filter)| *filter)
}

/// Whether this is a span of a callback: lines show none, so that it would only cost time.
fn is_callback(metadata: &Metadata<'_>) -> bool {
    metadata.target() == crate::worker::CALLBACK_TARGET
}

/// Hands events of the current level and above to another subscriber.
pub(super) struct OfCurrentLevel<S>(pub(super) S);

impl<S: Subscriber> Subscriber for OfCurrentLevel<S> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= current_level() && !is_callback(metadata) {
            self.0.register_callsite(metadata)
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= current_level() && !is_callback(metadata) && self.0.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(current_level())
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.0.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.0.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.0.try_close(span)
    }
}
