//! One trace over several processes: packages, tasks, messages, commands, and what becomes of it
//! when they die.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used, clippy::unwrap_used)]
// a test that cannot go on

mod support;
mod talk;

use ostler::{SpanId, TraceContext, TraceId};
use ostler_testkit::{ServerBuilder, Signal, TestResult, TestServer};
use support::wait_lines;
use talk::{Scratch, Talk};

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn tracer(scratch: &Scratch) -> ServerBuilder {
    TestServer::example("tracer")
        .env("TRACER_SPANS", scratch.path("spans"))
        .set("workers", 2)
        .set("task_workers", 1)
        .expect_log("worker died")
}

fn start(builder: ServerBuilder) -> TestResult<TestServer> {
    let server = builder.start()?;
    wait_lines(&server, "takes tasks", 1)?;
    Ok(server)
}

/// A span as the file has it.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    process: String,
    name: String,
    trace: String,
    id: String,
    parent: String,
    attempt: String,
}

/// All spans of the client's trace that were told until now.
fn spans(scratch: &Scratch) -> Vec<Span> {
    let lines = scratch.lines("spans");
    let span = |line: &String| {
        let words: Vec<&str> = line.split(' ').collect();
        let [process, name, trace, id, parent, attempt] = words[..] else { panic!("{line}") };
        let [process, name, trace] = [process, name, trace].map(str::to_owned);
        let [id, parent, attempt] = [id, parent, attempt].map(str::to_owned);
        Span { process, name, trace, id, parent, attempt }
    };
    let trace = trace_of(CLIENT).to_string();
    lines.iter().map(span).filter(|span| span.trace == trace).collect()
}

/// The spans of this name, from the first to the last, when there are so many.
fn wait_spans(
    server: &TestServer,
    scratch: &Scratch,
    name: &str,
    count: usize,
) -> TestResult<Vec<Span>> {
    let of_name =
        || -> Vec<Span> { spans(scratch).into_iter().filter(|span| span.name == name).collect() };
    server.wait_for("spans", |_| of_name().len() >= count)?;
    assert_eq!(of_name().len(), count, "{:?}", spans(scratch));
    Ok(of_name())
}

fn context(text: &str) -> TraceContext {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn trace_of(text: &str) -> TraceId {
    context(text).trace_id()
}

fn span_of(text: &str) -> SpanId {
    context(text).span_id()
}

/// What a task answers: its context and its attempt.
fn told(answer: &str) -> (TraceContext, &str) {
    let (trace, attempt) = answer.split_once(' ').unwrap();
    (context(trace), attempt)
}

#[test]
fn client_reactor_worker_and_task_are_one_trace() -> TestResult {
    let scratch = Scratch::new("traces")?;
    one_trace(&scratch, start(tracer(&scratch))?)
}

#[test]
fn opentelemetry_is_told_one_trace_by_three_processes_and_that_they_end() -> TestResult {
    let scratch = Scratch::new("traces-exported")?;
    let server = tracer(&scratch).env("TRACER_OPENTELEMETRY", "1").set("drain_timeout_ms", 4_000);
    one_trace(&scratch, start(server)?)?;
    let lines = scratch.lines("spans");
    let ended = lines.iter().filter_map(|line| line.split_once(" shutdown ")?.1.split(' ').next());
    let ended: Vec<u64> = ended.map(|timeout_ms| timeout_ms.parse().unwrap()).collect();
    assert_eq!(ended.len(), 3, "two workers and a task worker");
    let in_time = |timeout_ms: &u64| (1..=3_600).contains(timeout_ms);
    assert!(ended.iter().all(in_time), "whoever waits for longer is killed: {ended:?}");
    Ok(())
}

/// A task of a package of a client, told by all who had to do with it.
fn one_trace(scratch: &Scratch, server: TestServer) -> TestResult {
    let mut talk = Talk::new(&server)?;
    let answer = talk.ask(&format!("{CLIENT} then trace"))?;
    let (task, rest) = answer.split_once(' ').unwrap();
    let (attempt, told_in) = rest.split_once(' ').unwrap();
    assert_eq!(
        (attempt, trace_of(task), trace_of(told_in)),
        ("1", trace_of(CLIENT), trace_of(CLIENT))
    );
    let finished = wait_spans(&server, scratch, "on_finish", 1)?;
    let [received, run] = ["on_receive", "on_task"].map(|name| {
        let found: Vec<Span> =
            spans(scratch).into_iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0].clone()
    });
    let mut ways = wait_spans(&server, scratch, "queue", 2)?;
    // Two processes tell in whichever order.
    ways.sort_by_key(|way| way.process != received.process);
    // Client, the package's way, its callback, the task's way, its run.
    let chain = [&ways[0], &received, &ways[1], &run].map(|span| (&*span.parent, &*span.id));
    let parents = chain.map(|(parent, _)| parent);
    let client = span_of(CLIENT).to_string();
    assert_eq!(parents, [&*client, chain[0].1, chain[1].1, chain[2].1], "{:?}", spans(scratch));
    assert_eq!(run.id, span_of(task).to_string());
    assert_eq!(finished[0].parent, received.id, "who has asked is told in its trace");
    assert_eq!(finished[0].id, span_of(told_in).to_string());
    assert!(received.process.starts_with('w') && run.process == "t0.1");
    assert_eq!((&*ways[0].process, &*ways[1].process), (&*received.process, "t0.1"));
    server.stop()
}

#[test]
fn long_tasks_referred_ones_and_ones_of_no_trace_say_where_they_belong() -> TestResult {
    let scratch = Scratch::new("traces-long")?;
    let server = start(tracer(&scratch))?;
    let mut talk = Talk::new(&server)?;
    for len in [10, 2_000, 3_000, 1_000_000] {
        let answer = talk.ask(&format!("{CLIENT} wait big {len}"))?;
        let (run, attempt) = told(&answer);
        assert_eq!((run.trace_id(), attempt), (trace_of(CLIENT), "1"), "{len} bytes");
        assert!(run.is_sampled());
    }
    // A part of a package that lies in the area, and of one that does not.
    for len in [100, 100_000] {
        let answer = talk.ask(&format!("{CLIENT} then trace {}", "x".repeat(len)))?;
        assert_eq!(trace_of(answer.split(' ').next().unwrap()), trace_of(CLIENT), "{len} bytes");
    }
    let [one, other] = [talk.ask("late trace")?, talk.ask("late trace")?];
    let (one, other) = (told(&one).0, told(&other).0);
    assert_ne!(one.trace_id(), other.trace_id(), "each is of a trace of its own");
    assert!(!one.is_sampled());
    server.stop()
}

#[test]
fn messages_and_commands_are_of_the_trace_in_which_they_were_sent() -> TestResult {
    let scratch = Scratch::new("traces-messages")?;
    let server = start(tracer(&scratch).set("dispatch", "session_hash"))?;
    let mut talk = Talk::new(&server)?;
    let other = 1 - talk.number("slot")?;
    for order in ["message", "call"] {
        let answer = talk.ask(&format!("{CLIENT} {order} {other}"))?;
        assert_eq!(trace_of(&answer), trace_of(CLIENT), "{order}");
        assert!(context(&answer).is_sampled());
        assert_ne!(trace_of(&talk.ask("trace")?), trace_of(CLIENT), "the next one is not of it");
    }
    let command = wait_spans(&server, &scratch, "command", 1)?;
    let messages = wait_spans(&server, &scratch, "on_message", 2)?;
    let received = wait_spans(&server, &scratch, "on_receive", 2)?;
    assert_eq!(command[0].parent, received[1].id);
    // Two processes tell in whichever order.
    let caused_by = |id: &str| messages.iter().find(|message| message.parent == id);
    let forth = caused_by(&received[0].id).expect("the message that was sent");
    let back = caused_by(&forth.id).expect("the one that came back");
    assert_eq!(back.process, received[0].process);
    server.stop()
}

#[test]
fn what_is_delivered_again_is_of_the_same_trace() -> TestResult {
    let scratch = Scratch::new("traces-again")?;
    let builder = tracer(&scratch).set("crash_policy", "redeliver:3");
    let server = start(builder.set("task_crash_policy", "redeliver"))?;
    let mut talk = Talk::new(&server)?;
    let died = scratch.path("task");
    let answer = talk.ask(&format!("{CLIENT} wait die {}", died.display()))?;
    let (run, attempt) = told(&answer);
    assert_eq!((run.trace_id(), attempt), (trace_of(CLIENT), "2"));
    let runs = wait_spans(&server, &scratch, "on_task", 1)?;
    assert_eq!((&*runs[0].attempt, &*runs[0].process), ("2", "t0.2"));

    // A package that begins a trace of its own begins the same one again.
    let died = scratch.path("package");
    let again = talk.ask(&format!("die {}", died.display()))?;
    let left = scratch.lines("package");
    let [before] = &left[..] else { panic!("one has died") };
    assert_eq!(trace_of(&again), trace_of(before));
    assert_ne!(span_of(&again), span_of(before), "it is another span");
    assert_ne!(trace_of(&again), trace_of(&talk.ask("trace")?));
    server.stop()
}

#[test]
fn a_kept_task_is_of_its_trace_after_a_restart() -> TestResult {
    for more in [String::new(), format!(" {}", "x".repeat(10_000))] {
        let scratch = Scratch::new("traces-kept")?;
        let (journal, started) = (scratch.path("journal"), scratch.path("started"));
        let keeping = || tracer(&scratch).set("task_journal", journal.display());
        let server = start(keeping())?;
        let order = format!("{CLIENT} keep stop {}{more}", started.display());
        let own = Talk::new(&server)?.ask(&order)?;
        server.wait_for("a start", |_| !scratch.lines("started").is_empty())?;
        server.signal(Signal::KILL);
        server.wait_end()?;

        let server = start(keeping())?;
        let run = wait_spans(&server, &scratch, "on_task", 1)?;
        assert_eq!((&*run[0].attempt, &*run[0].process), ("2", "t0.1"));
        assert_ne!(span_of(&own).to_string(), run[0].id);
        server.stop()?;
    }
    Ok(())
}
