//! Observer: a line server that looks at its own figures, for the process tests. One order a line:
//!
//! * `see NAME=NUMBER...`: looks until the figures have these values, at most ten seconds; answers
//!   `seen`, or those that have others;
//! * `see-in SLOT NAME=NUMBER...`: the same by another process: `w1`, `t0`, `u0`, `c`;
//! * `figure NAME`: answers its value now;
//! * `echo TEXT`: answers the text; `bytes N`: answers N bytes and a line end;
//! * `tasks N`: asks N tasks that do nothing, without an answer; says `asked`;
//! * `tell SLOT`: sends a message that nobody answers; says `told`;
//! * `whoami`, `close`, `abort`, `reload`.

use std::time::{Duration, Instant};

use ostler::{
    CloseReason, Exit, Framing, Handler, Message, Outcome, Package, ProcessBody, ProcessSlot,
    Reload, Server, ServerEvents, Session, Statistics, Task, UserProcess, Worker,
};

const LOOKS_END: Duration = Duration::from_secs(10);
/// The longest task and message.
const TEXT_MAX: usize = 4_096;

fn number_of(stats: &Statistics, name: &str) -> Option<u64> {
    let (server, packages, tasks) = (&stats.server, &stats.packages, &stats.tasks);
    if let Some(reason) = name.strip_prefix("because_") {
        let reason = CloseReason::ALL.into_iter().find(|it| it.name() == reason)?;
        return Some(stats.closed_because(reason));
    }
    Some(match name {
        "workers" => server.workers.into(),
        "task_workers" => server.task_workers.into(),
        "user_processes" => server.user_processes.into(),
        "reactors" => server.reactors.into(),
        "started" => server.processes_started,
        "deaths" => server.deaths,
        "worker_deaths" => server.worker_deaths,
        "manager_deaths" => server.manager_deaths,
        "reloads_begun" => server.reloads_begun,
        "reloads_done" => server.reloads_done,
        "reloads_failed" => server.reloads_failed,
        "open" => stats.connections.open,
        "max" => stats.connections.max,
        "accepted" => stats.connections.accepted,
        "closed" => stats.connections.closed,
        "refused" => stats.connections.refused,
        "received" => packages.received,
        "finished" => packages.finished,
        "in_hand" => packages.in_hand,
        "closed_by" => packages.closed_by,
        "redelivered" => packages.redelivered,
        "given" => packages.given,
        "answers" => packages.answers,
        "datagrams" => stats.datagrams.received,
        "datagrams_sent" => stats.datagrams.sent,
        "bytes_in" => stats.traffic.received_bytes,
        "bytes_out" => stats.traffic.sent_bytes,
        "unsent" => stats.traffic.unsent_bytes,
        "budget" => stats.traffic.budget_bytes,
        "asked" => tasks.asked,
        "tasks_open" => tasks.open,
        "tasks_finished" => tasks.finished,
        "sent" => stats.messages.sent,
        "delivered" => stats.messages.delivered,
        _ => return None,
    })
}

/// What is wrong, if anything still is after a while.
fn look(worker: &Worker, wanted: &str) -> String {
    let end = Instant::now() + LOOKS_END;
    loop {
        let stats = worker.stats();
        if let Err(error) = stats.check() {
            return format!("no balance: {error}");
        }
        let wrong = |pair: &&str| {
            let (name, number) = pair.split_once('=').unwrap_or((pair, ""));
            number_of(&stats, name).map(|it| it.to_string()).as_deref() != Some(number)
        };
        let wrong: Vec<String> = wanted
            .split_whitespace()
            .filter(wrong)
            .map(|pair| {
                let name = pair.split('=').next().unwrap_or(pair);
                format!("{name}={:?}", number_of(&stats, name))
            })
            .collect();
        if wrong.is_empty() {
            return "seen".to_owned();
        }
        if Instant::now() > end {
            return wrong.join(" ");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn say(worker: &Worker, session: u64, text: &str) -> Outcome {
    Ok(worker.session(session).send(format!("{text}\n").as_bytes())?)
}

fn slot_of(name: &str) -> Result<ProcessSlot, String> {
    let number = || name.get(1..).unwrap_or("").parse::<u16>().map_err(|error| error.to_string());
    match name.chars().next() {
        Some('w') => Ok(ProcessSlot::Worker(number()?)),
        Some('t') => Ok(ProcessSlot::TaskWorker(number()?)),
        Some('u') => Ok(ProcessSlot::UserProcess(number()?)),
        Some('c') => Ok(ProcessSlot::Companion),
        _ => Err(format!("no slot: {name}")),
    }
}

/// A message: `SESSION NAME=NUMBER...`, or nothing.
fn on_message(worker: &Worker, message: &Message) -> Outcome {
    let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
    match text.split_once(' ') {
        Some((session, wanted)) => say(worker, session.parse()?, &look(worker, wanted)),
        None => Ok(()),
    }
}

struct Observer;

impl Handler for Observer {
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let line = String::from_utf8_lossy(package).into_owned();
        let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let id = session.id();
        match verb {
            "see" => say(worker, id, &look(worker, rest)),
            "see-in" => {
                let (slot, wanted) = rest.split_once(' ').unwrap_or((rest, ""));
                worker.send_message(slot_of(slot)?, format!("{id} {wanted}").as_bytes())?;
                Ok(())
            }
            "figure" => {
                let number = number_of(&worker.stats(), rest).unwrap_or(u64::MAX);
                say(worker, id, &number.to_string())
            }
            "echo" => say(worker, id, rest),
            "bytes" => say(worker, id, &"x".repeat(rest.parse()?)),
            "tasks" => {
                for _ in 0..rest.parse::<usize>()? {
                    worker.task(b"nothing").report()?;
                }
                say(worker, id, "asked")
            }
            "tell" => {
                worker.send_message(slot_of(rest)?, b"nothing")?;
                say(worker, id, "told")
            }
            "whoami" => say(worker, id, &worker.process_slot().to_string()),
            "close" => Ok(session.close()?),
            "abort" => std::process::abort(),
            "reload" => {
                worker.reload(Reload::Workers);
                say(worker, id, "reloads")
            }
            _ => Err(format!("no order: {line}").into()),
        }
    }

    fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
        assert!(task.len() <= TEXT_MAX);
        Ok(())
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        on_message(worker, message)
    }
}

/// A process that serves nobody.
struct Bystander;

impl ProcessBody for Bystander {
    fn run(&mut self, worker: &Worker) -> Outcome {
        worker.every::<Self>(Duration::from_secs(3_600), |_, _| Ok(()));
        Ok(()) // the timer keeps it
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        on_message(worker, message)
    }
}

impl ServerEvents for Bystander {
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        on_message(worker, message)
    }
}

fn main() -> Exit {
    let server = Server::builder()
        .framing(Framing::lines())
        .process(UserProcess::new("bystander", |_| Bystander))
        .companion(|_| Bystander);
    let (server, _) = server.take_args(std::env::args_os().skip(1));
    let served = server.bind().and_then(|server| {
        server.on_listening(|ports| println!("listening on {ports}")).run(|_| Observer)
    });
    served.into()
}
