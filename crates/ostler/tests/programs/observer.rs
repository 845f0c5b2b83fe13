//! Observer: a line server that looks at its own figures, for the process tests. One order a line:
//!
//! * `see NAME=NUMBER...`: looks until the figures have these values, at most ten seconds; answers
//!   `seen`, or those that have others;
//! * `see-in SLOT NAME=NUMBER...`: the same by another process: `w1`, `t0`, `u0`, `c`;
//! * `figure NAME`: answers its value now;
//! * `echo TEXT`: answers the text; `bytes N`: answers N bytes and a line end;
//! * `tasks N`: asks N tasks that do nothing, without an answer; says `asked`;
//! * `tell SLOT`: sends a message that nobody answers; says `told`;
//! * `pause N`: does nothing for N milliseconds; says `paused`;
//! * `pause-behind N M FILE`: makes the file, and does nothing until N packages were received and
//!   M milliseconds longer; says `paused`;
//! * `wait-for FILE`: does nothing until the file is there; says `waited`;
//! * `process SLOT NAME=VALUE...`: looks until a process in the slot shows these: answers `seen`;
//! * `times OF NAME=NUMBER...`: the same for times of a port (`0`), a slot (`w1`) or `tasks`;
//! * `id`, `whoami`, `close`, `abort`, `reload`.

use std::time::{Duration, Instant};

use ostler::{
    CloseReason, Exit, Framing, Handler, Message, Outcome, Package, ProcessBody, ProcessSlot,
    ProcessStatistics, Reload, Server, ServerEvents, Session, Statistics, Task, TimeSpread,
    UserProcess, Worker,
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
        "reactor_lags" => server.reactor_lags,
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
    look_until(|| {
        let stats = worker.stats();
        if let Err(error) = stats.check() {
            return Some(format!("no balance: {error}"));
        }
        wrong_of(wanted, |name| number_of(&stats, name).map(|number| number.to_string()))
    })
}

/// Of `NAME=VALUE...` those that have other values.
fn wrong_of(wanted: &str, value_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let pairs = wanted.split_whitespace().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let wrong = pairs.filter(|(name, value)| value_of(name).as_deref() != Some(value));
    let wrong: Vec<_> = wrong.map(|(name, _)| format!("{name}={:?}", value_of(name))).collect();
    Some(wrong.join(" ")).filter(|text| !text.is_empty())
}

fn look_until(mut find_wrong: impl FnMut() -> Option<String>) -> String {
    let end = Instant::now() + LOOKS_END;
    loop {
        match find_wrong() {
            None => return "seen".to_owned(),
            Some(wrong) if Instant::now() > end => return wrong,
            Some(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn value_of_process(process: &ProcessStatistics, name: &str) -> Option<String> {
    let running = process.running.as_ref();
    Some(match name {
        "generation" => process.generation.to_string(),
        "pid" => process.pid.to_string(),
        "leaving" => process.is_leaving.to_string(),
        "deliveries" => process.deliveries.to_string(),
        "requests" => process.requests.to_string(),
        "runs" => running.map_or_else(|| "nothing".to_owned(), |it| it.callback.clone()),
        "session" => running?.session?.to_string(),
        "port" => running?.port?.to_string(),
        "repeated" => running?.is_repeated.to_string(),
        "has_waited" => running?.waited.is_some().to_string(),
        "busy" => (process.busy > running.map_or(Duration::ZERO, |it| it.since)).to_string(),
        "shares" => (0.0..=1.0).contains(&process.busy_share()).to_string(),
        _ => return None,
    })
}

/// What is wrong with the process in a slot, if there is one.
fn look_at_process(worker: &Worker, slot: ProcessSlot, wanted: &str) -> String {
    look_until(|| {
        let processes = worker.process_stats();
        let mut in_slot = processes.iter().filter(|process| process.slot == slot);
        let first = in_slot.next();
        let wrong = |process| wrong_of(wanted, |name| value_of_process(process, name));
        let Some(first) = first else {
            return Some("nobody".to_owned()).filter(|_| wanted != "nobody");
        };
        let of_first = wrong(first)?;
        in_slot.all(|process| wrong(process).is_some()).then_some(of_first)
    })
}

fn look_at_times(worker: &Worker, of: &str, wanted: &str) -> String {
    look_until(|| {
        let times = match of.parse() {
            Ok(port) => worker.port_times(port),
            Err(_) if of == "tasks" => worker.task_times(),
            Err(_) => worker.slot_times(slot_of(of).ok()?),
        };
        let longest = |spread: &TimeSpread, at_least: u64| {
            let longest = spread.quantile(1.0).unwrap_or_default();
            (longest >= Duration::from_millis(at_least)).to_string()
        };
        wrong_of(wanted, |name| match name.split_once(':') {
            Some(("waited_ms", at_least)) => Some(longest(&times.waited, at_least.parse().ok()?)),
            Some(("took_ms", at_least)) => Some(longest(&times.took, at_least.parse().ok()?)),
            _ if name == "waited" => Some(times.waited.count().to_string()),
            _ if name == "took" => Some(times.took.count().to_string()),
            _ => None,
        })
    })
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
            "process" => {
                let (slot, wanted) = rest.split_once(' ').unwrap_or((rest, ""));
                say(worker, id, &look_at_process(worker, slot_of(slot)?, wanted))
            }
            "times" => {
                let (of, wanted) = rest.split_once(' ').unwrap_or((rest, ""));
                say(worker, id, &look_at_times(worker, of, wanted))
            }
            "pause" => {
                std::thread::sleep(Duration::from_millis(rest.parse()?));
                say(worker, id, "paused")
            }
            "pause-behind" => {
                let (packages, rest) = rest.split_once(' ').ok_or("no pause")?;
                let (pause, file) = rest.split_once(' ').ok_or("no file")?;
                std::fs::write(file, "")?;
                let seen = look(worker, &format!("received={packages}"));
                std::thread::sleep(Duration::from_millis(pause.parse()?));
                say(worker, id, if seen == "seen" { "paused" } else { &seen })
            }
            "wait-for" => {
                while !std::path::Path::new(rest).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                say(worker, id, "waited")
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
            "id" => say(worker, id, &id.to_string()),
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
