//! Phases: a server with one process of each kind that can be held in each phase of its life, for
//! the process tests.
//!
//! A process that comes to a phase writes `KIND PHASE PID` into `PHASES_DIR/journal` and waits as
//! long as the file `PHASES_DIR/KIND.PHASE` exists. The kinds are `event`, `task`, `user` and
//! `companion`, the phases `boot`, `ready`, `busy`, `draining` and `stopping`. Clients order by the
//! line: `event` is answered, with what else the line has, by the worker itself, `task` by a task
//! worker.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use ostler::{
    Exit, Framing, Handler, Outcome, Package, ProcessBody, Server, ServerEvents, Session, Task,
    UserProcess, Worker, WorkerDeath,
};

/// How often a process looks whether it is held.
const LOOK: Duration = Duration::from_millis(5);

fn directory() -> PathBuf {
    std::env::var_os("PHASES_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// The process has come to this phase.
fn at(kind: &str, phase: &str) {
    let hold = directory().join(format!("{kind}.{phase}"));
    let is_held = hold.exists();
    if is_held || phase == "ready" {
        let journal =
            OpenOptions::new().append(true).create(true).open(directory().join("journal"));
        let line = format!("{kind} {phase} {}\n", std::process::id());
        let _ = journal.and_then(|mut journal| journal.write_all(line.as_bytes()));
    }
    while hold.exists() {
        std::thread::sleep(LOOK);
    }
}

struct Echo;

impl Handler for Echo {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        at(kind(worker), "boot");
        at(kind(worker), "ready");
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        if !package.starts_with(b"task") {
            at("event", "busy");
            return Ok(session.send(package)?);
        }
        let id = session.id();
        worker.task(package).then::<Self>(move |_, worker, result| {
            Ok(worker.session(id).send(result.bytes().unwrap_or(b"the task has failed\n"))?)
        })?;
        Ok(())
    }

    fn on_task(&mut self, _: &Worker, task: &Task) -> Outcome {
        at("task", "busy");
        Ok(task.finish(task)?)
    }

    fn on_worker_exit(&mut self, worker: &Worker) {
        at(kind(worker), "draining");
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        at(kind(worker), "stopping");
    }
}

fn kind(worker: &Worker) -> &'static str {
    if worker.is_task_worker() { "task" } else { "event" }
}

struct Watch;

impl ProcessBody for Watch {
    fn on_start(&mut self, _: &Worker) -> Outcome {
        at("user", "boot");
        Ok(())
    }

    fn run(&mut self, worker: &Worker) -> Outcome {
        at("user", "ready");
        while worker.wait(LOOK) {
            at("user", "busy");
        }
        at("user", "draining");
        Ok(())
    }

    fn on_stop(&mut self, _: &Worker) {
        at("user", "stopping");
    }
}

struct Events;

impl Events {
    fn new(_: &Worker) -> Self {
        at("companion", "boot");
        at("companion", "ready");
        Self
    }
}

impl ServerEvents for Events {
    fn on_worker_error(&mut self, _: &Worker, _: &WorkerDeath) -> Outcome {
        at("companion", "busy");
        Ok(())
    }

    fn on_before_shutdown(&mut self, _: &Worker) -> Outcome {
        at("companion", "draining");
        Ok(())
    }

    fn on_shutdown(&mut self, _: &Worker) -> Outcome {
        at("companion", "stopping");
        Ok(())
    }
}

fn main() -> Exit {
    let server = Server::builder().framing(Framing::lines()).companion(Events::new);
    let server = server.process(UserProcess::new("watch", |_| Watch));
    let (server, _) = server.take_args(std::env::args_os().skip(1));
    let served = server.bind().and_then(|server| {
        server.on_listening(|ports| println!("listening on {ports}")).run(|_| Echo)
    });
    served.into()
}
