//! Tracer: a server that says of which trace everything is, for the process tests. One order a
//! line, behind the header `traceparent` of the client, if it has one:
//!
//! * `trace`: answers the context of its callback;
//! * `wait TASK`: waits for the first result of a task, and answers that;
//! * `then TASK`: answers the result, and the context of the callback that is told;
//! * `keep TASK`: waits until it is taken in; answers its own context;
//! * `late TASK`: asks it outside of any callback of a trace; answers the result;
//! * `message SLOT`: sends one there, whose receiver sends it back; answers the context of the
//!   callback that gets it again;
//! * `call SLOT`: calls a command there, and answers what it answers;
//! * `slot`: answers who serves;
//! * `die FILE`: dies, if nobody has made that file before, in which its own context stands then;
//!   answers that.
//!
//! A task answers the context in which it runs, and its attempt; `die FILE` as above, `stop FILE`
//! sleeps for a minute instead, `big N` is one of that many bytes.
//!
//! With `TRACER_SPANS=FILE` every span that is told is a line of that file: process, name, trace,
//! span, parent, attempt. With `TRACER_OPENTELEMETRY` they go through a processor of that.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use ostler::{
    Exit, Framing, Handler, Message, Outcome, Package, Server, Session, Task, TaskResult, Worker,
};

const LONG: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Tracer {
    /// Who waits for a message to come back.
    asker: u64,
}

impl Handler for Tracer {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        let (kind, slot) = (if worker.is_task_worker() { 't' } else { 'w' }, worker.slot());
        let process = format!("{kind}{slot}.{}", worker.generation());
        if let Some(path) = std::env::var_os("TRACER_SPANS") {
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            if std::env::var_os("TRACER_OPENTELEMETRY").is_some() {
                worker.export_spans(Lines(Mutex::new(file), process));
                add_commands(worker);
                return Ok(());
            }
            worker.on_span(move |span| {
                let parent = span.parent().map_or("-".to_owned(), |parent| parent.to_string());
                let context = span.context();
                let (name, attempt) = (span.name(), span.attempt());
                let (trace, own) = (context.trace_id(), context.span_id());
                let line = format!("{process} {name} {trace} {own} {parent} {attempt}\n");
                let _ = file.write_all(line.as_bytes());
            });
        }
        add_commands(worker);
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let line = String::from_utf8_lossy(package.trim_ascii()).into_owned();
        let order = match line.split_once(' ') {
            Some((header, order)) if package.adopt_trace(header).is_ok() => order,
            _ => &line,
        };
        let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
        let answer = match word {
            "trace" => context(worker),
            "wait" => text(&worker.task(payload(rest).as_bytes()).wait(LONG)?),
            "then" => {
                let to = session.id();
                worker.task(rest.as_bytes()).then::<Self>(
                    move |_, worker, result: &TaskResult| {
                        let answer = format!("{} {}", text(result.bytes()?), context(worker));
                        say(worker, to, &answer)
                    },
                )?;
                return Ok(());
            }
            "keep" => {
                worker.task(rest.as_bytes()).keep(LONG)?;
                context(worker)
            }
            "late" => {
                let (to, task) = (session.id(), rest.to_owned());
                worker.after::<Self>(Duration::from_millis(1), move |_, worker| {
                    worker.task(task.as_bytes()).then::<Self>(move |_, worker, result| {
                        say(worker, to, &text(result.bytes()?))
                    })?;
                    Ok(())
                });
                return Ok(());
            }
            "message" => {
                self.asker = session.id();
                worker.send_message(rest.parse::<u16>()?, b"forth")?;
                return Ok(());
            }
            "call" => text(&worker.call(rest.parse::<u16>()?, "trace", b"").wait(LONG)?),
            "slot" => worker.slot().to_string(),
            "die" => {
                if is_first(rest, worker) {
                    std::process::abort();
                }
                context(worker)
            }
            _ => return Err(format!("no such order: {order}").into()),
        };
        say(worker, session.id(), &answer)
    }

    fn on_task(&mut self, worker: &Worker, task: &Task) -> Outcome {
        let line = String::from_utf8_lossy(task.trim_ascii_end()).into_owned();
        let mut words = line.split(' ');
        let (word, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        match word {
            "die" if is_first(rest, worker) => std::process::abort(),
            "stop" if is_first(rest, worker) => std::thread::sleep(Duration::from_secs(60)),
            _ => {}
        }
        assert_eq!(worker.trace(), Some(task.trace()));
        let answer = format!("{} {}", task.trace(), task.attempt());
        Ok(task.finish(answer.as_bytes())?)
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        if &message[..] == b"forth" {
            worker.send_message(message.sender(), b"back")?;
            return Ok(());
        }
        assert!(message.trace().is_some());
        say(worker, self.asker, &context(worker))
    }
}

fn add_commands(worker: &Worker) {
    worker.add_command::<Tracer>("trace", |_, worker, _| Ok(context(worker).into_bytes()));
}

/// Writes the same lines of what is exported.
#[derive(Debug)]
struct Lines(Mutex<File>, String);

impl SpanProcessor for Lines {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let (context, name) = (&span.span_context, &span.name);
        let (trace, own, parent) = (context.trace_id(), context.span_id(), span.parent_span_id);
        let attempt = span.attributes.iter().find(|it| it.key.as_str() == "ostler.attempt");
        let attempt = attempt.map_or_else(String::new, |attempt| attempt.value.to_string());
        let line = format!("{} {name} {trace} {own} {parent} {attempt}\n", self.1);
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = file.write_all(line.as_bytes());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{} shutdown {} - - -\n", self.1, timeout.as_millis());
        let _ = file.write_all(line.as_bytes());
        Ok(())
    }
}

/// The bytes of a task: its words, and spaces behind them if it says how long it is.
fn payload(task: &str) -> String {
    let len = task.strip_prefix("big ").and_then(|len| len.parse::<usize>().ok());
    let more = len.map_or(0, |len| len.saturating_sub(task.len()));
    format!("{task}{}", " ".repeat(more))
}

fn context(worker: &Worker) -> String {
    worker.trace().map_or_else(|| "none".to_owned(), |trace| trace.to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn say(worker: &Worker, session: u64, line: &str) -> Outcome {
    Ok(worker.session(session).send(format!("{line}\n").as_bytes())?)
}

/// Whether nobody was here before; whoever comes first leaves its context.
fn is_first(path: &str, worker: &Worker) -> bool {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.is_ok_and(|mut file| file.write_all(context(worker).as_bytes()).is_ok())
}

fn main() -> Exit {
    let server = Server::builder().framing(Framing::lines());
    let (server, _) = server.take_args(std::env::args_os().skip(1));
    let served = server.bind().and_then(|server| {
        server.on_listening(|ports| println!("listening on {ports}")).run(|_| Tracer::default())
    });
    served.into()
}
