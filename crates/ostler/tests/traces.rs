//! Of which trace packages are, what is told of it, and how one from outside is gone on with.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)] // tests

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ostler::test::TestServer;
use ostler::{
    Deferred, FinishedSpan, Framing, Handler, Outcome, Package, Server, Session, TraceContext,
    Worker,
};

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

type Spans = Rc<RefCell<Vec<FinishedSpan>>>;

/// Notes contexts, and does what lines say.
#[derive(Default)]
struct Traced {
    spans: Spans,
    contexts: Vec<TraceContext>,
    deferred: Vec<Deferred>,
    later: Option<TraceContext>,
}

impl Handler for Traced {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        assert_eq!(worker.trace(), None, "nothing has come");
        let unrecorded = CLIENT.replace("-01", "-00").parse().unwrap();
        let context = worker.continue_trace(unrecorded).expect("a callback runs");
        assert_eq!(worker.trace(), Some(context));
        let spans = Rc::clone(&self.spans);
        worker.on_span(move |span| spans.borrow_mut().push(*span));
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        match &package[..] {
            b"fail\n" => return Err("told to".into()),
            b"defer\n" => self.deferred.extend(package.defer()),
            b"later\n" => {
                let trace = package.trace();
                worker.after::<Self>(Duration::from_millis(1), move |me, worker| {
                    assert_eq!(worker.trace(), None, "a timer is of no trace");
                    worker.continue_trace(trace);
                    me.later = worker.trace();
                    Ok(())
                });
            }
            b"several\n" => {
                worker.after::<Self>(Duration::from_millis(1), |me, worker| {
                    for digit in ["1", "2", "3"] {
                        let trace = CLIENT.replacen("4bf9", &digit.repeat(4), 1);
                        me.later = worker.continue_trace(trace.parse().unwrap());
                    }
                    Ok(())
                });
            }
            b"write\n" => {
                session.writer()?.on_writable(|me: &mut Self, worker, writer| {
                    me.later = worker.trace();
                    Ok(writer.finish()?)
                });
            }
            b"wrong\n" => {
                let before = package.trace();
                package.adopt_trace(CLIENT.to_ascii_uppercase()).expect_err("upper case");
                assert_eq!(package.trace(), before);
            }
            header if header.starts_with(b"00-") => {
                let _own = tracing::debug_span!("own").entered();
                let before = package.trace().span_id();
                let adopted = package.adopt_trace(header.trim_ascii()).expect("a header");
                assert_eq!((adopted, before), (package.trace(), adopted.span_id()));
            }
            _ => {}
        }
        assert_eq!(worker.trace(), Some(package.trace()));
        let times = package.times();
        assert!(times.done().is_none() && times.age() >= times.waited());
        assert!(times.received() <= SystemTime::now());
        self.contexts.push(package.trace());
        Ok(())
    }
}

fn start(sample_ppm: u32) -> (TestServer<Traced>, Spans) {
    let spans = Spans::default();
    let builder = Server::builder().listen("127.0.0.1:1").framing(Framing::lines());
    let builder = builder.trace_sample_ppm(sample_ppm).connect_events(false);
    let handed = Rc::clone(&spans);
    let make = move |_: &Worker| Traced { spans: Rc::clone(&handed), ..Traced::default() };
    (TestServer::start(builder, make).expect("a server"), spans)
}

#[test]
fn each_package_is_of_a_trace_of_its_own_and_nothing_is_told_of_it_unless_asked() {
    let (server, spans) = start(0);
    let mut client = server.connect();
    client.send(&b"x\n".repeat(100)); // all of them in one turn of the reactor
    let contexts = server.handler(|me| me.contexts.clone());
    let traces: HashSet<_> = contexts.iter().map(TraceContext::trace_id).collect();
    assert_eq!((contexts.len(), traces.len()), (100, 100));
    assert!(contexts.iter().all(|context| !context.is_sampled()));
    assert!(spans.borrow().is_empty(), "{spans:?}");
}

#[test]
fn a_recorded_package_is_told_as_its_way_and_its_callback() {
    let (server, spans) = start(1_000_000);
    server.connect().send(b"x\n");
    let context = server.handler(|me| me.contexts[0]);
    let spans = spans.borrow();
    let [way, callback] = spans[..] else { panic!("{spans:?}") };
    assert_eq!((way.name(), callback.name()), ("queue", "on_receive"));
    assert!(context.is_sampled());
    assert_eq!(callback.context(), context);
    assert_eq!(way.context().trace_id(), context.trace_id());
    assert_eq!((way.parent(), callback.parent()), (None, Some(way.context().span_id())));
    assert_ne!(way.context().span_id(), context.span_id());
    assert!(callback.session().is_some_and(|session| Some(session) == way.session()));
    assert_eq!((callback.attempt(), callback.has_failed()), (1, false));
    let times = callback.times();
    assert!(times.received() <= times.queued() && times.queued() <= times.taken());
    assert!(times.done().is_some_and(|done| done >= times.taken()));
    assert_eq!(way.duration(), times.waited());
}

#[test]
fn what_a_client_has_begun_is_gone_on_with() {
    let (server, spans) = start(0);
    let mut client = server.connect();
    client.send(format!("{CLIENT}\n").as_bytes());
    let parent: TraceContext = CLIENT.parse().unwrap();
    let context = server.handler(|me| me.contexts[0]);
    assert_eq!((context.trace_id(), context.is_sampled()), (parent.trace_id(), true));
    {
        let spans = spans.borrow();
        let [way, callback] = spans[..] else { panic!("{spans:?}") };
        assert_eq!(way.parent(), Some(parent.span_id()));
        assert_eq!(callback.parent(), Some(way.context().span_id()));
        assert_eq!(callback.context(), context);
        assert_eq!(way.context().trace_id(), parent.trace_id());
    }
    // A client that does not record is believed, too.
    spans.borrow_mut().clear();
    client.send(format!("{}\n", CLIENT.replace("-01", "-00")).as_bytes());
    assert!(!server.handler(|me| me.contexts[1]).is_sampled());
    client.send(b"wrong\n");
    assert!(spans.borrow().is_empty());
    assert_ne!(server.handler(|me| me.contexts[2]).trace_id(), parent.trace_id());
}

#[test]
fn a_client_that_does_not_record_is_believed_whatever_the_option_says() {
    let (server, spans) = start(1_000_000);
    server.connect().send(format!("{}\n", CLIENT.replace("-01", "-00")).as_bytes());
    assert!(spans.borrow().is_empty());
}

#[test]
fn a_callback_that_fails_is_told_as_one() {
    let (server, spans) = start(1_000_000);
    server.connect().send(b"fail\n");
    let spans = spans.borrow();
    let told = |name| spans.iter().find(|span| span.name() == name).unwrap();
    assert!(told("on_receive").has_failed() && !told("queue").has_failed());
}

#[test]
fn a_deferred_package_and_a_timer_keep_the_trace() {
    let (server, _spans) = start(0);
    let mut client = server.connect();
    client.send(b"defer\n");
    assert!(server.handler(|me| me.deferred[0].trace() == me.contexts[0]));
    server.handler(|me| me.deferred.clear());
    client.send(b"later\n");
    server.run_until(|me| me.later.is_some());
    let (package, later) = server.handler(|me| (me.contexts[1], me.later.unwrap()));
    assert_eq!(later.trace_id(), package.trace_id());
    assert_ne!(later.span_id(), package.span_id());
}

#[test]
fn a_callback_that_goes_on_with_several_traces_is_a_span_in_each() {
    let (server, spans) = start(0);
    let mut client = server.connect();
    client.send(b"several\n");
    server.run_until(|me| me.later.is_some());
    let told = spans.borrow();
    assert_eq!(told.len(), 3, "{told:?}");
    let all = |of: fn(&FinishedSpan) -> String| told.iter().map(of).collect::<HashSet<_>>().len();
    assert_eq!(all(|span| span.context().trace_id().to_string()), 3);
    assert_eq!(all(|span| span.context().span_id().to_string()), 3);
    assert!(told.iter().all(|span| span.name() == "timer" && span.began() <= span.ended()));
    assert!(told.is_sorted_by_key(FinishedSpan::began), "{told:?}");
}

#[test]
fn a_writer_goes_on_in_the_trace_in_which_it_began_to_wait() {
    let (server, _spans) = start(0);
    let mut client = server.connect();
    client.send(b"write\n");
    server.run_until(|me| me.later.is_some());
    let (package, later) = server.handler(|me| (me.contexts[0], me.later.unwrap()));
    assert_eq!(later.trace_id(), package.trace_id());
    assert_ne!(later.span_id(), package.span_id());
}

#[test]
fn nothing_is_told_of_callbacks_that_nobody_has() {
    let (server, spans) = start(1_000_000);
    let mut client = server.connect();
    client.send(b"x\n");
    drop(client); // `connect_events` is off
    server.connect().send(b"x\n");
    let names: Vec<&str> = spans.borrow().iter().map(FinishedSpan::name).collect();
    assert_eq!(names, ["queue", "on_receive"].repeat(2));
}

#[test]
fn no_moment_is_before_the_one_before_it() {
    let (server, spans) = start(1_000_000);
    server.connect().send(&b"x\n".repeat(100)); // of a burst some are received ahead of the clock
    for span in spans.borrow().iter() {
        let times = span.times();
        let all = [times.received(), times.queued(), times.taken(), times.done().unwrap()];
        assert!(all.is_sorted() && span.began() <= span.ended(), "{span:?}");
        assert_eq!(span.ended().duration_since(span.began()).unwrap(), span.duration());
    }
}

/// Notes the fields of spans, by their numbers.
struct Subscriber(Arc<Mutex<Vec<String>>>, tracing::Level, AtomicU64);

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= self.1 && metadata.is_span()
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        let mut fields = String::new();
        let mut note = |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            fields.push_str(&format!("{field}={value:?} "));
        };
        span.record(&mut note);
        let number = self.2.fetch_add(1, Ordering::Relaxed);
        let target = span.metadata().target();
        self.0.lock().unwrap().push(format!("{number} {target} {fields}"));
        tracing::span::Id::from_u64(number)
    }

    fn record(&self, id: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        let mut fields = String::new();
        values.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            fields.push_str(&format!("{field}={value:?} "));
        });
        self.0.lock().unwrap().push(format!("{} recorded {fields}", id.into_u64()));
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_subscriber_is_told_of_spans_of_its_level() {
    for (level, are_told) in [(tracing::Level::DEBUG, true), (tracing::Level::INFO, false)] {
        let told = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Subscriber(Arc::clone(&told), level, AtomicU64::new(1));
        let context = tracing::subscriber::with_default(subscriber, || {
            let (server, _spans) = start(0);
            server.connect().send(format!("{CLIENT}\n").as_bytes());
            server.handler(|me| me.contexts[0])
        });
        let all = told.lock().unwrap();
        let told = all.iter().find(|span| span.contains("callback=\"on_receive\""));
        assert_eq!(told.is_some(), are_told, "{level}: {told:?}");
        if let Some(told) = told {
            // The span begins before anybody could say of which trace it is.
            let span = format!("span_id={} ", context.span_id());
            assert!(told.contains(" ostler::callback ") && told.contains(&span), "{told}");
            let (number, _) = told.split_once(' ').unwrap();
            let of = format!("{number} recorded trace_id={} ", context.trace_id());
            assert!(all.iter().any(|line| line.starts_with(&of)), "not the user's own: {all:?}");
        }
    }
}
